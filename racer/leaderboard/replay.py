"""The replay of a run: the actions, from which it can be simulated, and hashes of its states."""

from __future__ import annotations

import hashlib
import json
import zlib
from dataclasses import dataclass

import numpy as np

from racer.car.action_space import ActionSpace
from racer.errors import BoardError
from racer.evaluation import LapResult
from racer.leaderboard.fingerprint import is_same_platform, platform_fingerprint
from racer.leaderboard.hash_chain import canonical_json
from racer.leaderboard.run_result import RunResult

REPLAY_MAGIC = b"racer replay 1\n"
STEPS_PER_KEPT_POSE = 15
"""Control steps from one stored position to the next: one second."""
MAX_REPLAY_FILE_BYTES = 64_000_000
"""The most bytes of a replay before compression."""
POSITION_TOLERANCE_M = 0.1
"""How far a position may be from the stored one [m] if the platforms differ."""
TIME_TOLERANCE_S = 0.1
"""How far a lap time may be from the stored one [s] if the platforms differ."""
_TYPES = {"command": "<f8", "continuous": "<f4", "discrete": "<i8"}


@dataclass(frozen=True)
class Replay:
    """What is stored of one run.

    Attributes:
        actions: The policy's action at each control step, (T, 2) float32 within [-1, 1] or indices
            (T,) int64; the commands of a pilot, (T, 2) float64.
        space: The action space; None for a pilot.
        start: Hash of the state before the first step, h_0, hexadecimal.
        marks: The first four bytes of h_t = SHA-256(h_t-1 | state_t) after each step, (T,) uint32.
        final: h_T, hexadecimal.
        places: Position [m] after every 15th step and after the last, (K, 2) float32.
        score: The result of the run without its notes, as in the submission.
        fingerprint: The `platform_fingerprint` where the run was evaluated.
    """

    actions: np.ndarray
    space: ActionSpace | None
    start: str
    marks: np.ndarray
    final: str
    places: np.ndarray
    score: RunResult
    fingerprint: dict[str, str]


@dataclass(frozen=True)
class ReplayComparison:
    """The result of comparing a replay with another run of the same race.

    Attributes:
        text: `bit-exact`, `within tolerance (another platform)`, `diverges at step k`, or a
            sentence that names another difference.
        is_fine: Whether the replay is confirmed.
    """

    text: str
    is_fine: bool


def record_replay(result: LapResult, space: ActionSpace | None, score: RunResult) -> Replay:
    """Return the replay of a race.

    Args:
        result: The race.
        space: Space of the actions; None for a pilot.
        score: The result of the run without its notes.
    """
    start, marks, final = state_hashes(result)
    return Replay(
        actions=result.actions,
        space=space,
        start=start,
        marks=marks,
        final=final,
        places=_places(result),
        score=score,
        fingerprint=platform_fingerprint(),
    )


def state_hashes(result: LapResult) -> tuple[str, np.ndarray, str]:
    """Return the hashes of a race's states as `Replay.start`, `Replay.marks` and `Replay.final`.

    A state is, as little-endian float64: the body row (13), the angle of the front wheels [rad],
    the race time [s], the progress [percent] and the rows of boxes and bots (K x 10).
    """
    link = hashlib.sha256(result.start.astype("<f8").tobytes()).digest()
    start, steps = link.hex(), len(result.time)
    alone = np.column_stack([result.body, result.steering, result.time, result.progress])
    met = result.boxes.reshape(steps, int(np.prod(result.boxes.shape[1:])))
    states = np.hstack([alone, met]).astype("<f8")
    marks = np.zeros(steps, dtype="<u4")
    for step in range(steps):
        link = hashlib.sha256(link + states[step].tobytes()).digest()
        marks[step] = int.from_bytes(link[:4], "little")
    return start, marks, link.hex()


def compare_replay(replay: Replay, result: LapResult, score: RunResult) -> ReplayComparison:
    """Compare a replay with the race that was simulated from its actions.

    Args:
        replay: The replay.
        result: The simulated race.
        score: The result of the simulated race, without notes.
    """
    start, marks, final = state_hashes(result)
    kept = min(len(marks), len(replay.marks))
    apart = np.flatnonzero(marks[:kept] != replay.marks[:kept])
    if start != replay.start:
        step = 0
    elif len(apart):
        step = int(apart[0]) + 1
    elif len(marks) != len(replay.marks) or final != replay.final:
        step = min(kept + 1, len(replay.marks))
    elif score != replay.score:
        return ReplayComparison(score_difference(replay.score, score), False)
    else:
        return ReplayComparison("bit-exact", True)
    is_elsewhere = not is_same_platform(replay.fingerprint, platform_fingerprint())
    if is_elsewhere and _is_near(replay, result, score):
        return ReplayComparison("within tolerance (another platform)", True)
    return ReplayComparison(f"diverges at step {step}", False)


