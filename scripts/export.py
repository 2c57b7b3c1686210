"""The same as `racer export`."""

import sys

from racer.cli.process import command_line

if __name__ == "__main__":
    command_line(["export", *sys.argv[1:]])
