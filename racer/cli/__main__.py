"""`python -m racer.cli` is `racer`."""

from racer.cli.process import command_line

command_line()
