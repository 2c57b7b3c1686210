"""What training asks of torch's threads, and that it may be called from several."""

import os
import subprocess
import sys
import threading

import pytest

from racer.reward.neighbour_files import files_beside
from racer.reward.process_exits import ExitsRaised
from racer.reward.reward_file import RewardSource
from racer.training.workers import _without_signals_and_script
from racer.world import pybullet_client

NAME = "GOMP_SPINCOUNT"


@pytest.mark.slow
@pytest.mark.parametrize("own", [None, "77"], ids=["nothing said", "the user's own"])
def test_threads_without_work_soon_sleep_unless_the_user_says_otherwise(own):
    """OpenMP itself tells what it was loaded with."""
    given = {k: v for k, v in os.environ.items() if k != NAME} | {"OMP_DISPLAY_ENV": "VERBOSE"}
    told = subprocess.run(
        [sys.executable, "-c", "import racer.cli.train, racer.training.train"],
        env=given | ({NAME: own} if own else {}),
        capture_output=True,
        text=True,
        check=True,
    ).stderr
    assert f"{NAME} = '{own or 10000}'" in told


mine = threading.local()


def connect(inside):
    mine.inside = inside
    pybullet_client.connect(gui=False)


def call_a_reward(inside):
    with ExitsRaised():
        inside()


def look_for_files(inside):
    files_beside(RewardSource.find("progress"), inside)


def start_a_worker(inside):
    with _without_signals_and_script():
        inside()


def state_of_the_process():
    out = os.fstat(1)
    return sys.stdout, sys.stderr, os._exit, os.abort, sys.modules["__main__"], out[1:3]


@pytest.mark.parametrize("block", [connect, call_a_reward, look_for_files, start_a_worker])
def test_threads_whose_blocks_overlap_leave_the_process_as_it_was(block, monkeypatch):
    """Each changes what all threads share, and puts back what it found."""
    monkeypatch.setattr(pybullet_client.bullet, "connect", lambda way: mine.inside() or 0)
    before = state_of_the_process()
    is_first_in, is_second_in, is_first_out = (threading.Event() for _ in range(3))

    def first():
        # The second cannot get in where a lock keeps it out.
        block(lambda: is_first_in.set() or (is_second_in.wait(0.1) and None))
        is_first_out.set()

    def second():
        is_first_in.wait()
        block(lambda: is_second_in.set() or (is_first_out.wait() and None))

    threads = [threading.Thread(target=one) for one in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert state_of_the_process() == before
