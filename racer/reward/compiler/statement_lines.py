"""The lines of a function's translation, and the checks for failures between them."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from racer.reward.compiler.python_numbers import UNCERTAIN
from racer.reward.compiler.translation import CompiledFunction, CompiledValue
from racer.reward.compiler.types import Static, Type, zero

if TYPE_CHECKING:
    from racer.reward.compiler.translation import RewardTranslation

MAX_TURNS = 10_000_000
"""Turns of all loops in a step after which it is left to Python, whose time limit ends it."""


@dataclass
class ValueSeries:
    """Something to go through.

    Attributes:
        length: The code of its length.
        item: Returns an item for the code of an index in range.
        kind: The type of its items; None if it is empty.
        grows: The code of a list whose length must be read each time; "" if it is fixed.
    """

    length: str
    item: Callable[[str], CompiledValue]
    kind: Type | None
    grows: str = ""


class StatementLines:
    """Collects the lines of one function.

    Args:
        program: The translation that it is part of.
        function: The function.

    Attributes:
        line: The line of the reward file that is being translated.
        can_fail: Whether a failure may have been noted that no line has checked yet.
        blocks: The kinds of the blocks that enclose the next line: "loop" and "try".
    """

    def __init__(self, program: RewardTranslation, function: CompiledFunction) -> None:
        self.program, self.own = program, function
        self.lines: list[str] = []
        self.indent = 1
        self.count = itertools.count()
        self.can_fail = False
        self.blocks: list[str] = []
        self.line: int | None = None

    def emit(self, text: str) -> None:
        """Add a line."""
        self.lines.append("    " * self.indent + text)

    @contextmanager
    def indented(self, head: str) -> Iterator[None]:
        """Add a head, and indent the lines that are added inside."""
        self.emit(head)
        self.indent += 1
        before = len(self.lines)
        yield
        if len(self.lines) == before:
            self.emit("pass")
        self.indent -= 1

    def temp(self, code: str) -> str:
        """Add an assignment to a new name, and return the name."""
        name = f"t{next(self.count)}"
        self.emit(f"{name} = {code}")
        return name

    def atom(self, value: CompiledValue) -> CompiledValue:
        """Return a value whose code may be repeated, and does not change later."""
        code = value.code
        if isinstance(value.type, Static) or not code or (code[0] in "tack" and code.isalnum()):
            return value
        if code.isdigit() or code in ("True", "False"):
            return value
        return CompiledValue(value.type, self.temp(code))

    def zero_of(self, kind: Type | None) -> str:
        """Return the code of some value of a type."""
        return zero(kind)

    def checked(self, code: str) -> str:
        """Return a code that may fail, and note that."""
        self.can_fail = True
        return code

    def note_failure(self) -> None:
        """Note that a line before may have failed."""
        self.can_fail = True

    def check(self) -> None:
        """Leave the block if something has failed."""
        if self.can_fail:
            self.leave_if_failed()
            self.can_fail = False

    def leave_if_failed(self) -> None:
        """Add lines that leave the `try`, or else the function, if something has failed."""
        with self.indented("if e[0] != 0:"):
            self.emit("break" if "try" in self.blocks else f"return {self.nothing()}")

    def nothing(self) -> str:
        """Return the code of what the function returns after a failure."""
        return zero(self.own.ret)

    def fail_with(self, code: int) -> None:
        """Add lines that note a failure and leave."""
        self.emit(f"fail(e, {code})")
        self.can_fail = True
        self.check()

    def begin_loop(self, series: ValueSeries) -> str:
        """Add the head of a loop, and return the code of its index."""
        index = f"i{next(self.count)}"
        if not series.grows:
            self.emit(f"for {index} in range({series.length}):")
            self.indent += 1
            self.count_turn()
            self.indent -= 1
            return index
        self.emit(f"{index} = -1")
        self.emit("while True:")
        self.indent += 1
        self.emit(f"{index} += 1")
        with self.indented(f"if {index} >= len({series.grows}):"):
            self.emit("break")
        self.count_turn()
        self.indent -= 1
        return index

    def count_turn(self) -> None:
        """Add lines that leave a loop, with a failure, after too many turns in one step."""
        self.emit("e[1] += 1")
        with self.indented(f"if e[1] > {MAX_TURNS}:"):
            self.emit(f"fail(e, {UNCERTAIN})")
            self.emit("break")

    @contextmanager
    def looped(self, series: ValueSeries) -> Iterator[str]:
        """Add a loop whose body is added inside."""
        index = self.begin_loop(series)
        self.indent += 1
        self.blocks.append("loop")
        yield index
        self.blocks.pop()
        self.indent -= 1
        self.can_fail = True  # A failure in a `try` leaves only the loop.

    # What knows the expressions of the language fills these in.

    def visit(self, node: ast.expr) -> CompiledValue:
        """Return the value of an expression."""
        raise NotImplementedError

    def number(self, value: CompiledValue) -> CompiledValue:
        """Return a value to calculate with."""
        raise NotImplementedError

    def as_float(self, value: CompiledValue) -> str:
        """Return the code of a number as a float."""
        raise NotImplementedError

    def truth(self, value: CompiledValue) -> str:
        """Return the code of whether Python takes a value as true."""
        raise NotImplementedError

    def series_of(self, value: CompiledValue) -> ValueSeries:
        """Return a sequence as something to go through."""
        raise NotImplementedError

    def iterable(self, node: ast.expr) -> ValueSeries:
        """Return what a loop goes through."""
        raise NotImplementedError

    def binary(self, operator: type, left: CompiledValue, right: CompiledValue) -> CompiledValue:
        """Return the value of an operator between two values.

        Args:
            operator: Class of the operator's node.
            left, right: The values.
        """
        raise NotImplementedError
