"""A run is kept small, and any change of it, or of what came of it, is found."""

import re
import zlib
from dataclasses import replace

import numpy as np
import pytest

from racer.car.action_space import ActionSpace
from racer.errors import BoardError
from racer.evaluation import evaluate_alone, evaluate_entries
from racer.leaderboard import fingerprint as prints
from racer.leaderboard import replay as room
from racer.leaderboard.fingerprint import is_same_platform, platform_fingerprint
from racer.leaderboard.replay import (
    REPLAY_MAGIC,
    WITHIN_TOLERANCE,
    compare_actions,
    compare_replay,
    pack_replay,
    record_replay,
    state_hashes,
    unpack_replay,
)
from racer.leaderboard.run_result import RunResult
from racer.leaderboard.season import Season, SeasonRaceConfig
from racer.leaderboard.verification import simulate_replay
from racer.sensors import StateConfig
from racer.world.world import has_pybullet

SEASON = Season(name="s", tracks=("oval",), race=SeasonRaceConfig(laps=1, time_limit=20))
(RUN,) = SEASON.runs()
SPACE = ActionSpace(speed=(1.0, 2.0))


def steer(observation):
    x, y = 4.0 * observation[0, 14], 4.0 * observation[0, 15]
    angle = np.arctan2(2.0 * 0.164 * y, x * x + y * y)
    return np.array([[angle / np.deg2rad(30.0), 0.5]], dtype=np.float32)


@pytest.fixture(scope="module")
def driven():
    return evaluate_alone(steer, (StateConfig(),), SPACE, "oval", SEASON.race_in("forward"))


@pytest.fixture(scope="module")
def kept(driven):
    return record_replay(driven, SPACE, score_of(driven))


def score_of(result):
    return RunResult.from_json(result.as_dict())


def again(replay):
    result = simulate_replay(SEASON, RUN, replay)
    return compare_replay(replay, result, score_of(result))


def test_what_is_unpacked_is_what_was_packed_bit_for_bit(kept):
    other = unpack_replay(pack_replay(kept))
    assert other.actions.dtype == np.float32
    for name in ("actions", "marks", "places"):
        assert getattr(other, name).tobytes() == getattr(kept, name).tobytes()
    assert (other.space, other.start, other.final) == (kept.space, kept.start, kept.final)
    assert (other.score, other.fingerprint) == (kept.score, kept.fingerprint)


def test_the_actions_alone_make_the_same_race_bit_for_bit(kept, driven):
    assert driven.ending == "laps_complete"
    assert again(unpack_replay(pack_replay(kept))).text == "bit-exact"


def test_a_pilots_commands_make_the_same_race_too():
    race = evaluate_entries(["pure-pursuit"], "oval", SEASON.race_in("forward"))[0]
    replay = unpack_replay(pack_replay(record_replay(race, None, score_of(race))))
    assert replay.actions.dtype == np.float64
    assert again(replay).text == "bit-exact"


def test_an_index_of_a_choice_makes_the_same_race_too():
    space = ActionSpace(kind="discrete", choices=((-20.0, 1.0), (0.0, 1.0), (20.0, 1.0)))

    def left_and_right(observation):
        return np.array([int(np.sign(observation[0, 15]) + 1)])

    race = evaluate_alone(
        left_and_right, (StateConfig(),), space, "oval", SEASON.race_in("forward")
    )
    assert len(set(race.actions.tolist())) > 1
    replay = unpack_replay(pack_replay(record_replay(race, space, score_of(race))))
    assert replay.actions.dtype == np.int64
    assert again(replay).text == "bit-exact"


def test_the_chain_holds_every_state_before_it(driven):
    """Reckoned again by another road: one hash of a hash and all the numbers of a state."""
    import hashlib

    start, marks, final = state_hashes(driven)
    link = hashlib.sha256(np.asarray(driven.start, "<f8").tobytes()).digest()
    assert start == link.hex()
    for t in range(len(driven.time)):
        numbers = [*driven.body[t], driven.steering[t], driven.time[t], driven.progress[t]]
        link = hashlib.sha256(link + np.array(numbers, "<f8").tobytes()).digest()
        assert marks[t] == int.from_bytes(link[:4], "little")
    assert final == link.hex()
    moved = replace(driven, body=driven.body.copy())
    moved.body[30, 0] = np.nextafter(moved.body[30, 0], 1e9)
    assert (state_hashes(moved)[1] != marks).argmax() == 30


def test_one_action_changed_in_its_last_bit_diverges_at_its_step(kept):
    actions = kept.actions.copy()
    actions[41, 0] = np.nextafter(actions[41, 0], np.float32(1))
    verdict = again(replace(kept, actions=actions))
    assert (verdict.text, verdict.is_fine) == ("diverges at step 42", False)


def test_one_hash_changed_is_found_at_its_step(kept):
    marks = kept.marks.copy()
    marks[17] ^= 1
    assert again(replace(kept, marks=marks)).text == "diverges at step 18"
    assert again(replace(kept, start="0" * 64)).text == "diverges at step 0"
    last = len(kept.marks)
    assert again(replace(kept, final="0" * 64)).text == f"diverges at step {last}"


def test_one_figure_of_the_score_changed_is_named(kept):
    score = replace(kept.score, total_time_s=kept.score.total_time_s - 0.001)
    verdict = again(replace(kept, score=score))
    assert "another total_time_s" in verdict.text
    assert not verdict.is_fine


