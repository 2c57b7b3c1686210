"""Translates texts that a reward file makes and prints.

The generated code makes no text: it keeps the values that go into one, in order, behind what the
file remembers of the car. After the step Python makes the text from them, and prints it, by the
file's own expression.
"""

from __future__ import annotations

import ast
import io
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from typing import Any

import numpy as np

from racer.reward.compiler.statement_lines import StatementLines
from racer.reward.compiler.translation import CompiledValue, TextSite, to_floats
from racer.reward.compiler.types import (
    BOOL,
    FLOAT,
    INT,
    MADE_TEXT,
    NONE,
    NPFLOAT,
    NPINT,
    NUM,
    MadeText,
    NotCompiled,
    Optional_,
    Scalar,
    Static,
    Tup,
    Type,
    Words,
    named,
    texts_of,
)

LONGEST_CONSTANT = 1000
"""A text that is repeated by a constant is made beforehand up to this length."""
DECODED = {
    NONE: "None",
    BOOL: "(r[at + {0}] != 0.0)",
    INT: "int(r[at + {0}])",
    FLOAT: "r[at + {0}]",
    NUM: "(int(r[at + {0}]) if r[at + {1}] else r[at + {0}])",
    NPINT: "int64(int(r[at + {0}]))",
    NPFLOAT: "float64(r[at + {0}])",
}
"""The Python expression of a value that is kept as the floats r[at:]."""
EXAMPLES = {
    NONE: [()],
    BOOL: [(0.0,), (1.0,)],
    INT: [(0.0,), (-1.0,), (2.0**53,)],
    FLOAT: [(0.5,), (-3e300,), (np.inf,), (np.nan,)],
    NUM: [(0.5, 0.0), (-3.0, 1.0), (np.inf, 0.0), (np.nan, 0.0)],
    NPINT: [(0.0,), (-1.0,), (2.0**53,)],
    NPFLOAT: [(0.5,), (-3e300,), (np.inf,), (np.nan,)],
}
"""Values that must not make an expression of a text fail, as they are kept."""


class TextWriter(StatementLines):
    """Writes what keeps the values of texts."""

    def _see_JoinedStr(self, node: ast.JoinedStr) -> CompiledValue:
        values: list[CompiledValue] = []

        def held(part: ast.expr) -> ast.expr:
            if isinstance(part, ast.FormattedValue):
                values.append(self.visit(part.value))
                name = ast.Name(f"v{len(values) - 1}", ast.Load())
                spec = None if part.format_spec is None else held(part.format_spec)
                return ast.FormattedValue(name, part.conversion, spec)
            if isinstance(part, ast.JoinedStr):
                return ast.JoinedStr([held(one) for one in part.values])
            return part

        return self._made(held(node), values)

    def text_operator(
        self, operator: type, left: CompiledValue, right: CompiledValue
    ) -> CompiledValue | None:
        """Return the text that an operator makes of a text and something; None of anything else.

        Args:
            operator: Class of the operator's node.
            left, right: The operands.
        """
        kinds = left.type, right.type
        are_texts = [texts_of(kind) is not None or kind == MADE_TEXT for kind in kinds]
        known = [kind.value for kind in kinds if isinstance(kind, Static)]
        if operator is ast.Mult and any(are_texts):
            times = right.code if are_texts[0] else left.code
            is_known = len(known) == 1 and times.isdigit()
            if is_known and len(known[0]) * int(times) <= LONGEST_CONSTANT:
                return CompiledValue(Static(known[0] * int(times)))
        if operator is ast.Add and all(are_texts):
            if len(known) == 2:
                return CompiledValue(Static(known[0] + known[1]))
            return self._made(_expression("v0 + v1"), [left, right])
        if operator is ast.Mod and are_texts[0]:
            return self._made(_expression("v0 % v1"), [left, right])
        return None

    def formatted(self, text: CompiledValue, node: ast.Call) -> CompiledValue:
        """Return the text that a call of `format`, a text's method, makes.

        Args:
            text: The text.
            node: The call.
        """
        function = ast.Attribute(ast.Name("v0", ast.Load()), "format", ast.Load())
        return self._called(function, [text], node)

    def printed(self, node: ast.Call) -> CompiledValue:
        """Keep the values that a call of `print` prints; it returns None."""
        if any(one.arg not in ("sep", "end", "flush") for one in node.keywords):
            raise NotCompiled("print to a file", node.lineno)
        self._called(ast.Name("print", ast.Load()), [], node)
        return CompiledValue(NONE, "0")

    def _builtin_str(self, args: list[ast.expr]) -> CompiledValue:
        return self._text_of("str", args)

    def _builtin_repr(self, args: list[ast.expr]) -> CompiledValue:
        return self._text_of("repr", args)

    def _builtin_format(self, args: list[ast.expr]) -> CompiledValue:
        return self._text_of("format", args)

    def _text_of(self, function: str, args: list[ast.expr]) -> CompiledValue:
        values = [self.visit(one) for one in args]
        names = ", ".join(f"v{i}" for i in range(len(values)))
        return self._made(_expression(f"{function}({names})"), values)

    def _called(
        self, function: ast.expr, before: list[CompiledValue], node: ast.Call
    ) -> CompiledValue:
        values = before + [self.visit(one) for one in node.args]
        values += [self.visit(one.value) for one in node.keywords]
        names = [ast.Name(f"v{i}", ast.Load()) for i in range(len(before), len(values))]
        args, named_args = names[: len(node.args)], names[len(node.args) :]
        keywords = [ast.keyword(one.arg, name) for one, name in zip(node.keywords, named_args)]
        return self._made(ast.Call(function, [*args], keywords), values)

    def _made(self, expression: ast.expr, values: list[CompiledValue]) -> CompiledValue:
        """Keep the values of a text.

        Args:
            expression: How Python makes it, of the names v0, v1, ...
            values: What these names stand for.
        """
        size, parts, kept = 1, {}, []
        for i, value in enumerate(values):
            if value.type == INT and value.code.isdigit():  # A constant.
                parts[f"v{i}"] = _expression(value.code)
                continue
            code, size = _decoded(value.type, size)
            parts[f"v{i}"] = _expression(code)
            kept.append(value)
        body = _Filled(parts).visit(expression)
        _refuse_what_may_fail(_function(body, "", 1), [value.type for value in kept])
        make = _function(body, self.program.filename, self.line or 1)
        self.program.sites.append(TextSite(make, size))
        kept = [self.atom(value) for value in kept]
        self.check()
        place = self.temp("e[2]")
        self.emit(f"keep(e, s, {len(self.program.sites) - 1}.0)")
        for value in kept:
            for code in to_floats(value):
                self.emit(f"keep(e, s, {code})")
        self.note_failure()
        return CompiledValue(MADE_TEXT, place)


