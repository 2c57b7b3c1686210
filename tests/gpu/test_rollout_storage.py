"""The storage of a rollout on the device, filled with numbers that tell where they came from."""

from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.buffers import RolloutBuffer

from racer.gpu.rollout_storage import DeviceRolloutStorage

STEPS, CARS = 5, 3
FRAME = spaces.Box(0, 255, (2, 4, 6), np.uint8)
STATE = spaces.Box(-1.0, 1.0, (7,), np.float32)
BOTH = spaces.Dict({"state": STATE, "camera": FRAME})
STEERING = spaces.Box(-1.0, 1.0, (2,), np.float32)
GEARS = spaces.Discrete(6)
GAMMA = 0.9


def storage_of(seen: Any, action: Any = STEERING) -> DeviceRolloutStorage:
    return DeviceRolloutStorage(STEPS, seen, action, "cpu", 0.95, GAMMA, CARS)


def numbered(step, offset=0):
    """What the cars see in a step: each number is 10 x step + car + offset."""
    number = 10.0 * step + torch.arange(CARS) + offset
    frame = number.to(torch.uint8)[:, None, None, None].expand(CARS, 4, 6, 2)
    # As the simulator has it: the channels are last in memory.
    return {
        "state": number[:, None].repeat(1, 7),
        "camera": frame.contiguous().permute(0, 3, 1, 2),
    }


def fill(storage: DeviceRolloutStorage, action: Any = STEERING) -> None:
    storage.reset()
    for step in range(STEPS):
        number = 10.0 * step + torch.arange(CARS)
        actions = number[:, None].repeat(1, 2) if action is STEERING else number.long()
        zeros = torch.zeros(CARS)
        storage.add(numbered(step), actions, zeros, zeros, number[:, None], number)
        storage.pay(number)


def test_the_parts_of_a_sample_stay_together_and_each_comes_once():
    for action in (STEERING, GEARS):
        storage = storage_of(BOTH, action)
        fill(storage, action)
        storage.compute_returns_and_advantage(torch.zeros(CARS, 1), torch.zeros(CARS).bool())
        found = []
        for batch in storage.get(4):
            number = batch.old_values
            assert torch.equal(batch.old_log_prob, number)
            assert torch.equal(batch.actions.view(len(number), -1)[:, 0], number.to(batch.actions))
            assert torch.equal(batch.observations["state"], number[:, None].repeat(1, 7))
            frames = batch.observations["camera"]
            assert frames.shape[1:] == FRAME.shape
            assert frames.dtype == torch.uint8
            assert torch.equal(frames.float().amax(dim=(1, 2, 3)), number)
            assert torch.equal(frames.float().amin(dim=(1, 2, 3)), number)
            found += number.tolist()
        assert sorted(found) == [10.0 * step + car for step in range(STEPS) for car in range(CARS)]


def test_the_order_of_the_samples_is_drawn_anew_and_repeats_with_the_seed():
    storage = storage_of(STATE)
    fill_numbers = [numbered(step)["state"] for step in range(STEPS)]
    zeros = torch.zeros(CARS)
    for seen in fill_numbers:
        storage.add(seen, torch.zeros(CARS, 2), zeros, zeros, seen[:, :1], zeros)
    torch.manual_seed(1)
    first, second = (torch.cat([b.old_values for b in storage.get(4)]) for _ in range(2))
    torch.manual_seed(1)
    again = torch.cat([batch.old_values for batch in storage.get(4)])
    assert torch.equal(first, again)
    assert not torch.equal(first, second)


def test_frames_keep_the_simulators_order_in_memory():
    storage = storage_of(BOTH)
    fill(storage)
    assert storage.observations["camera"].shape == (STEPS, CARS, *FRAME.shape)
    (batch,) = storage.get()
    for frames in (storage.observations["camera"][0], batch.observations["camera"]):
        assert frames.is_contiguous(memory_format=torch.channels_last)


def test_a_second_rollout_is_written_into_the_same_tensors():
    storage = storage_of(BOTH)
    fill(storage)
    before = storage.observations["camera"].data_ptr(), storage.rewards.data_ptr()
    fill(storage)
    assert (storage.observations["camera"].data_ptr(), storage.rewards.data_ptr()) == before


def test_a_reward_gets_the_value_of_the_last_observation_of_an_episode_that_the_clock_ended():
    storage = storage_of(BOTH)
    fill(storage)
    paid = storage.rewards.clone()
    storage.reset()
    for step in range(STEPS):
        zeros = torch.zeros(CARS)
        number = 10.0 * step + torch.arange(CARS)
        storage.add(numbered(step), torch.zeros(CARS, 2), zeros, zeros, zeros, zeros)
        storage.pay(number)
        # The clock ends car 1 in step 2 and car 2 in step 4.
        late = torch.tensor([False, step == 2, step == 4])
        storage.keep_final(numbered(step, offset=100), late)

    def worth(seen: Any) -> torch.Tensor:
        return seen["state"][:, :1] + seen["camera"][:, :1, 0, 0].float()

    storage.bootstrap(worth)
    expected = paid.clone()
    expected[2, 1] += GAMMA * 2 * 121.0
    expected[4, 2] += GAMMA * 2 * 142.0
    torch.testing.assert_close(storage.rewards, expected)
    storage.bootstrap(lambda seen: torch.ones(CARS, 1))
    torch.testing.assert_close(storage.rewards, expected, msg="nothing is added twice")


def test_the_advantages_of_the_same_rollout_are_stable_baselines3s_to_the_bit():
    rng = np.random.default_rng(0)
    mine = storage_of(STATE)
    theirs = RolloutBuffer(STEPS, STATE, STEERING, "cpu", 0.95, GAMMA, CARS)
    for _ in range(STEPS):
        seen, action = rng.normal(size=(CARS, 7)), rng.normal(size=(CARS, 2))
        reward, value, odds = rng.normal(size=(3, CARS)).astype(np.float32)
        starts = rng.random(CARS) < 0.3
        critic = torch.from_numpy(value), torch.from_numpy(odds)
        taken, paid, began = (torch.from_numpy(one) for one in (action, reward, starts))
        mine.add(torch.from_numpy(seen), taken, paid, began, *critic)
        theirs.add(seen, action, reward, starts, *critic)
    dones = rng.random(CARS) < 0.5
    mine.compute_returns_and_advantage(torch.ones(CARS, 1), torch.from_numpy(dones))
    theirs.compute_returns_and_advantage(torch.ones(CARS, 1), dones)
    for part in ("advantages", "returns"):
        assert np.array_equal(getattr(mine, part).numpy(), getattr(theirs, part)), part


@pytest.mark.parametrize(("seen", "size"), [(STATE, 28), (BOTH, 28 + 48)])
def test_a_car_takes_the_memory_of_its_steps_and_of_one_more_observation(seen, size):
    # A step: the observation, two numbers of the action, and six others. And where to bootstrap.
    assert storage_of(seen).bytes_per_car == STEPS * (size + 4 * (2 + 6)) + size + 8
