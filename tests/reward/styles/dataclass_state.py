from __future__ import annotations

from dataclasses import dataclass, field
from typing import List


@dataclass
class State:
    speeds: List[float] = field(default_factory=list)
    episode: int = 0

    def push(self, params: dict) -> float:
        if params["steps"] == 1:
            self.speeds.clear()
            self.episode += 1
        self.speeds.append(params["speed"])
        return sum(self.speeds) / len(self.speeds)


STATE = State()


def reward_function(params: dict) -> float:
    return STATE.push(params) + STATE.episode
