"""Translates calls of builtins, of `math` and of numpy in a reward file."""

from __future__ import annotations

import ast
import builtins
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from racer.reward.compiler.python_numbers import ADDRESS, BAD_VALUE, IS_SUM_COMPENSATED, UNCERTAIN
from racer.reward.compiler.statement_lines import ValueSeries
from racer.reward.compiler.text_writer import TextWriter
from racer.reward.compiler.translation import CompiledValue, coerced
from racer.reward.compiler.types import (
    BOOL,
    BOOLS,
    FLOAT,
    FLOATS,
    INT,
    INTS,
    NONE,
    NPBOOL,
    NPFLOAT,
    NPINT,
    NUM,
    NUMPY,
    NotCompiled,
    Rows,
    Scalar,
    Static,
    Tup,
    Type,
    join,
    named,
)

MAX_SUMMED = 7
"""numpy adds up to this many numbers one after another, and more in several sums at once."""

LIBRARY = {
    **dict.fromkeys(("sin", "cos", "tan", "atan", "sinh", "cosh", "tanh"), "libm_unary"),
    **dict.fromkeys(("exp", "expm1"), "libm_unary"),
    **dict.fromkeys(("log", "log2", "log10"), "libm_log"),
    **dict.fromkeys(("asin", "acos"), "libm_arc"),
}
"""Functions of `math` by the name of what computes them here."""
OF_NUMPY = {
    **{name: name for name in ("sin", "cos", "tan", "arcsin", "arccos", "arctan", "tanh")},
    **{name: name for name in ("sinh", "cosh", "exp", "expm1", "log", "log2", "log10", "log1p")},
}


