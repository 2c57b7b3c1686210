"""Copies and pickles of an environment, and its Gymnasium spec."""

from __future__ import annotations

import copy
from typing import Any

from gymnasium.envs.registration import EnvSpec

from racer.envs.arguments import refuse_other
from racer.errors import ConfigError
from racer.registration import ARGUMENTS


class CopiedByState:
    """Copy and pickle an environment as its constructor's arguments and its state."""

    _arguments: dict[str, Any]
    _spec: EnvSpec | None = None

    @property
    def spec(self) -> EnvSpec | None:
        """The spec that `gymnasium.make` or `make_vec` set, with the true `max_episode_steps`."""
        return self._spec

    @spec.setter
    def spec(self: Any, value: EnvSpec | None) -> None:
        if value is not None and value.id in ARGUMENTS:
            try:
                refuse_other(self.config.race.kind, ARGUMENTS[value.id]["kind"])
            except ConfigError:
                self.close()
                raise
        if value is not None:
            value = copy.deepcopy(value)
            value.max_episode_steps = self.max_episode_steps
        self._spec = value

    def __getstate__(self: Any) -> dict[str, Any]:
        return {"arguments": self._arguments, "spec": self._spec, "state": self.get_state()}

    def __setstate__(self: Any, saved: dict[str, Any]) -> None:
        self.__init__(**saved["arguments"])
        self._spec = saved["spec"]
        self.set_state(saved["state"])
