"""The command line, as a test types it."""

import json
from typing import Any

import pytest

from racer.cli import main


def printed(capsys: pytest.CaptureFixture[str], *words: Any) -> Any:
    """Return the JSON that a command prints."""
    capsys.readouterr()
    main([str(word) for word in words])
    return json.loads(capsys.readouterr().out)