class KnownFunctions(TextWriter):
    """Writes calls of functions that are not of the file."""

    def call_known(self, function: Any, node: ast.Call) -> CompiledValue:
        """Return the value of a call.

        Args:
            function: What is called.
            node: The call.

        Raises:
            NotCompiled: The call cannot be translated.
        """
        if function is print:
            return self.printed(node)
        named_args = {one.arg: one.value for one in node.keywords}
        args = node.args
        name = getattr(function, "__name__", "")
        module = None
        if getattr(builtins, name, None) is function:
            module = "builtin"
        elif getattr(math, name, None) is function:
            module = "math"
        elif getattr(np, name, None) is function:
            module = "numpy"
        elif getattr(np.linalg, name, None) is function:
            module = "linalg"
        write = getattr(self, f"_{module}_{name}", None) if module else None
        if write is not None and not named_args:
            return write(args)
        if module == "numpy" and name in OF_NUMPY and len(args) == 1 and not named_args:
            return self._ufunc(OF_NUMPY[name], args)
        if module == "math" and name in LIBRARY and len(args) == 1:
            return self._libm(name, args)
        if function in (np.abs, np.fabs) and len(args) == 1:
            return self._numpy_abs(args)
        raise NotCompiled(f"a call of {ast.unparse(node.func)}", node.lineno)

    def _one(self, args: list[ast.expr], count: int = 1) -> list[CompiledValue]:
        if len(args) != count:
            raise NotCompiled(f"a call with {len(args)} arguments", self.line)
        return [self.visit(one) for one in args]

    def _floats(self, args: list[ast.expr], count: int = 1) -> list[str]:
        return [self.as_float(value) for value in self._one(args, count)]

    # ------------------------------------------------------------------ builtins

    def _builtin_abs(self, args: list[ast.expr]) -> CompiledValue:
        value = self.number(self._one(args)[0])
        if value.type == NUM:
            return CompiledValue(NUM, f"num_abs({value.code})")
        if isinstance(value.type, Tup):
            items = "".join(
                f"abs({self.atom(value).code}[{i}]), " for i in range(len(value.type.items))
            )
            return CompiledValue(value.type, f"({items})")
        return CompiledValue(value.type, f"abs({value.code})")

    def _builtin_float(self, args: list[ast.expr]) -> CompiledValue:
        if not args:
            return CompiledValue(FLOAT, "0.0")
        value = self._one(args)[0]
        if isinstance(value.type, Static) and isinstance(value.type.value, str):
            try:
                return self.program.constant(float(value.type.value), None, self.line)
            except ValueError:
                raise NotCompiled("float of a text", self.line) from None
        return CompiledValue(FLOAT, self.as_float(value))

    def _builtin_int(self, args: list[ast.expr]) -> CompiledValue:
        if not args:
            return CompiledValue(INT, "0")
        value = self.number(self._one(args)[0])
        if value.type in INTS:
            return CompiledValue(INT, value.code)
        return CompiledValue(INT, self.checked(f"whole(e, {self.as_float(value)})"))

    def _builtin_bool(self, args: list[ast.expr]) -> CompiledValue:
        return (
            CompiledValue(BOOL, self.truth(self._one(args)[0]))
            if args
            else CompiledValue(BOOL, "False")
        )

    def _builtin_round(self, args: list[ast.expr]) -> CompiledValue:
        value = self.number(self.visit(args[0]))
        if value.type in NUMPY:
            raise NotCompiled("round of a number of numpy's", self.line)
        if len(args) == 1:
            if value.type in INTS:
                return value
            return CompiledValue(INT, self.checked(f"whole(e, np.rint({self.as_float(value)}))"))
        digits = self.visit(args[1])
        if len(args) != 2 or digits.type != INT or value.type not in FLOATS:
            raise NotCompiled("round of what may be an int, to decimals", self.line)
        return CompiledValue(FLOAT, self.checked(f"round_to(e, {value.code}, {digits.code})"))

    def _builtin_len(self, args: list[ast.expr]) -> CompiledValue:
        value = self._one(args)[0]
        if isinstance(value.type, Static) and isinstance(value.type.value, str):
            return CompiledValue(INT, str(len(value.type.value)))
        return CompiledValue(INT, self.series_of(value).length)

    def _builtin_pow(self, args: list[ast.expr]) -> CompiledValue:
        left, right = self._one(args, 2)
        return self.binary(ast.Pow, left, right)

    def _builtin_min(self, args: list[ast.expr]) -> CompiledValue:
        return self._extreme(args, "<")

    def _builtin_max(self, args: list[ast.expr]) -> CompiledValue:
        return self._extreme(args, ">")

    def _extreme(self, args: list[ast.expr], sign: str) -> CompiledValue:
        if len(args) == 1:
            return self._extreme_of(self.iterable(args[0]), sign)
        values = [self.atom(self.number(self.visit(one))) for one in args]
        kind: Type | None = None
        for value in values:
            if isinstance(value.type, Tup):
                raise NotCompiled("the least or the greatest of arrays", self.line)
            kind = join(kind, value.type)
        assert isinstance(kind, Scalar)
        result = self.temp(coerced(values[0], kind))
        for value in values[1:]:
            as_kind = self.atom(CompiledValue(kind, coerced(value, kind))).code
            with self.indented(f"if {_plain(as_kind, kind)} {sign} {_plain(result, kind)}:"):
                self.emit(f"{result} = {as_kind}")
        return CompiledValue(kind, result)

    def _extreme_of(self, series: ValueSeries, sign: str) -> CompiledValue:
        kind = series.kind
        if not isinstance(kind, Scalar) or kind == NONE:
            raise NotCompiled("the least or the greatest of what are no numbers", self.line)
        with self.indented(f"if {series.length} == 0:"):
            self.emit(f"fail(e, {BAD_VALUE})")
        self.note_failure()
        self.check()
        result = self.temp(series.item("0").code)
        with self.looped(series) as index:
            item = self.temp(series.item(index).code)
            with self.indented(f"if {_plain(item, kind)} {sign} {_plain(result, kind)}:"):
                self.emit(f"{result} = {item}")
        return CompiledValue(kind, result)

    def _builtin_sum(self, args: list[ast.expr]) -> CompiledValue:
        if len(args) != 1:
            raise NotCompiled("sum with a start", self.line)
        series = self.iterable(args[0])
        kind = series.kind
        if kind is None:
            return CompiledValue(INT, "0")
        if kind in BOOLS | {INT} and kind != NPBOOL:
            total = self.temp("0")
            with self.looped(series) as index:
                item = coerced(self.atom(series.item(index)), INT)
                self.emit(f"{total} = int_add(e, {total}, {item})")
            return CompiledValue(INT, total)
        if kind == FLOAT:
            total, lost = self.temp("0.0"), self.temp("0.0")
            with self.looped(series) as index:
                item = series.item(index).code
                if IS_SUM_COMPENSATED:
                    self.emit(f"{total}, {lost} = sum_add({total}, {lost}, {item})")
                else:
                    self.emit(f"{total} += {item}")
            if IS_SUM_COMPENSATED:
                self.emit(f"{total} = sum_end({total}, {lost})")
            if series.length.isdigit() and int(series.length) > 0:
                return CompiledValue(FLOAT, total)
            return CompiledValue(NUM, f"({total}, {series.length} == 0)")
        if kind == NUM and not IS_SUM_COMPENSATED:
            total = self.temp("(0.0, True)")
            with self.looped(series) as index:
                self.emit(f"{total} = num_add(e, {total}, {series.item(index).code})")
            return CompiledValue(NUM, total)
        raise NotCompiled("a sum of what are no plain numbers", self.line)

    def _builtin_any(self, args: list[ast.expr]) -> CompiledValue:
        return self._each(args, "True")

    def _builtin_all(self, args: list[ast.expr]) -> CompiledValue:
        return self._each(args, "False")

    def _each(self, args: list[ast.expr], found: str) -> CompiledValue:
        series = self.iterable(args[0])
        result = self.temp(str(found != "True"))
        if series.kind is None:
            return CompiledValue(BOOL, result)
        with self.looped(series) as index:
            truth = self.truth(self.atom(series.item(index)))
            with self.indented(f"if {truth if found == 'True' else f'not {truth}'}:"):
                self.emit(f"{result} = {found}")
        return CompiledValue(BOOL, result)

    def _builtin_list(self, args: list[ast.expr]) -> CompiledValue:
        if not args:
            return CompiledValue(Rows(None), "")
        series = self.iterable(args[0])
        if series.kind is None:
            return CompiledValue(Rows(None), "")
        first = series.item("0").type
        result = self.temp(self.zero_of(Rows(first)))
        with self.looped(series) as index:
            self.emit(f"{result}.append({series.item(index).code})")
        return CompiledValue(Rows(first), result)

    def _builtin_tuple(self, args: list[ast.expr]) -> CompiledValue:
        value = self._one(args)[0]
        if isinstance(value.type, Tup) and value.type.form != "array":
            return CompiledValue(Tup(value.type.items), value.code)
        raise NotCompiled("a tuple of a list", self.line)

    def _builtin_sorted(self, args: list[ast.expr]) -> CompiledValue:
        value = self._builtin_list(args)
        if value.type not in (Rows(FLOAT), Rows(INT)):
            raise NotCompiled("sorted of what are no plain numbers", self.line)
        return CompiledValue(value.type, self.temp(self.checked(f"in_order(e, {value.code})")))

    def _builtin_divmod(self, args: list[ast.expr]) -> CompiledValue:
        left, right = (self.atom(one) for one in self._one(args, 2))
        parts = [self.binary(operator, left, right) for operator in (ast.FloorDiv, ast.Mod)]
        kinds = tuple(part.type for part in parts)
        return CompiledValue(Tup(kinds), f"({parts[0].code}, {parts[1].code})")

    def _builtin_isinstance(self, args: list[ast.expr]) -> CompiledValue:
        value, kind = self._one(args, 2)
        asked = getattr(getattr(kind.type, "value", None), "value", None)
        names = {BOOL: (bool, int), INT: (int,), FLOAT: (float,)}
        own = names.get(value.type) if isinstance(value.type, Scalar) else None
        if own is None or asked not in (int, float, bool, str, list, tuple, dict):
            raise NotCompiled("isinstance", self.line)
        return CompiledValue(BOOL, str(asked in own))

    # ------------------------------------------------------------------ math

    def _libm(self, name: str, args: list[ast.expr]) -> CompiledValue:
        (x,) = self._floats(args)
        code = f"{LIBRARY[name]}(e, h, {ADDRESS[name]}, {x})"
        return CompiledValue(FLOAT, self.checked(code))

    def _math_log(self, args: list[ast.expr]) -> CompiledValue:
        if len(args) == 1:
            return self._libm("log", args)
        parts = [self._libm("log", [one]) for one in args]
        return self.binary(ast.Div, *parts)

    def _math_sqrt(self, args: list[ast.expr]) -> CompiledValue:
        return CompiledValue(FLOAT, self.checked(f"root(e, {self._floats(args)[0]})"))

    def _math_atan2(self, args: list[ast.expr]) -> CompiledValue:
        y, x = self._floats(args, 2)
        return CompiledValue(FLOAT, self.checked(f"arc_tangent(e, h, {y}, {x})"))

    def _math_fmod(self, args: list[ast.expr]) -> CompiledValue:
        x, y = self._floats(args, 2)
        return CompiledValue(FLOAT, self.checked(f"math_fmod(e, h, {x}, {y})"))

    def _math_pow(self, args: list[ast.expr]) -> CompiledValue:
        x, y = (self.atom(CompiledValue(FLOAT, code)).code for code in self._floats(args, 2))
        with self.indented(f"if not ({x} > 0.0):"):
            self.emit(f"fail(e, {UNCERTAIN})")
        return CompiledValue(FLOAT, self.checked(f"float_pow(e, h, {x}, {y})"))

    def _math_hypot(self, args: list[ast.expr]) -> CompiledValue:
        x, y = self._floats(args, 2)
        return CompiledValue(FLOAT, self.checked(f"norm_of_two(e, {x}, {y})"))

    def _math_dist(self, args: list[ast.expr]) -> CompiledValue:
        p, q = (self.atom(one) for one in self._one(args, 2))
        kinds = [one.type for one in (p, q)]
        if not all(isinstance(kind, Tup) and len(kind.items) == 2 for kind in kinds):
            raise NotCompiled("math.dist of what are not two points of a plane", self.line)
        parts = [
            f"{coerced(CompiledValue(p.type.items[i], f'{p.code}[{i}]'), FLOAT)} - "  # type: ignore
            f"{coerced(CompiledValue(q.type.items[i], f'{q.code}[{i}]'), FLOAT)}"  # type: ignore
            for i in range(2)
        ]
        return CompiledValue(FLOAT, self.checked(f"norm_of_two(e, {parts[0]}, {parts[1]})"))

    def _math_degrees(self, args: list[ast.expr]) -> CompiledValue:
        return CompiledValue(FLOAT, f"({self._floats(args)[0]} * {180.0 / math.pi!r})")

    def _math_radians(self, args: list[ast.expr]) -> CompiledValue:
        return CompiledValue(FLOAT, f"({self._floats(args)[0]} * {math.pi / 180.0!r})")

    def _math_fabs(self, args: list[ast.expr]) -> CompiledValue:
        return CompiledValue(FLOAT, f"abs({self._floats(args)[0]})")

    def _math_copysign(self, args: list[ast.expr]) -> CompiledValue:
        x, y = self._floats(args, 2)
        return CompiledValue(FLOAT, f"math.copysign({x}, {y})")

    def _math_floor(self, args: list[ast.expr]) -> CompiledValue:
        return self._rounded(args, "np.floor")

    def _math_ceil(self, args: list[ast.expr]) -> CompiledValue:
        return self._rounded(args, "np.ceil")

    def _math_trunc(self, args: list[ast.expr]) -> CompiledValue:
        return self._builtin_int(args)

    def _rounded(self, args: list[ast.expr], function: str) -> CompiledValue:
        value = self.number(self._one(args)[0])
        if value.type in INTS:
            return CompiledValue(INT, value.code)
        return CompiledValue(INT, self.checked(f"whole(e, {function}({self.as_float(value)}))"))

    # ------------------------------------------------------------------ numpy

    def _ufunc(self, name: str, args: list[ast.expr]) -> CompiledValue:
        value = self.number(self._one(args)[0])
        index = ADDRESS[f"np.{name}"]
        return self._mapped(value, lambda x: f"numpy_unary(e, h, {index}, {x})")

    def _mapped(self, value: CompiledValue, code: Callable[[str], str]) -> CompiledValue:
        """Return a function of a number, or of each element of a short array."""
        if not isinstance(value.type, Tup):
            return CompiledValue(NPFLOAT, self.checked(code(self.as_float(value))))
        raise NotCompiled("a function of an array, whose last bit may differ", self.line)

    def _numpy_sqrt(self, args: list[ast.expr]) -> CompiledValue:
        value = self.number(self._one(args)[0])
        return self._mapped(value, lambda x: f"numpy_root(e, {x})")

    def _numpy_arctan2(self, args: list[ast.expr]) -> CompiledValue:
        y, x = self._floats(args, 2)
        code = f"numpy_binary(e, h, {ADDRESS['np.arctan2']}, {y}, {x})"
        return CompiledValue(NPFLOAT, self.checked(code))

    def _numpy_hypot(self, args: list[ast.expr]) -> CompiledValue:
        x, y = self._floats(args, 2)
        code = f"numpy_binary(e, h, {ADDRESS['np.hypot']}, {x}, {y})"
        return CompiledValue(NPFLOAT, self.checked(code))

    def _numpy_abs(self, args: list[ast.expr]) -> CompiledValue:
        value = self.number(self._one(args)[0])
        if value.type in FLOATS:
            return CompiledValue(NPFLOAT, f"abs({value.code})")
        if value.type in INTS:
            return CompiledValue(NPINT, f"abs({value.code})")
        if isinstance(value.type, Tup):
            return self._builtin_abs(args)
        raise NotCompiled("np.abs of what may be an int or a float", self.line)

    _numpy_absolute = _numpy_abs

    def _numpy_fabs(self, args: list[ast.expr]) -> CompiledValue:
        return CompiledValue(NPFLOAT, f"abs({self._floats(args)[0]})")

    def _numpy_degrees(self, args: list[ast.expr]) -> CompiledValue:
        return CompiledValue(NPFLOAT, f"({self._floats(args)[0]} * {180.0 / math.pi!r})")

    def _numpy_radians(self, args: list[ast.expr]) -> CompiledValue:
        return CompiledValue(NPFLOAT, f"({self._floats(args)[0]} * {math.pi / 180.0!r})")

    _numpy_rad2deg, _numpy_deg2rad = _numpy_degrees, _numpy_radians

    def _numpy_floor(self, args: list[ast.expr]) -> CompiledValue:
        return CompiledValue(NPFLOAT, f"np.floor({self._floats(args)[0]})")

    def _numpy_ceil(self, args: list[ast.expr]) -> CompiledValue:
        return CompiledValue(NPFLOAT, f"np.ceil({self._floats(args)[0]})")

    def _numpy_float64(self, args: list[ast.expr]) -> CompiledValue:
        return CompiledValue(NPFLOAT, self._floats(args)[0])

    def _numpy_maximum(self, args: list[ast.expr]) -> CompiledValue:
        return self._bounded(args, ">")

    def _numpy_minimum(self, args: list[ast.expr]) -> CompiledValue:
        return self._bounded(args, "<")

    def _bounded(self, args: list[ast.expr], sign: str) -> CompiledValue:
        values = [self.number(one) for one in self._one(args, 2)]
        if not any(one.type in FLOATS for one in values) or not all(
            one.type in FLOATS | INTS for one in values
        ):
            raise NotCompiled("np.minimum or np.maximum of what are no floats", self.line)
        a, b = (self.atom(CompiledValue(FLOAT, self.as_float(one))).code for one in values)
        with self.indented(f"if {a} != {a} or {b} != {b} or ({a} == 0.0 and {b} == 0.0):"):
            self.emit(f"fail(e, {UNCERTAIN})")
        self.note_failure()
        return CompiledValue(NPFLOAT, self.temp(f"{a} if {a} {sign} {b} else {b}"))

    def _numpy_clip(self, args: list[ast.expr]) -> CompiledValue:
        values = [self.number(one) for one in self._one(args, 3)]
        if values[0].type not in FLOATS or not all(one.type in FLOATS | INTS for one in values):
            raise NotCompiled("np.clip of what is no float", self.line)
        x, least, most = (
            self.atom(CompiledValue(FLOAT, self.as_float(one))).code for one in values
        )
        unclear = f"{x} != {x} or not {least} <= {most} or ({x} == 0.0 and {least} * {most} == 0.0)"
        with self.indented(f"if {unclear}:"):
            self.emit(f"fail(e, {UNCERTAIN})")
        self.note_failure()
        return CompiledValue(NPFLOAT, self.temp(f"min(max({x}, {least}), {most})"))

    def _numpy_sign(self, args: list[ast.expr]) -> CompiledValue:
        x = self.atom(CompiledValue(FLOAT, self._sure_float(args))).code
        return CompiledValue(
            NPFLOAT, self.temp(f"1.0 if {x} > 0.0 else (-1.0 if {x} < 0.0 else 0.0)")
        )

    def _sure_float(self, args: list[ast.expr]) -> str:
        value = self.number(self._one(args)[0])
        if value.type not in FLOATS:
            raise NotCompiled("a function of numpy's of what is no float", self.line)
        return value.code

    def _numpy_array(self, args: list[ast.expr]) -> CompiledValue:
        value = self._one(args)[0]
        kind = value.type
        if isinstance(kind, Tup) and kind.form == "array":
            return value
        if not isinstance(kind, Tup) or not all(one in FLOATS | {INT, NPINT} for one in kind.items):
            raise NotCompiled(f"an array of {named(kind)}", self.line)
        value = self.atom(value)
        inner = NPFLOAT if any(one in FLOATS for one in kind.items) else NPINT
        codes = [
            coerced(CompiledValue(one, f"{value.code}[{i}]"), inner) + ", "
            for i, one in enumerate(kind.items)
        ]
        return CompiledValue(Tup((inner,) * len(codes), "array"), f"({''.join(codes)})")

    _numpy_asarray = _numpy_array

    def _vector(self, node: ast.expr) -> CompiledValue:
        """Return a short vector of floats as a tuple of floats."""
        value = self._numpy_array([node])
        assert isinstance(value.type, Tup)
        kind = Tup((FLOAT,) * len(value.type.items), "array")
        value = self.atom(value)
        return self.atom(CompiledValue(kind, coerced(value, kind)))

    def _linalg_norm(self, args: list[ast.expr]) -> CompiledValue:
        if len(args) != 1:
            raise NotCompiled("np.linalg.norm of an order", self.line)
        vector = self._vector(args[0])
        if len(vector.type.items) > 4:  # type: ignore
            raise NotCompiled("np.linalg.norm of more than four numbers", self.line)
        code = f"numpy_root(e, dot(e, h, {vector.code}, {vector.code}))"
        return CompiledValue(NPFLOAT, self.checked(code))

    def _numpy_dot(self, args: list[ast.expr]) -> CompiledValue:
        a, b = (self._vector(one) for one in args)
        if a.type != b.type or not 2 <= len(a.type.items) <= 4:  # type: ignore
            raise NotCompiled("np.dot of vectors of other lengths", self.line)
        return CompiledValue(NPFLOAT, self.checked(f"dot(e, h, {a.code}, {b.code})"))

    def _numpy_sum(self, args: list[ast.expr]) -> CompiledValue:
        vector = self._vector(args[0])
        count = len(vector.type.items)  # type: ignore
        if len(args) != 1 or count > MAX_SUMMED:
            raise NotCompiled("np.sum of a longer list", self.line)
        return CompiledValue(
            NPFLOAT, f"({' + '.join(f'{vector.code}[{i}]' for i in range(count))})"
        )

    def _numpy_mean(self, args: list[ast.expr]) -> CompiledValue:
        total = self._numpy_sum(args)
        value = self._vector(args[0])
        return CompiledValue(NPFLOAT, f"({total.code} / {len(value.type.items)}.0)")  # type: ignore

    def _numpy_argmin(self, args: list[ast.expr]) -> CompiledValue:
        return self._place_of(args, "<")

    def _numpy_argmax(self, args: list[ast.expr]) -> CompiledValue:
        return self._place_of(args, ">")

    def _place_of(self, args: list[ast.expr], sign: str) -> CompiledValue:
        series = self.series_of(self._one(args)[0])
        if series.kind not in (FLOAT, NPFLOAT, INT):
            raise NotCompiled("np.argmin or np.argmax of what are no numbers", self.line)
        with self.indented(f"if {series.length} == 0:"):
            self.emit(f"fail(e, {UNCERTAIN})")
        self.note_failure()
        self.check()
        best, place = self.temp(series.item("0").code), self.temp("0")
        with self.looped(series) as index:
            item = self.temp(series.item(index).code)
            with self.indented(f"if {item} != {item}:"):
                self.emit(f"fail(e, {UNCERTAIN})")
            with self.indented(f"if {item} {sign} {best}:"):
                self.emit(f"{best}, {place} = {item}, {index}")
        self.note_failure()
        return CompiledValue(NPINT, place)


def _plain(code: str, kind: Type) -> str:
    return f"{code}[0]" if kind == NUM else code
