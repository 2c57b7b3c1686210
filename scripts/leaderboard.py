"""The same as `racer board show`."""

import sys

from racer.cli.process import command_line

if __name__ == "__main__":
    command_line(["board", "show", *sys.argv[1:]])