def score_difference(kept: RunResult, found: RunResult) -> str:
    """Return a sentence about the first value that differs between two scores."""
    before, now = kept.as_json(), found.as_json()
    for key in sorted({*before, *now}):
        old, new = before.get(key), now.get(key)
        if old != new:
            return f"another {key}: {old!r:.80} was kept, {new!r:.80} is found"
    return "the same score"


def is_close_score(kept: RunResult, found: RunResult) -> bool:
    """Return whether two scores have equal laps, faults and ending, and close lap times."""
    counts = ("laps_completed", "off_tracks", "collisions", "resets", "ending")
    if any(getattr(kept, name) != getattr(found, name) for name in counts):
        return False
    return bool(np.allclose(kept.lap_times_s, found.lap_times_s, rtol=0, atol=TIME_TOLERANCE_S))


def pack_replay(replay: Replay) -> bytes:
    """Return the content of a replay's file.

    It is `REPLAY_MAGIC`, then compressed: a line of JSON, the actions, marks and places.
    """
    head = {
        "steps": len(replay.marks),
        "places": len(replay.places),
        "space": replay.space.model_dump(mode="json") if replay.space else None,
        "start": replay.start,
        "final": replay.final,
        "score": replay.score.as_json(),
        "fingerprint": replay.fingerprint,
    }
    kind = replay.space.kind if replay.space else "command"
    parts = (replay.actions.astype(_TYPES[kind]), replay.marks, replay.places.astype("<f4"))
    body = b"".join(part.tobytes() for part in parts)
    return REPLAY_MAGIC + zlib.compress(canonical_json(head).encode() + b"\n" + body, 9)


def unpack_replay(content: bytes) -> Replay:
    """Return the replay in a file's content.

    Raises:
        BoardError: The content is not a replay, or is damaged.
    """
    try:
        if not content.startswith(REPLAY_MAGIC):
            raise ValueError("it does not begin with the mark of a replay")
        inflated = zlib.decompressobj().decompress(
            content[len(REPLAY_MAGIC) :], MAX_REPLAY_FILE_BYTES
        )
        line, _, body = inflated.partition(b"\n")
        head = json.loads(line)
        space = ActionSpace.model_validate(head["space"]) if head["space"] else None
        kind, steps, places = space.kind if space else "command", head["steps"], head["places"]
        wide = steps if kind == "discrete" else 2 * steps
        actions, body = _taken(body, _TYPES[kind], wide)
        marks, body = _taken(body, "<u4", steps)
        xy, body = _taken(body, "<f4", 2 * places)
        if body:
            raise ValueError(f"{len(body)} bytes too many")
        return Replay(
            actions=actions if kind == "discrete" else actions.reshape(-1, 2),
            space=space,
            start=head["start"],
            marks=marks,
            final=head["final"],
            places=xy.reshape(-1, 2),
            score=RunResult.from_json(head["score"]),
            fingerprint=head["fingerprint"],
        )
    except (zlib.error, ValueError, KeyError, TypeError) as problem:
        raise BoardError(f"the replay is damaged: {problem}; restore it from a backup") from problem


def _taken(body: bytes, kind: str, count: int) -> tuple[np.ndarray, bytes]:
    """Return the first `count` numbers of a NumPy type, and the bytes after them."""
    size = count * np.dtype(kind).itemsize
    if not 0 <= size <= len(body):
        raise ValueError("it ends too soon")
    return np.frombuffer(body[:size], dtype=kind), body[size:]


def _places(result: LapResult) -> np.ndarray:
    steps = len(result.time)
    last = [steps - 1] if steps % STEPS_PER_KEPT_POSE else []
    return result.body[
        [*range(STEPS_PER_KEPT_POSE - 1, steps, STEPS_PER_KEPT_POSE), *last], :2
    ].astype("<f4")


def _is_near(replay: Replay, result: LapResult, score: RunResult) -> bool:
    """Return whether a race has nearly the same positions and lap times as the replay."""
    places = _places(result)
    if len(places) != len(replay.places) or len(result.time) != len(replay.marks):
        return False
    apart = np.hypot(*(places - replay.places).T)
    return bool((apart <= POSITION_TOLERANCE_M).all()) and is_close_score(replay.score, score)
