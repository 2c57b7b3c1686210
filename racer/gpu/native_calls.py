"""Calls in a reward's generated code, their types and their C++; see `native_reward`."""

from __future__ import annotations

import ast

from racer.gpu.native_expressions import NativeExpressions
from racer.gpu.native_helpers import HELPERS, WITHOUT_ADDRESSES, library_call
from racer.gpu.native_types import (
    BOOLEAN,
    REAL,
    WHOLE,
    NativeColumn,
    NativeList,
    NativeScalar,
    NativeTuple,
    NativeType,
    joined,
)
from racer.reward.compiler.types import NotCompiled

ROUNDINGS = {"np.floor": "::floor", "np.ceil": "::ceil", "np.rint": "::rint", "np.sqrt": "::sqrt"}
LIBRARY_CALLS = ("libm_unary", "libm_log", "libm_arc", "numpy_unary", "numpy_binary")


class NativeCalls(NativeExpressions):
    """Finds the types of calls, and writes them in C++."""

    def call_type(self, name: str, kinds: list[NativeType | None]) -> NativeType | None:
        """Return what a function of the file returns for arguments of some types.

        Args:
            name: The function.
            kinds: The types of its arguments.
        """
        raise NotImplementedError

    def _type_Call(self, node: ast.Call) -> NativeType | None:
        name = ast.unparse(node.func)
        if name in self.functions:
            return self.call_type(name, [self.type_of(one) for one in node.args[4:]])
        if name == "in_order":
            return self.type_of(node.args[1])
        for one in node.args:
            if not (isinstance(one, ast.Name) and one.id in ("e", "h")):
                self.type_of(one) if not self.is_range(node) else None
        if name == "np.empty":
            leaf = ast.unparse(node.keywords[0].value).removeprefix("np.")
            return NativeColumn({"float64": REAL, "int64": WHOLE, "bool_": BOOLEAN}[leaf])
        if name in ("abs", "np.ascontiguousarray"):
            return self.type_of(node.args[0])
        if name in ("min", "max"):
            kind: NativeType | None = None
            for one in node.args:
                kind = joined(kind, self.type_of(one))
            return kind
        if name in ("len", "int", "range", "fail", "keep"):
            return WHOLE
        if name in HELPERS:
            return HELPERS[name][0]
        if name in ("float", "math.copysign", "dot", *ROUNDINGS, *LIBRARY_CALLS):
            return REAL
        raise NotCompiled(f"a call of {name} on a device")

    def _code_Call(self, node: ast.Call) -> str:
        name, args = ast.unparse(node.func), node.args
        if name in self.functions:
            kinds = (self.functions[name].types[one] for one in self.functions[name].arguments)
            told = [self.code_as(one, kind) for one, kind in zip(args[4:], kinds)]
            return f"{name}({', '.join(['p', *told])})"
        if name == "len":
            return self._length(args[0])
        if name in LIBRARY_CALLS:
            return self._library(name, args)
        if name == "np.empty":
            return f"{self.structs.name(self.type_of(node))}()"
        if name == "in_order":
            return self._sorted(args[1])
        if name == "dot":
            return self._dot(args[2], args[3])
        if name in ("min", "max"):
            return self._extreme(name, node)
        codes = [self.code_of(one) for one in args]
        if name in HELPERS:
            self.used.add(name)
            if name in WITHOUT_ADDRESSES:
                del codes[1]
            return f"{name}({', '.join(codes)})"
        if name == "np.ascontiguousarray":
            return codes[0]
        if name == "abs":
            if self.type_of(args[0]) == REAL:
                return f"::fabs({codes[0]})"
            return f"([&]{{ i8 x = {codes[0]}; return x < 0 ? -x : x; }}())"
        if name == "math.copysign":
            return (
                f"::fabs({codes[0]}) * ({codes[1]} < 0.0 || 1.0 / ({codes[1]}) < 0.0 ? -1.0 : 1.0)"
            )
        if name in ROUNDINGS:
            return f"{ROUNDINGS[name]}({codes[0]})"
        return f"({'f8' if name == 'float' else 'i8'})({codes[0]})"

    def _library(self, name: str, args: list[ast.expr]) -> str:
        """Return the code of a function of the C library, with the failures that Python has."""
        self.used.add("checked")
        index = int(ast.unparse(args[2]))
        if name == "numpy_binary":
            y, x = self.code_of(args[3]), self.code_of(args[4])
            return (
                f"([&]{{ f8 y = {y}; f8 x = {x}; return checked(e, x + y, {_binary(index)}); }}())"
            )
        bad = {"libm_log": "if (x <= 0.0) { fail(e, 2); x = 1.0; }"}.get(name, "")
        if name == "libm_arc":
            bad = "if (x < -1.0 || x > 1.0) { fail(e, 2); x = 0.0; }"
        call = library_call(index, "x")
        return f"([&]{{ f8 x = {self.code_of(args[3])}; {bad} return checked(e, x, {call}); }}())"

    def _length(self, node: ast.expr) -> str:
        if self.is_range(node):
            assert isinstance(node, ast.Call)
            low, high, step = (self.code_of(one) for one in node.args)
            return (
                f"([&]{{ i8 a = {low}, b = {high}, c = {step}; if (c == 0) return (i8)0; "
                f"i8 n = c > 0 ? (b - a + c - 1) / c : (a - b - c - 1) / -c; "
                f"return n > 0 ? n : (i8)0; }}())"
            )
        kind = self.type_of(node)
        if isinstance(kind, NativeTuple):
            return f"{len(kind.items)}LL"
        return f"{self.code_of(node)}.n"

    def _sorted(self, node: ast.expr) -> str:
        kind = self.type_of(node)
        assert isinstance(kind, NativeList)
        name, item = self.structs.name(kind), self.structs.name(kind.item)
        return (
            f"([&]{{ {name} r = {self.code_of(node)}; for (i8 i = 1; i < r.n; ++i) {{ "
            f"{item} x = r.a[i]; i8 j = i; while (j > 0 && x < r.a[j - 1]) {{ "
            f"r.a[j] = r.a[j - 1]; --j; }} r.a[j] = x; }} return r; }}())"
        )

    def _dot(self, a: ast.expr, b: ast.expr) -> str:
        kind = self.type_of(a)
        assert isinstance(kind, NativeTuple)
        x, y = self.code_of(a), self.code_of(b)
        return f"({' + '.join(f'{x}.m{i} * {y}.m{i}' for i in range(len(kind.items)))})"

    def _extreme(self, name: str, node: ast.Call) -> str:
        """Return the code of `min` or `max` of numbers; of equal ones the first."""
        kind, sign = self.type_of(node), "<" if name == "min" else ">"
        assert isinstance(kind, NativeScalar)
        code = self.code_as(node.args[0], kind)
        for one in node.args[1:]:
            other = self.code_as(one, kind)
            code = (
                f"([&]{{ {kind.name} a = {code}; {kind.name} b = {other}; "
                f"return b {sign} a ? b : a; }}())"
            )
        return code


def _binary(index: int) -> str:
    """Return the code of one of numpy's functions of the numbers y and x."""
    call = library_call(index, "y, x")
    return "::atan2(y, x)" if "arctan2" in call else "::sqrt(y * y + x * x)"
