"""The same as `racer race`."""

import sys

from racer.cli.process import command_line

if __name__ == "__main__":
    command_line(["race", *sys.argv[1:]])
