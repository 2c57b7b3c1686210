"""The same as `racer train`."""

import sys

from racer.cli import main

if __name__ == "__main__":
    main(["train", *sys.argv[1:]])
