"""The same as `racer board submit`."""

import sys

from racer.cli.process import command_line

if __name__ == "__main__":
    command_line(["board", "submit", *sys.argv[1:]])
