"""The same as `racer race`."""

import sys

from racer.cli import main

if __name__ == "__main__":
    main(["race", *sys.argv[1:]])
