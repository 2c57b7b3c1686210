"""The same as `racer export`."""

import sys

from racer.cli import main

if __name__ == "__main__":
    main(["export", *sys.argv[1:]])
