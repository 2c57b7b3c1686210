"""Rollout buffers that copy a rollout to the device once per update, not once per minibatch."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.buffers import DictRolloutBuffer, RolloutBuffer
from stable_baselines3.common.type_aliases import RolloutBufferSamples
from stable_baselines3.common.vec_env import VecNormalize


class DeviceRolloutBuffer(RolloutBuffer):
    """Stable-Baselines3's rollout buffer, whose minibatches are gathered on the learner's device.

    Before the first minibatch of an update, the whole rollout is copied to the device: images as
    uint8, and from pinned memory if the device is a GPU. The minibatches equal those of
    Stable-Baselines3's `RolloutBuffer` bit for bit.
    """

    def reset(self) -> None:
        """Clear the rollout, and its copy on the device."""
        super().reset()
        self._on_device: dict[str, Any] = {}

    def _get_samples(self, batch_inds: np.ndarray, env: VecNormalize | None = None) -> Any:
        self._on_device = self._on_device or self._copy_to_device()
        index = torch.as_tensor(batch_inds, device=self.device)

        def pick(part: Any) -> Any:
            if isinstance(part, dict):
                return {name: pick(values) for name, values in part.items()}
            return part.index_select(0, index)

        return RolloutBufferSamples(**pick(self._on_device))

    def _copy_to_device(self) -> dict[str, Any]:
        """Copy all samples to the device, by the names of `RolloutBufferSamples`' fields."""

        def copy(values: np.ndarray) -> torch.Tensor:
            here = torch.from_numpy(values)
            # From pinned memory a copy runs asynchronously, while the host continues.
            here = here.pin_memory() if self.device.type == "cuda" else here
            return here.to(self.device, non_blocking=True)

        seen: Any = self.observations
        several = isinstance(seen, dict)
        return {
            "observations": {k: copy(v) for k, v in seen.items()} if several else copy(seen),
            "actions": copy(self.actions.astype(np.float32, copy=False)),
            "old_values": copy(self.values.ravel()),
            "old_log_prob": copy(self.log_probs.ravel()),
            "advantages": copy(self.advantages.ravel()),
            "returns": copy(self.returns.ravel()),
        }


class DeviceDictRolloutBuffer(DeviceRolloutBuffer, DictRolloutBuffer):
    """A `DeviceRolloutBuffer` for a dict of observations of several sensors."""


def rollout_buffer_class(space: spaces.Space) -> type[RolloutBuffer]:
    """Return the class of the rollout buffer for observations of a space."""
    return DeviceDictRolloutBuffer if isinstance(space, spaces.Dict) else DeviceRolloutBuffer
