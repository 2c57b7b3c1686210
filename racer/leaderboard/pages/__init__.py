"""A board as web pages that need no other files: rankings, entries, and races to watch."""
