"""A sealed season: what its secret draws, who can know it, and who can check it."""

import hashlib
import hmac
import json
import stat

import pytest

from racer.errors import BoardError
from racer.leaderboard.season import Season, load_season
from racer.leaderboard.season_secret import (
    commitment,
    find_secret,
    make_secret,
    revealed_path,
    secrets_folder,
    write_revealed,
)
from racer.track import load_track

SECRET = "ab" * 32


def sealed(**more):
    rules = {"sha256": commitment(SECRET), "tracks": 2, "seeds": 3} | more
    return Season.model_validate({"name": "dark", "time_limit": 60, "sealed": rules})


def test_what_is_published_is_the_sha_256_of_the_secrets_bytes():
    assert commitment(SECRET) == hashlib.sha256(b"\xab" * 32).hexdigest()


def test_anyone_with_the_secret_can_draw_the_same_tracks_and_seeds():
    season = sealed()
    runs = season.runs(SECRET)
    assert len(runs) == 6

    def drawn(what):
        key = f"{season.digest} {what}".encode()
        return int(hmac.new(b"\xab" * 32, key, "sha256").hexdigest()[:32], 16)

    assert runs[0].track == f"generated:{drawn('track 0') % 10**9}"
    assert runs[3].track == f"generated:{drawn('track 1') % 10**9}"
    assert [run.seed for run in runs[:3]] == [drawn(f"seed {k}") % 2**31 for k in range(3)]
    assert load_track(runs[0].track).length > 5.0


def test_the_board_is_shown_numbers_and_nothing_of_what_was_drawn():
    shown = [(run.label, run.number) for run in sealed().runs(SECRET)]
    assert shown == [(f"sealed:{track}", seed) for track in range(2) for seed in range(3)]


def test_another_season_draws_other_tracks_from_the_same_secret():
    one, other = sealed(), sealed(seeds=4)
    assert {run.track for run in one.runs(SECRET)} & {
        run.track for run in other.runs(SECRET)
    } == set()


@pytest.mark.parametrize("secret", [None, "", "ac" * 32, "ab" * 31, "xy" * 32])
def test_without_its_secret_a_sealed_season_cannot_be_judged(secret):
    with pytest.raises(BoardError, match="dark is sealed"):
        sealed().runs(secret)


def test_a_secret_is_kept_where_only_its_owner_can_read_it(tmp_path, monkeypatch):
    monkeypatch.setenv("RACER_SECRETS", str(tmp_path / "secrets"))
    secret = make_secret()
    (path,) = secrets_folder().iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert path.name == f"{commitment(secret)}.secret"
    assert find_secret(commitment(secret)) == secret
    assert find_secret("0" * 64) is None
    assert make_secret() != secret
    path.chmod(0o640)
    with pytest.raises(BoardError, match="other users can read this secret"):
        find_secret(commitment(secret))


def test_a_revealed_secret_is_found_beside_the_season_and_another_one_is_refused(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("RACER_SECRETS", str(tmp_path / "secrets"))
    path = revealed_path(tmp_path / "dark.yaml")
    assert find_secret(commitment(SECRET), path) is None
    write_revealed(path, "dark", sealed().digest, SECRET)
    assert find_secret(commitment(SECRET), path) == SECRET
    assert json.loads(path.read_text()) == {
        "season": "dark",
        "digest": sealed().digest,
        "sha256": commitment(SECRET),
        "secret": SECRET,
    }
    path.write_text(path.read_text().replace("abab", "acab"))
    with pytest.raises(BoardError, match="is not the one whose SHA-256"):
        find_secret(commitment(SECRET), path)
    path.write_text("[]")
    with pytest.raises(BoardError, match="no revealed secret"):
        find_secret(commitment(SECRET), path)


def test_the_shipped_sealed_season_is_revealed_and_holds(monkeypatch, tmp_path):
    from racer.leaderboard.season import season_path

    monkeypatch.setenv("RACER_SECRETS", str(tmp_path))
    season, path = load_season("sealed"), revealed_path(season_path("sealed"))
    assert season.sealed is not None
    assert len(season.runs(find_secret(season.sealed.sha256, path))) == 5
    assert json.loads(path.read_text())["digest"] == season.digest
