"""The same as `racer bench`."""

import sys

from racer.cli.process import command_line

if __name__ == "__main__":
    command_line(["bench", *sys.argv[1:]])
