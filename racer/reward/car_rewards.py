"""A reward file at work in a race: compiled for all cars, or one instance of it for each car."""

from __future__ import annotations

from typing import Any

import numpy as np

from racer.car.spec import CarSpec
from racer.race import Race
from racer.reward.compiler.types import NotCompiled
from racer.reward.params import ParamsBuilder, StepFacts, facts_of_cars
from racer.reward.reward_file import RewardFunction, RewardSource

MIN_COMPILED_CARS = 8
"""With fewer cars a reward is not compiled: that takes longer than it can save."""


class CarRewards:
    """The rewards of n cars, as the Python file pays them, each car with variables of its own.

    Args:
        source: The reward file.
        race: The race of the n cars.
        spec: Their vehicle.
        is_compiled: Whether the file may be compiled. It is if it can be, for `MIN_COMPILED_CARS`
            or more; every value is the same.

    Attributes:
        not_compiled: Why the file is called as Python; None if its compiled code is.

    Raises:
        RewardError: The file raises or hangs when it is run.
    """

    def __init__(
        self, source: RewardSource, race: Race, spec: CarSpec, is_compiled: bool = True
    ) -> None:
        self._source, self._race = source, race
        self._params = [
            ParamsBuilder(line, spec, is_reversed)
            for line, is_reversed in zip(race.roads.lines, race.roads.is_reversed.tolist())
        ]
        self._functions: list[RewardFunction] = []
        self._memory = np.zeros((race.n, 0))
        self.not_compiled: NotCompiled | None = None
        if not is_compiled:
            self.not_compiled = NotCompiled("it was asked not to be")
        elif race.n < MIN_COMPILED_CARS:
            self.not_compiled = NotCompiled(f"it pays fewer than {MIN_COMPILED_CARS} cars")
        else:
            self._compile()
        self.renew()

    def _compile(self) -> None:
        from racer.reward.compiled_reward import PythonSteps, compile_reward

        try:
            tracks = list(self._race.roads.lines[::2])
            self._compiled, self.proof = compile_reward(self._source, tracks)
            self._steps = PythonSteps(self._source, self._compiled)
        except NotCompiled as problem:
            self.not_compiled = problem

    def renew(self) -> None:
        """Run the file anew for every car, so that no instance remembers earlier episodes.

        Raises:
            RewardError: The file raises or hangs.
        """
        if self.not_compiled is None:
            self._memory = np.tile(self._steps.first, (self._race.n, 1))
        else:
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
        for line, which in race.roads.groups(road):
            members = cars[which]
            own = facts if len(members) == race.n else facts_of_cars(facts, members)
            if self.not_compiled is None:
                members, own = self._pay_compiled(members, own, self._params[line], rewards)
            if len(members):
                self._pay_in_python(members, self._params[line].build_all(own), rewards)
        return rewards

    def _pay_in_python(
        self, cars: np.ndarray, told: list[dict[str, Any]], rewards: np.ndarray
    ) -> None:
        with self._source.watched():
            for car, params in zip(cars.tolist(), told):
                rewards[car] = self._source.call(self._functions[car], params)

    def _pay_compiled(
        self, cars: np.ndarray, facts: StepFacts, builder: ParamsBuilder, rewards: np.ndarray
    ) -> tuple[np.ndarray, StepFacts]:
        """Pay cars by the compiled code, and return those that remain, with their facts."""
        params = builder.arrays(facts)
        failures = self._compiled.pay(self._memory, cars, rewards, params, builder.centre)
        left = np.flatnonzero(failures)
        if not len(left) and not self._compiled.prints:
            return left, facts
        told = dict(zip(left.tolist(), builder.build_all(facts_of_cars(facts, left))))
        to_see = range(len(cars)) if self._compiled.prints else told
        remaining = left[:0]
        for number in to_see:
            if number not in told:
                self._compiled.print_of(number)
            elif self.not_compiled is None:
                car = cars[number]
                try:
                    with self._source.watched():
                        rewards[car] = self._steps.call(self._memory[car], told[number])
                except NotCompiled as problem:
                    rewards[car] = self._steps.reward
                    self._leave_compiled(problem, car)
                    remaining = left[left > number]
        return cars[remaining], facts_of_cars(facts, remaining)

    def _leave_compiled(self, problem: NotCompiled, changed: int) -> None:
        """Go on with an instance of the file for each car.

        Args:
            problem: Why.
            changed: The car whose step was made last, in the run of `PythonSteps`.
        """
        own = self._steps.remembered()
        self._functions = self._source.functions(self._race.n)
        for car, function in enumerate(self._functions):
            self._compiled.write(self._source.module_of(function), self._memory[car])
        self._functions[changed] = self._source.remember(self._functions[changed], own)
        self.not_compiled = problem

    def get_state(self) -> dict[str, Any]:
        """Return the variables of each car's instance, and the file's hash.

        Raises:
            RewardError: A variable cannot be saved, such as an open file.
        """
        if self.not_compiled is None:
            memories = [self._steps.memory_of(row) for row in self._memory]
        else:
            memories = [self._source.remembered(function) for function in self._functions]
        return {"sha256": self._source.sha256, "memories": memories}

    def set_state(self, state: dict[str, Any] | None) -> None:
        """Restore the variables of such a state, unless it is of another reward file."""
        if not state or state["sha256"] != self._source.sha256:
            return
        functions = self._functions
        if self.not_compiled is None:
            try:
                rows = [self._steps.row_of(memory) for memory in state["memories"]]
                self._memory = np.array(rows).reshape(self._memory.shape)
                return
            except NotCompiled as problem:
                self.not_compiled = problem
                functions = self._source.functions(self._race.n)
        pairs = zip(functions, state["memories"])
        self._functions = [self._source.remember(*pair) for pair in pairs]
