"""The replay of a run: the actions, from which it can be simulated, and hashes of its states."""

from __future__ import annotations

import hashlib
import json
import zlib
from dataclasses import dataclass
from typing import Any

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
POSITION_TOLERANCE_M = 1e-6
"""How far a coordinate may be from the stored one [m] if the platforms differ, beyond the rounding
of the stored one to float32. Where every `sin`, `cos`, `tan`, `tanh` and `expm1` of the physics is
the next larger float, twenty laps of `bowtie` by stored commands, 147 s, are 2e-13 m away."""
TIME_TOLERANCE_S = 1e-5
"""How far a lap time may be from the stored one [s] if the platforms differ."""
ACTION_TOLERANCE = 1e-4
"""How far a continuous action or a command may be from the stored one if the platforms differ."""
WITHIN_TOLERANCE = "within tolerance (another platform)"
"""The text of a comparison that holds, but not to the last digit."""
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
        text: `bit-exact`, `WITHIN_TOLERANCE`, `diverges at step k`, or a sentence that names
            another difference.
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
        places=_places(result).astype("<f4"),
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

    On the platform of the replay every digit must be the same. On another one, which computes
    other last digits, positions and lap times must be within tolerance, and all counts the same.

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
    if not is_elsewhere(replay):
        return ReplayComparison(f"diverges at step {step}", False)
    fault = _difference_elsewhere(replay, result, score)
    return ReplayComparison(fault or WITHIN_TOLERANCE, not fault)


def is_elsewhere(replay: Replay) -> bool:
    """Return whether a replay was recorded on another platform, with other last digits."""
    return not is_same_platform(replay.fingerprint, platform_fingerprint())


def compare_actions(replay: Replay, actions: np.ndarray) -> ReplayComparison:
    """Compare a replay's actions with those of the policy in a new run.

    On another platform than the replay's, continuous actions and commands may differ by
    `ACTION_TOLERANCE`; the choices of a discrete policy are the same everywhere.

    Args:
        replay: The replay.
        actions: The actions in the new run, (T, 2) or (T,).
    """
    kept = min(len(actions), len(replay.actions))
    width = replay.actions[0].size if len(replay.actions) else 1
    found = actions[:kept].reshape(kept, width) if kept else np.zeros((0, width))
    apart = np.abs(found - replay.actions[:kept].reshape(kept, width)).max(axis=1)
    is_wide = is_elsewhere(replay) and replay.actions.ndim > 1
    wrong = np.flatnonzero(~(apart <= (ACTION_TOLERANCE if is_wide else 0.0)))
    if len(wrong) or len(actions) != len(replay.actions):
        step = int(wrong[0]) if len(wrong) else kept
        return ReplayComparison(f"the policy acts otherwise at step {step + 1}", False)
    if apart.any():
        return ReplayComparison(f"same actions {WITHIN_TOLERANCE}", True)
    return ReplayComparison("same actions", True)


def score_difference(kept: RunResult, found: RunResult) -> str:
    """Return a sentence about the first value that differs between two scores."""
    before, now = kept.as_json(), found.as_json()
    for key in sorted({*before, *now}):
        old, new = before.get(key), now.get(key)
        if old != new:
            return _other(key, old, new)
    return "the same score"


def score_beyond_tolerance(kept: RunResult, found: RunResult) -> str:
    """Return a sentence about other laps, faults or ending, or a far lap time; empty if none."""
    for name in ("laps_completed", "off_tracks", "collisions", "resets", "ending"):
        if (old := getattr(kept, name)) != (new := getattr(found, name)):
            return _other(name, old, new)
    old, new = kept.lap_times_s, found.lap_times_s
    is_near = len(old) == len(new) and np.allclose(old, new, rtol=0, atol=TIME_TOLERANCE_S)
    return "" if is_near else _other("lap_times_s", old, new)


def _other(name: str, old: Any, new: Any) -> str:
    return f"another {name}: {old!r:.80} was kept, {new!r:.80} is found"


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
    """Return the positions of a race that its replay keeps, (K, 2) float64 [m]."""
    steps = len(result.time)
    last = [steps - 1] if steps % STEPS_PER_KEPT_POSE else []
    return result.body[[*range(STEPS_PER_KEPT_POSE - 1, steps, STEPS_PER_KEPT_POSE), *last], :2]


def _difference_elsewhere(replay: Replay, result: LapResult, score: RunResult) -> str:
    """Return how a race differs from a replay of another platform; empty within tolerance."""
    steps, places = len(replay.marks), _places(result)
    if len(result.time) != steps:
        return f"another platform: {len(result.time)} steps instead of {steps}"
    allowed = POSITION_TOLERANCE_M + np.spacing(np.abs(replay.places)) / 2
    apart = np.abs(places - replay.places)
    wrong = np.flatnonzero(~(apart <= allowed).all(axis=1))
    if len(wrong):
        step = min((int(wrong[0]) + 1) * STEPS_PER_KEPT_POSE, steps)
        return f"another platform: {apart[wrong[0]].max():.1e} m away at step {step}"
    if fault := score_beyond_tolerance(replay.score, score):
        return f"another platform: {fault}"
    return ""
