"""A board as web pages that need nothing else: tables, entries, and races on a canvas."""
