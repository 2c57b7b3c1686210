"""A board as web pages that need no other files: tables, entries, and races on a canvas."""
