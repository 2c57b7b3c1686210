"""Translates a reward file into code that numba compiles: `translation` begins."""
