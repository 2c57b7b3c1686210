"""Rollouts that cross to the device once an update, not once a minibatch."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.buffers import DictRolloutBuffer, RolloutBuffer
from stable_baselines3.common.type_aliases import RolloutBufferSamples
from stable_baselines3.common.vec_env import VecNormalize


class DeviceRolloutBuffer(RolloutBuffer):
    """Stable-Baselines3's rollout buffer, its minibatches gathered on the device that learns.

    A rollout crosses once an update, frames as uint8, from pinned memory where the device is a
    GPU. The minibatches are its parent's, to the bit.
    """

    def reset(self) -> None:
        """Forget the rollout."""
        super().reset()
        self._crossed: dict[str, Any] = {}

    def _get_samples(self, batch_inds: np.ndarray, env: VecNormalize | None = None) -> Any:
        self._crossed = self._crossed or self._cross()
        index = torch.as_tensor(batch_inds, device=self.device)

        def pick(part: Any) -> Any:
            if isinstance(part, dict):
                return {name: pick(values) for name, values in part.items()}
            return part.index_select(0, index)

        return RolloutBufferSamples(**pick(self._crossed))

    def _cross(self) -> dict[str, Any]:
        """All samples on the device, as a minibatch names them."""

        def cross(values: np.ndarray) -> torch.Tensor:
            here = torch.from_numpy(values)
            # What is pinned crosses while the host goes on.
            here = here.pin_memory() if self.device.type == "cuda" else here
            return here.to(self.device, non_blocking=True)

        seen: Any = self.observations
        several = isinstance(seen, dict)
        return {
            "observations": {k: cross(v) for k, v in seen.items()} if several else cross(seen),
            "actions": cross(self.actions.astype(np.float32, copy=False)),
            "old_values": cross(self.values.ravel()),
            "old_log_prob": cross(self.log_probs.ravel()),
            "advantages": cross(self.advantages.ravel()),
            "returns": cross(self.returns.ravel()),
        }


class DeviceDictRolloutBuffer(DeviceRolloutBuffer, DictRolloutBuffer):
    """The same for observations of several sensors."""


def rollout_buffer_class(space: spaces.Space) -> type[RolloutBuffer]:
    """The buffer for observations of a space."""
    return DeviceDictRolloutBuffer if isinstance(space, spaces.Dict) else DeviceRolloutBuffer
