"""What training asks of torch's threads."""

import os
import subprocess
import sys

import pytest

NAME = "GOMP_SPINCOUNT"


@pytest.mark.slow
@pytest.mark.parametrize("own", [None, "77"], ids=["nothing said", "the user's own"])
def test_threads_without_work_soon_sleep_unless_the_user_says_otherwise(own):
    """OpenMP itself tells what it was loaded with."""
    given = {k: v for k, v in os.environ.items() if k != NAME} | {"OMP_DISPLAY_ENV": "VERBOSE"}
    told = subprocess.run(
        [sys.executable, "-c", "import racer.cli.train, racer.training.run"],
        env=given | ({NAME: own} if own else {}),
        capture_output=True,
        text=True,
        check=True,
    ).stderr
    assert f"{NAME} = '{own or 10000}'" in told
