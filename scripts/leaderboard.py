"""The same as `racer board show`."""

import sys

from racer.cli import main

if __name__ == "__main__":
    main(["board", "show", *sys.argv[1:]])
