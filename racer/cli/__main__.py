"""`python -m racer.cli` is `racer`."""

from racer.cli import main

main()
