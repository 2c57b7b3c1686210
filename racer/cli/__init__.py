"""The `racer` command: parse, call one function."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from racer.errors import RacerError


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command; exit code 0, or 2 with one clear message where a person can mend it."""
    from racer.cli.app import run

    words = list(sys.argv[1:] if argv is None else argv)
    is_debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    try:
        run(words)
    except RacerError as problem:
        if is_debug:
            raise
        print(f"racer: {problem}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("racer: stopped", file=sys.stderr)
        sys.exit(130)
