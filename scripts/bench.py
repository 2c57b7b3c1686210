"""The same as `racer bench`."""

import sys

from racer.cli import main

if __name__ == "__main__":
    main(["bench", *sys.argv[1:]])