class _Filled(ast.NodeTransformer):
    """Puts expressions in the place of names."""

    def __init__(self, parts: dict[str, ast.expr]) -> None:
        self._parts = parts

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self._parts.get(node.id, node)


def _expression(code: str) -> ast.expr:
    return ast.parse(code, mode="eval").body


def _function(body: ast.expr, filename: str, line: int) -> Callable[..., Any]:
    """Return the function of a record's floats `r` from `at`, and of the texts made before."""
    made = _expression("lambda r, at, texts: 0")
    assert isinstance(made, ast.Lambda)
    made.body = body
    for node in ast.walk(made):
        if "lineno" in node._attributes:
            node.lineno = node.end_lineno = line  # type: ignore
            node.col_offset = node.end_col_offset = 0  # type: ignore
    code = compile(ast.Expression(made), filename, "eval")
    return eval(code, {"int64": np.int64, "float64": np.float64})


def _decoded(kind: Type, at: int) -> tuple[str, int]:
    """Return the Python expression of a value that is kept as floats, and the offset behind them.

    Raises:
        NotCompiled: Python may show such a value in more than one way.
    """
    if isinstance(kind, Static) and isinstance(kind.value, str):
        return repr(kind.value), at
    if isinstance(kind, Words):
        return f"{kind.texts!r}[int(r[at + {at}])]", at + 1
    if isinstance(kind, MadeText):
        return f"texts[r[at + {at}]]", at + 1
    if isinstance(kind, Optional_):
        inner, after = _decoded(kind.of, at + 1)
        return f"(None if r[at + {at}] else {inner})", after
    if isinstance(kind, Tup) and kind.form != "array":
        parts = []
        for one in kind.items:
            part, at = _decoded(one, at)
            parts.append(part)
        return (f"[{', '.join(parts)}]" if kind.form == "list" else f"({', '.join(parts)},)"), at
    if isinstance(kind, Scalar) and kind in DECODED:
        return DECODED[kind].format(at, at + 1), at + len(EXAMPLES[kind][0])
    raise NotCompiled(f"a text with {named(kind)} in it")


def _examples(kind: Type, which: int) -> Iterator[float]:
    """Yield the floats of one of some values of a type."""
    if isinstance(kind, Optional_):
        yield float(which % 2)
        yield from _examples(kind.of, which // 2)
    elif isinstance(kind, Tup):
        for one in kind.items:
            yield from _examples(one, which)
    elif isinstance(kind, Words | MadeText):
        yield float(which % len(kind.texts)) if isinstance(kind, Words) else 0.0
    elif isinstance(kind, Scalar):
        yield from EXAMPLES[kind][which % len(EXAMPLES[kind])]


class _AnyText(dict[float, str]):
    def __missing__(self, place: float) -> str:
        return "text"


def _refuse_what_may_fail(make: Callable[..., Any], kinds: list[Type]) -> None:
    """Raise NotCompiled if an expression of a text fails for some values of these types."""
    for which in range(12):
        row = [0.0, *(one for kind in kinds for one in _examples(kind, which))]
        try:
            with redirect_stdout(io.StringIO()):
                make(row, 0, _AnyText())
        except Exception as problem:
            what = f"a text that may fail, {type(problem).__name__}: {problem}"
            raise NotCompiled(f"{what:.100}") from None
