"""A reward file at work in a race: one instance of it for each car."""

from __future__ import annotations

from typing import Any

import numpy as np

from racer.car.spec import CarSpec
from racer.race import Race
from racer.reward.params import ParamsBuilder, StepFacts, facts_of_cars
from racer.reward.reward_file import RewardSource


class CarRewards:
    """The rewards of n cars, each from its own instance of the reward file.

    Args:
        source: The reward file.
        race: The race of the n cars.
        spec: Their vehicle.

    Raises:
        RewardError: The file raises or hangs when it is run.
    """

    def __init__(self, source: RewardSource, race: Race, spec: CarSpec) -> None:
        self._source, self._race = source, race
        self._functions = source.functions(race.n)
        self._params = [
            ParamsBuilder(line, spec, is_reversed)
            for line, is_reversed in zip(race.roads.lines, race.roads.is_reversed.tolist())
        ]

    def renew(self) -> None:
        """Run the file anew for every car, so that no instance remembers earlier episodes.

        Raises:
            RewardError: The file raises or hangs.
        """
        self._functions = self._source.functions(self._race.n)

    def of_step(self, cars: np.ndarray) -> np.ndarray:
        """Return the rewards of the step that the race just made, (n,).

        Args:
            cars: The cars whose function is called, (k,); the others get 0.

        Raises:
            RewardError: A function raises, hangs or returns what is no number.
        """
        race, rewards = self._race, np.zeros(self._race.n)
        facts, road = StepFacts.of(race), race.road.of(cars)
        with self._source.watched():
            for line, which in race.roads.groups(road):
                members = cars[which]
                own = facts if len(members) == race.n else facts_of_cars(facts, members)
                for car, params in zip(members.tolist(), self._params[line].build_all(own)):
                    rewards[car] = self._source.call(self._functions[car], params)
        return rewards

    def get_state(self) -> dict[str, Any]:
        """Return the variables of each car's instance, and the file's hash.

        Raises:
            RewardError: A variable cannot be saved, such as an open file.
        """
        memories = [self._source.remembered(function) for function in self._functions]
        return {"sha256": self._source.sha256, "memories": memories}

    def set_state(self, state: dict[str, Any] | None) -> None:
        """Restore the variables of such a state, unless it is of another reward file."""
        if state and state["sha256"] == self._source.sha256:
            pairs = zip(self._functions, state["memories"])
            self._functions = [self._source.remember(*pair) for pair in pairs]
