"""The same as `racer board submit`."""

import sys

from racer.cli import main

if __name__ == "__main__":
    main(["board", "submit", *sys.argv[1:]])
