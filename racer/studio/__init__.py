"""The studio: web pages on this machine that show runs live, and start and stop them.

The pages call what the command line calls, and read and write nothing but the runs' own files.
"""
