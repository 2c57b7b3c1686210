"""Letters between jobs that run on nodes and the process that started them."""

from __future__ import annotations

import time
from collections.abc import Hashable
from typing import Any

ANSWER_POLL_S = 0.2
"""Time between two looks for an answer [s]."""


class Letters:
    """The questions of jobs and their answers, in a process that all can reach."""

    def __init__(self) -> None:
        self._questions: list[tuple[Hashable, Any]] = []
        self._answers: dict[Hashable, list[Any]] = {}

    def put(self, sender: Hashable, question: Any) -> None:
        """Keep a question of a job.

        Args:
            sender: The job's key.
            question: The question.
        """
        self._answers.pop(sender, None)
        self._questions.append((sender, question))

    def take_questions(self) -> list[tuple[Hashable, Any]]:
        """Return the questions that nobody took yet, each with its sender."""
        taken, self._questions = self._questions, []
        return taken

    def answer(self, sender: Hashable, answer: Any) -> None:
        """Keep the answer for a job.

        Args:
            sender: The job's key.
            answer: The answer.
        """
        self._answers[sender] = [answer]

    def answer_of(self, sender: Hashable) -> list[Any]:
        """Return the answer to a job's last question in a list, which is empty without one."""
        return self._answers.pop(sender, [])


class Mailbox:
    """A handle of `Letters`, which can be passed to jobs.

    Args:
        letters: Ray's handle of the process with the letters.
    """

    def __init__(self, letters: Any) -> None:
        self._letters = letters

    def ask(self, sender: Hashable, question: Any) -> Any:
        """Send a question from a job, wait for the answer, and return it.

        Args:
            sender: The job's key.
            question: The question.
        """
        import ray

        ray.get(self._letters.put.remote(sender, question))
        while not (found := ray.get(self._letters.answer_of.remote(sender))):
            time.sleep(ANSWER_POLL_S)
        return found[0]

    def questions(self) -> list[tuple[Any, Any]]:
        """Return the questions that came since the last call, each with its sender."""
        import ray

        return ray.get(self._letters.take_questions.remote())

    def answer(self, sender: Hashable, answer: Any) -> None:
        """Answer a job's question.

        Args:
            sender: The job's key.
            answer: The answer.
        """
        import ray

        ray.get(self._letters.answer.remote(sender, answer))

    def close(self) -> None:
        """End the process with the letters."""
        import ray

        ray.kill(self._letters)
