"""Expressions of a reward's generated code, their types and their C++; see `native_reward`."""

from __future__ import annotations

import ast
from typing import Any

from racer.gpu.native_types import (
    BOOLEAN,
    REAL,
    WHOLE,
    NativeColumn,
    NativeList,
    NativeScalar,
    NativeTuple,
    NativeType,
    StructTexts,
    joined,
)
from racer.reward.compiler.operators import COMPARISONS
from racer.reward.compiler.types import NotCompiled

SIGNS_IN_C = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}
BITS = {ast.BitAnd: "&", ast.BitOr: "|", ast.BitXor: "^"}
PARAM_ARRAYS = {
    "points": NativeColumn(REAL),
    "floats": REAL,
    "ints": WHOLE,
    "bools": BOOLEAN,
    "objects": NativeColumn(REAL),
    "is_left": NativeColumn(BOOLEAN),
}
"""What an item of each array of the kernel is."""


class NativeExpressions:
    """Finds the types of expressions, and writes them in C++."""

    structs: StructTexts
    functions: dict[str, Any]
    columns: dict[str, tuple[NativeScalar, int, int]]
    used: set[str]
    params: NativeType | None
    current: Any

    def type_of(self, node: ast.expr) -> NativeType | None:
        """Return the type of an expression's value; None is not known yet."""
        found = getattr(self, f"_type_{type(node).__name__}", None)
        if found is None:
            raise NotCompiled(f"{type(node).__name__} on a device")
        return found(node)

    def code_of(self, node: ast.expr) -> str:
        """Return the C++ code of an expression."""
        return getattr(self, f"_code_{type(node).__name__}")(node)

    def code_as(self, node: ast.expr, kind: NativeType | None) -> str:
        """Return the C++ code of an expression as a value of a wider type."""
        have = self.type_of(node)
        return self._converted(self.code_of(node), have, kind)

    def _converted(self, code: str, have: NativeType | None, kind: NativeType | None) -> str:
        """Return the C++ code of a value as one of a wider type.

        Args:
            code: The value's code.
            have: Its type.
            kind: The wider type.
        """
        if have == kind:
            return code
        if isinstance(kind, NativeScalar):
            return f"({kind.name})({code})"
        if isinstance(kind, NativeTuple) and isinstance(have, NativeTuple):
            items = (
                self._converted(f"x.m{i}", a, b)
                for i, (a, b) in enumerate(zip(have.items, kind.items))
            )
            made = f"{self.structs.name(kind)}{{{', '.join(items)}}}"
            return f"([&]{{ {self.structs.name(have)} x = {code}; return {made}; }}())"
        assert isinstance(kind, NativeList) and isinstance(have, NativeList)
        item = self._converted("x.a[i]", have.item, kind.item) if have.item else "0"
        step = f"r.append(e, {item});" if have.item else ""
        name = self.structs.name(kind)
        return (
            f"([&]{{ {self.structs.name(have)} x = {code}; {name} r = {name}::none(); "
            f"for (i8 i = 0; i < x.n; ++i) {{ {step} }} return r; }}())"
        )

    # ------------------------------------------------------------------ constants and names

    def _type_Constant(self, node: ast.Constant) -> NativeType:
        return {bool: BOOLEAN, int: WHOLE, float: REAL}[type(node.value)]

    def _code_Constant(self, node: ast.Constant) -> str:
        value = node.value
        if isinstance(value, bool):
            return "true" if value else "false"
        return f"{value!r}" if isinstance(value, float) else f"{value}LL"

    def _type_Name(self, node: ast.Name) -> NativeType | None:
        if node.id in self.columns:
            return NativeColumn(self.columns[node.id][0])
        return self.current.types.get(node.id)

    def _code_Name(self, node: ast.Name) -> str:
        if node.id not in self.columns:
            return node.id
        leaf, first, count = self.columns[node.id]
        array = {REAL: "table_floats", WHOLE: "table_ints", BOOLEAN: "table_bools"}[leaf]
        data = f"{array}.data + {first}"
        if leaf == WHOLE:
            data = f"(const i8*)({data})"
        return f"{self.structs.name(NativeColumn(leaf))}{{{data}, {count}, 1}}"

    def _type_Attribute(self, node: ast.Attribute) -> NativeType:
        return REAL

    def _code_Attribute(self, node: ast.Attribute) -> str:
        if ast.unparse(node) != "math.inf":
            raise NotCompiled(f"{ast.unparse(node)} on a device")
        return "(1e308 * 10.0)"

    # ------------------------------------------------------------------ operators

    def _type_BinOp(self, node: ast.BinOp) -> NativeType | None:
        return joined(self.type_of(node.left), self.type_of(node.right))

    def _code_BinOp(self, node: ast.BinOp) -> str:
        a, b = self.code_of(node.left), self.code_of(node.right)
        if type(node.op) in BITS:
            return f"(({a} {BITS[type(node.op)]} {b}) != 0)"
        kind = self.type_of(node)
        if isinstance(kind, NativeList) and isinstance(node.op, ast.Add):
            name = self.structs.name(kind)
            a, b = self.code_as(node.left, kind), self.code_as(node.right, kind)
            return (
                f"([&]{{ {name} r = {a}; {name} x = {b}; "
                f"for (i8 i = 0; i < x.n; ++i) r.append(e, x.a[i]); return r; }}())"
            )
        return f"({a} {SIGNS_IN_C[type(node.op)]} {b})"

    def _type_UnaryOp(self, node: ast.UnaryOp) -> NativeType | None:
        return BOOLEAN if isinstance(node.op, ast.Not) else self.type_of(node.operand)

    def _code_UnaryOp(self, node: ast.UnaryOp) -> str:
        return f"({'!' if isinstance(node.op, ast.Not) else '-'}{self.code_of(node.operand)})"

    def _type_BoolOp(self, node: ast.BoolOp) -> NativeType:
        for one in node.values:
            self.type_of(one)
        return BOOLEAN

    def _code_BoolOp(self, node: ast.BoolOp) -> str:
        sign = " && " if isinstance(node.op, ast.And) else " || "
        return f"({sign.join(self.code_of(one) for one in node.values)})"

    def _type_Compare(self, node: ast.Compare) -> NativeType:
        for one in (node.left, *node.comparators):
            self.type_of(one)
        return BOOLEAN

    def _code_Compare(self, node: ast.Compare) -> str:
        codes = [self.code_of(one) for one in (node.left, *node.comparators)]
        parts = (
            f"{a} {COMPARISONS[type(operator)]} {b}"
            for a, operator, b in zip(codes, node.ops, codes[1:])
        )
        return f"({' && '.join(parts)})"

    def _type_IfExp(self, node: ast.IfExp) -> NativeType | None:
        self.type_of(node.test)
        return joined(self.type_of(node.body), self.type_of(node.orelse))

    def _code_IfExp(self, node: ast.IfExp) -> str:
        kind = self.type_of(node)
        a, b = self.code_as(node.body, kind), self.code_as(node.orelse, kind)
        return f"({self.code_of(node.test)} ? {a} : {b})"

    # ------------------------------------------------------------------ sequences

    def _type_Tuple(self, node: ast.Tuple) -> NativeType:
        return NativeTuple(tuple(self.type_of(one) for one in node.elts))

    def _code_Tuple(self, node: ast.Tuple) -> str:
        items = ", ".join(self.code_of(one) for one in node.elts)
        return f"{self.structs.name(self._type_Tuple(node))}{{{items}}}"

    def _type_List(self, node: ast.List) -> NativeType:
        item: NativeType | None = None
        for one in node.elts:
            item = joined(item, self.type_of(one))
        return NativeList(item)

    def _code_List(self, node: ast.List) -> str:
        kind = self._type_List(node)
        assert isinstance(kind, NativeList)
        steps = "".join(f"r.append(e, {self.code_as(one, kind.item)}); " for one in node.elts)
        name = self.structs.name(kind)
        return f"([&]{{ {name} r = {name}::none(); {steps}return r; }}())"

    def _type_ListComp(self, node: ast.ListComp) -> NativeType:
        self._bind_item(node)
        return NativeList(self.type_of(node.elt))

    def _bind_item(self, node: ast.ListComp) -> None:
        """Give a comprehension's variable its type."""
        target, series = node.generators[0].target, node.generators[0].iter
        assert isinstance(target, ast.Name)
        of = WHOLE if self.is_range(series) else getattr(self.type_of(series), "item", None)
        self.current.types[target.id] = of

    @staticmethod
    def is_range(node: ast.expr) -> bool:
        """Return whether an expression is a call of `range`."""
        return isinstance(node, ast.Call) and ast.unparse(node.func) == "range"

    def _code_ListComp(self, node: ast.ListComp) -> str:
        kind = self._type_ListComp(node)
        assert isinstance(kind, NativeList)
        target, series = node.generators[0].target, node.generators[0].iter
        assert isinstance(target, ast.Name)
        name = self.structs.name(kind)
        item = f"r.append(e, {self.code_of(node.elt)});"
        if self.is_range(series):
            assert isinstance(series, ast.Call)
            end = self.code_of(series.args[0])
            loop = f"i8 n = {end}; for (i8 {target.id} = 0; {target.id} < n; ++{target.id})"
        else:
            of = self.type_of(series)
            one = self.structs.name(getattr(of, "item", None))
            item = f"{one} {target.id} = x.at(i); {item}"
            loop = f"{self.structs.name(of)} x = {self.code_of(series)}; "
            loop += "for (i8 i = 0; i < x.n; ++i)"
        return f"([&]{{ {name} r = {name}::none(); {loop} {{ {item} }} return r; }}())"

    def _type_Subscript(self, node: ast.Subscript) -> NativeType | None:
        owner = ast.unparse(node.value)
        if owner in PARAM_ARRAYS and owner not in self.current.types:
            return PARAM_ARRAYS[owner]
        if owner in ("s", "e"):
            return REAL if owner == "s" else WHOLE
        kind = self.type_of(node.value)
        if kind is None or isinstance(node.slice, ast.Slice):
            return kind
        if isinstance(kind, NativeTuple):
            place = _place_of(node.slice)
            if place is not None:
                return kind.items[place]
            self.type_of(node.slice)
            item: NativeType | None = None
            for one in kind.items:
                item = joined(item, one)
            return item
        self.type_of(node.slice)
        return getattr(kind, "item", None)

    def _code_Subscript(self, node: ast.Subscript) -> str:
        owner = ast.unparse(node.value)
        if owner in PARAM_ARRAYS and owner not in self.current.types:
            return self._param_code(owner, node.slice)
        if owner in ("s", "e"):
            return f"{owner}[{self.code_of(node.slice)}]"
        code, kind = self.code_of(node.value), self.type_of(node.value)
        if isinstance(node.slice, ast.Slice):
            return self._cut(code, node.slice)
        if not isinstance(kind, NativeTuple):
            return f"{code}.at({self.code_of(node.slice)})"
        place = _place_of(node.slice)
        if place is not None:
            return f"{code}.m{place}"
        return self._chosen(node, kind)

    def _chosen(self, node: ast.Subscript, kind: NativeTuple) -> str:
        """Return the code of a tuple's item by an index that is found as the step runs."""
        wanted = self.type_of(node)
        name, index = self.structs.name(kind), self.code_of(node.slice)
        cases = "".join(
            f"if (i == {i}) return {self._converted(f'x.m{i}', one, wanted)}; "
            for i, one in enumerate(kind.items)
        )
        last = self._converted("x.m0", kind.items[0], wanted)
        of = self.structs.name(wanted)
        return (
            f"([&]() -> {of} {{ {name} x = {self.code_of(node.value)}; i8 i = {index}; "
            f"{cases}return {last}; }}())"
        )

    def _cut(self, code: str, cut: ast.Slice) -> str:
        if cut.step is not None:
            return f"{code}.backwards()"
        bounds = []
        for one in (cut.lower, cut.upper):
            bounds += ["false", "0"] if one is None else ["true", self.code_of(one)]
        return f"{code}.cut({', '.join(bounds)})"

    def _param_code(self, owner: str, index: ast.expr) -> str:
        """Return the code of a car's param, of the kernel's arrays; see `_param_code` there."""
        places = index.elts if isinstance(index, ast.Tuple) else [index]
        row = ast.unparse(places[0])
        if owner == "points":
            name = self.structs.name(NativeColumn(REAL))
            return f"{name}{{points.data + {row} * points.shape[1] + first, count_of_points, 1}}"
        if owner == "objects":
            name, width = self.structs.name(NativeColumn(REAL)), "objects.shape[2]"
            at = f"({row} * objects.shape[1] + k) * {width}"
            return f"{name}{{objects.data + {at}, (i8)on_road.data[k], 1}}"
        if owner == "is_left":
            name = self.structs.name(NativeColumn(BOOLEAN))
            at = "(i8)k * is_left.shape[1]"
            return f"{name}{{is_left.data + {at}, (i8)on_road.data[k], 1}}"
        code = f"{owner}.data[{row} * {owner}.shape[1] + k]"
        return f"(i8)({code})" if owner == "ints" else code


def _place_of(node: ast.expr) -> int | None:
    """Return a constant index; None of anything else."""
    is_int = isinstance(node, ast.Constant) and type(node.value) is int
    assert not is_int or isinstance(node, ast.Constant)
    return node.value if is_int else None  # type: ignore