def test_a_tape_that_was_cut_short_or_made_longer_is_found(kept):
    assert "step 99" in again(replace(kept, actions=kept.actions[:99], marks=kept.marks[:99])).text
    more = np.concatenate([kept.marks, kept.marks[:5]])
    assert not again(replace(kept, marks=more)).is_fine


def elsewhere(kept, **more):
    return replace(kept, fingerprint=kept.fingerprint | {"cpu_flags": "other"}, **more)


def test_last_digits_that_differ_on_another_platform_are_within_tolerance(kept, driven):
    body = driven.body.copy()
    body[50:, :2] += 1e-9
    near = replace(driven, body=body, lap_times_s=[driven.lap_times_s[0] + 1e-9])
    verdict = compare_replay(elsewhere(kept), near, score_of(near))
    assert (verdict.text, verdict.is_fine) == (WITHIN_TOLERANCE, True)
    assert compare_replay(kept, near, score_of(near)).text == "diverges at step 51", (
        "here they may not"
    )


@pytest.mark.parametrize(
    ("shift", "late", "off", "said"),
    [
        (3e-6, 0.0, 0, r"another platform: \d.\de-06 m away at step 60"),
        (0.0, 2e-5, 0, "another platform: another lap_times_s"),
        (0.0, 0.0, 1, "another platform: another off_tracks: 0 was kept, 1 is found"),
    ],
)
def test_another_way_or_another_score_is_not_within_tolerance_anywhere(
    kept, driven, shift, late, off, said
):
    body = driven.body.copy()
    body[50:, 0] += shift or 1e-12
    other = replace(
        driven,
        body=body,
        lap_times_s=[driven.lap_times_s[0] + late],
        off_tracks=driven.off_tracks + off,
    )
    verdict = compare_replay(elsewhere(kept), other, score_of(other))
    assert re.match(said, verdict.text)
    assert not verdict.is_fine


def test_a_policy_on_another_platform_may_act_otherwise_in_the_last_digits_only(kept):
    for apart, there, here in [
        (0.0, "same actions", "same actions"),
        (5e-5, f"same actions {WITHIN_TOLERANCE}", "the policy acts otherwise at step 8"),
        (2e-4, "the policy acts otherwise at step 8", "the policy acts otherwise at step 8"),
        (np.nan, "the policy acts otherwise at step 8", "the policy acts otherwise at step 8"),
    ]:
        actions = kept.actions.copy()
        actions[7, 0] += apart
        assert compare_actions(elsewhere(kept), actions).text == there
        assert compare_actions(kept, actions).text == here
    shorter = compare_actions(elsewhere(kept), kept.actions[:9])
    assert (shorter.text, shorter.is_fine) == ("the policy acts otherwise at step 10", False)


def test_a_choice_is_the_same_on_every_platform(kept):
    choices = replace(elsewhere(kept), actions=np.array([0, 1, 2]))
    assert compare_actions(choices, np.array([0, 1, 2])).is_fine
    assert not compare_actions(choices, np.array([0, 1, 1])).is_fine


def test_a_fingerprint_names_what_the_digits_depend_on():
    here = platform_fingerprint()
    for key in ("racer", "python", "numpy", "numba", "system", "cpu", "cpu_flags"):
        assert here[key]
    assert bool(here["pybullet"]) == has_pybullet()
    assert is_same_platform(here, here | {"racer": "9.9"})
    assert not is_same_platform(here, here | {"numba": "9.9"})
    assert prints._version("no-such-package") == ""


def test_three_laps_are_kept_in_less_than_200_kb():
    season = SEASON.model_copy(update={"race": SeasonRaceConfig(time_limit=180)})
    race = evaluate_alone(steer, (StateConfig(),), SPACE, "bowtie", season.race_in("forward"))
    assert race.laps_completed == 3
    assert len(pack_replay(record_replay(race, SPACE, score_of(race)))) < 20_000


@pytest.mark.slow
def test_three_minutes_of_noise_among_boxes_are_kept_in_less_than_200_kb():
    random = np.random.default_rng(0)
    season = SEASON.model_copy(
        update={
            "race": SeasonRaceConfig(
                kind="object_avoidance",
                time_limit=180,
                off_track_penalty=0,
                collision_penalty=0,
            )
        }
    )

    def shake(observation):
        return random.uniform(-1, 1, (1, 2)).astype(np.float32)

    race = evaluate_alone(shake, (StateConfig(),), SPACE, "comb", season.race_in("forward"))
    assert len(race.time) > 1000
    assert len(pack_replay(record_replay(race, SPACE, score_of(race)))) < 200_000


def test_a_broken_replay_is_a_sentence(subtests, kept):
    for change in [
        lambda content: content[5:],
        lambda content: content[:-20],
        lambda content: REPLAY_MAGIC + zlib.compress(b"{}\n"),
        lambda content: REPLAY_MAGIC + zlib.compress(b"[1]\n"),
        lambda content: (
            REPLAY_MAGIC + zlib.compress(zlib.decompress(content[len(REPLAY_MAGIC) :]) + b"x")
        ),
        lambda content: (
            REPLAY_MAGIC + zlib.compress(zlib.decompress(content[len(REPLAY_MAGIC) :])[:-1])
        ),
    ]:
        with (
            subtests.test(change=change),
            pytest.raises(BoardError, match="the replay is damaged"),
        ):
            unpack_replay(change(pack_replay(kept)))


def test_a_replay_that_would_inflate_without_end_is_cut_off(kept, monkeypatch):
    monkeypatch.setattr(room, "MAX_REPLAY_FILE_BYTES", 1000)
    with pytest.raises(BoardError, match="the replay is damaged"):
        unpack_replay(pack_replay(kept))
