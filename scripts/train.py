"""The same as `racer train`."""

import sys

from racer.cli.process import command_line

if __name__ == "__main__":
    command_line(["train", *sys.argv[1:]])
