"""A reward is tried as it is typed, and none of its mistakes reaches the studio."""

import asyncio
import json
import sys
from pathlib import Path

import pytest

from racer.studio import commands, reward_trial
from racer.studio.reward_trial import RewardTrial, verdict_of

FILE = Path("/somewhere/mine.py")
HANG = "import time\nwhile True: time.sleep(0.05)"


def test_an_error_has_its_line_and_no_path():
    said = f"racer: {FILE}:3: KeyError: 'sped'; in: return params['sped']\n  on bowtie"
    verdict = verdict_of(FILE, 2, "", said)
    assert not verdict.is_usable
    (one,) = verdict.remarks
    assert one.line == 3
    assert one.text.startswith("line 3: KeyError: 'sped'")
    assert "somewhere" not in one.text


def test_a_warning_does_not_stop_a_training():
    found = [
        {"kind": "trick", "message": f"{FILE}: crawling earns 9 and a clean lap 1 on bowtie"},
        {"kind": "unknown key", "message": f"{FILE}:2: params has no key 'sped'"},
    ]
    verdict = verdict_of(FILE, 0, json.dumps({"findings": found}), "")
    assert verdict.is_usable
    assert [one.line for one in verdict.remarks] == [None, 2]
    assert verdict.remarks[0].text == "crawling earns 9 and a clean lap 1 on bowtie"


def test_a_reward_that_never_ends_is_ended_at_the_deadline(monkeypatch):
    monkeypatch.setattr(commands, "RACER", (sys.executable, "-c", HANG))
    monkeypatch.setattr(reward_trial, "TRIAL_DEADLINE_S", 0.2)
    trial = RewardTrial()
    verdict = asyncio.run(trial.check(FILE, "bowtie"))
    assert verdict is not None
    assert "a loop that does not end?" in verdict.remarks[0].text


def test_a_newer_trial_ends_the_one_before(monkeypatch):
    monkeypatch.setattr(commands, "RACER", (sys.executable, "-c", HANG))
    trial = RewardTrial()

    async def both():
        first = asyncio.create_task(trial.check(FILE, "bowtie"))
        await asyncio.sleep(0.3)
        monkeypatch.setattr(
            commands, "RACER", (sys.executable, "-c", "print('{\"findings\": []}')")
        )
        second = await trial.check(FILE, "bowtie")
        return await first, second

    first, second = asyncio.run(both())
    assert first is None
    assert second is not None
    assert second.is_usable


@pytest.mark.slow
def test_the_real_check_finds_the_line_and_the_picture_is_a_png(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("def reward_function(params):\n    return params['sped']\n")
    verdict = asyncio.run(RewardTrial().check(path, "bowtie"))
    assert verdict is not None
    assert verdict.remarks[0].line == 2
    path.write_text("def reward_function(params):\n    return params['progress']\n")
    drawn = asyncio.run(RewardTrial().picture(path, "bowtie", "time_trial", False))
    assert isinstance(drawn, bytes)
    assert drawn.startswith(b"\x89PNG")
