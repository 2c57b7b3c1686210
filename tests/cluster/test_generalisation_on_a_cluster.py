"""The races of `racer generalisation` on a cluster, and a client outside of it."""

import json

import pytest

from racer.cli import main
from tests.helpers.boards import package
from tests.helpers.clusters import machines

pytestmark = [pytest.mark.slow(minutes=1)]


def test_every_track_is_raced_as_in_one_process(tmp_path, capsys):
    entry = package(tmp_path / "a.entry.zip")
    words = ["generalisation", str(entry), "--laps", "1", "--json"]
    main(words)
    near = json.loads(capsys.readouterr().out)
    with machines(2) as cluster:
        main([*words, "--cluster", cluster.address])
    far = json.loads(capsys.readouterr().out)
    assert far == near
