"""Translates operators, comparisons and truth; see `racer.reward.compiler.translation`."""

from __future__ import annotations

import ast
from typing import Any

from racer.reward.compiler.known_functions import KnownFunctions
from racer.reward.compiler.python_numbers import (
    UNCERTAIN,
    WRONG_TYPE,
)
from racer.reward.compiler.translation import (
    PARAM_TYPES,
    CompiledClosure,
    CompiledValue,
    ParamsDict,
    PythonThing,
    coerced,
)
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
    Optional_,
    Rows,
    Scalar,
    Static,
    Table,
    Tup,
    Type,
    Words,
    item_of,
    join,
    named,
    texts_of,
)

OPERATORS = {ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "div", ast.Mod: "mod"}
OPERATORS |= {ast.FloorDiv: "floordiv", ast.Pow: "pow"}
SIGNS = {"add": "+", "sub": "-", "mul": "*"}
COMPARISONS = {
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
}


class OperatorWriter(KnownFunctions):
    """Writes operators, comparisons and what is true."""

    def _refuse(self, node: ast.AST) -> Any:
        raise NotCompiled(_described(node), getattr(node, "lineno", None))

    def _lazily(self, node: ast.expr) -> tuple[list[str], CompiledValue]:
        """Return the lines and the value of an expression that is not always evaluated."""
        kept, self.lines = self.lines, []
        self.indent += 1
        try:
            value = self.visit(node)
            return self.lines, value
        finally:
            self.indent -= 1
            self.lines = kept

    def _condition(self, node: ast.expr) -> str:
        """Return the code of whether an expression is true, where only that matters."""
        if not isinstance(node, ast.BoolOp):
            return self.truth(self.visit(node))
        is_and = isinstance(node.op, ast.And)
        parts: list[tuple[list[str], str]] = []
        for one in node.values:
            parts.append(self._lazy_condition(one))
            if parts[-1][1] == str(not is_and):  # What follows is never evaluated.
                break
        if len(parts) == 1:
            self.lines += [line.removeprefix("    ") for line in parts[0][0]]
            return parts[0][1]
        if not any(lines for lines, _ in parts[1:]):
            self.lines += [line.removeprefix("    ") for line in parts[0][0]]
            word = " and " if is_and else " or "
            return f"({word.join(code for _, code in parts)})"
        result = f"t{next(self.count)}"
        for depth, (lines, code) in enumerate(parts):
            if depth:
                self.emit(f"if {result}:" if is_and else f"if not {result}:")
                self.indent += 1
            shift = "    " * (depth - 1)
            self.lines += [shift + line if depth else line.removeprefix("    ") for line in lines]
            self.emit(f"{result} = {code}")
        self.indent -= len(parts) - 1
        return result

    def _lazy_condition(self, node: ast.expr) -> tuple[list[str], str]:
        """Return the lines and the code of a condition that is not always evaluated."""
        kept, self.lines = self.lines, []
        self.indent += 1
        try:
            code = self._condition(node)
            return self.lines, code
        finally:
            self.indent -= 1
            self.lines = kept

    def _see_BoolOp(self, node: ast.BoolOp) -> CompiledValue:
        is_and = isinstance(node.op, ast.And)
        first = self.visit(node.values[0])
        parts = [([], first), *(self._lazily(one) for one in node.values[1:])]
        kinds = [value.type for _, value in parts]
        if all(kind == BOOL for kind in kinds) and not any(lines for lines, _ in parts):
            word = " and " if is_and else " or "
            return CompiledValue(BOOL, f"({word.join(value.code for _, value in parts)})")
        kind: Type | None = None
        for one in kinds:
            kind = join(kind, one)
        assert kind is not None
        if isinstance(kind, Static):
            raise NotCompiled(f"and or or of {named(kind)}", node.lineno)
        result = f"t{next(self.count)}"
        depth, truth = 0, ""
        for number, (lines, value) in enumerate(parts):
            if number:
                self.emit(f"if {truth}:" if is_and else f"if not {truth}:")
                self.indent += 1
                depth += 1
                self.lines += [
                    line if depth == 1 else "    " * (depth - 1) + line for line in lines
                ]
            value = self.atom(value)
            truth = self.truth(value) if number + 1 < len(parts) else ""
            self.emit(f"{result} = {coerced(value, kind)}")
        self.indent -= depth
        return CompiledValue(kind, result)

    def _see_UnaryOp(self, node: ast.UnaryOp) -> CompiledValue:
        if isinstance(node.op, ast.Not):
            return CompiledValue(BOOL, f"(not {self._condition(node.operand)})")
        value = self.number(self.visit(node.operand))
        if isinstance(value.type, Tup):
            self._refuse(node)
        if isinstance(node.op, ast.UAdd):
            return value
        if isinstance(node.op, ast.USub):
            if value.type == NUM:
                return CompiledValue(NUM, f"num_neg(e, {value.code})")
            return CompiledValue(value.type, f"(-{value.code})")
        return self._refuse(node)

    def _see_BinOp(self, node: ast.BinOp) -> CompiledValue:
        left = self.visit(node.left)
        right = self.visit(node.right)
        return self.binary(type(node.op), left, right)

    def binary(self, operator: type, left: CompiledValue, right: CompiledValue) -> CompiledValue:
        """See `StatementLines.binary`."""
        if operator in (ast.BitAnd, ast.BitOr, ast.BitXor) and left.type == right.type == BOOL:
            sign = {ast.BitAnd: "&", ast.BitOr: "|", ast.BitXor: "^"}[operator]
            return CompiledValue(BOOL, f"({left.code} {sign} {right.code})")
        text = self.text_operator(operator, left, right)
        if text is not None:
            return text
        if operator not in OPERATORS:
            raise NotCompiled(f"the operator {operator.__name__}", self.line)
        name = OPERATORS[operator]
        special = self._sequence_operator(name, left, right)
        if special is not None:
            return special
        left, right = self.number(left), self.number(right)
        if isinstance(left.type, Tup) or isinstance(right.type, Tup):
            return self._array_operator(operator, left, right)
        kinds = {left.type, right.type}
        is_numpy = bool(kinds & NUMPY)
        if kinds <= INTS:
            return self._of_ints(name, left, right, is_numpy)
        if NUM in kinds and is_numpy and not kinds & FLOATS:
            raise NotCompiled("an int or a float with an int of numpy's", self.line)
        if NUM in kinds and not kinds & FLOATS:
            return self._of_nums(name, left, right)
        if name == "pow" and NUM in kinds and right.type == NUM and is_numpy:
            raise NotCompiled("a power of a number of numpy's", self.line)
        kind = FLOAT
        if is_numpy:
            surely = NPFLOAT in kinds or (NPINT in kinds)
            kind = NPFLOAT if surely else join(left.type, right.type)
            if not isinstance(kind, Scalar) or kind not in FLOATS:
                kind = NPFLOAT
        a, b = coerced(self._once(left), FLOAT), coerced(self._once(right), FLOAT)
        if name in SIGNS:
            return CompiledValue(kind, f"({a} {SIGNS[name]} {b})")
        self.can_fail = True
        if name == "div":
            if not is_numpy and _is_nonzero(b):
                return CompiledValue(kind, f"({a} / {b})")
            return CompiledValue(kind, f"{'numpy' if is_numpy else 'float'}_div(e, {a}, {b})")
        if name == "pow":
            return CompiledValue(kind, f"{'numpy' if is_numpy else 'float'}_pow(e, h, {a}, {b})")
        if is_numpy:
            with self.indented(f"if {b} == 0.0:"):
                self.emit(f"fail(e, {UNCERTAIN})")
            self.check()
        return CompiledValue(kind, f"float_{name}(e, h, {a}, {b})")

    def _once(self, value: CompiledValue) -> CompiledValue:
        """Return a value whose code may be taken apart."""
        return self.atom(value) if value.type == NUM else value

    def _of_ints(
        self, name: str, left: CompiledValue, right: CompiledValue, is_numpy: bool
    ) -> CompiledValue:
        kind = NPINT if is_numpy else INT
        self.can_fail = True
        if name == "div":
            function = "numpy_div" if is_numpy else "float_div"
            code = f"{function}(e, float({left.code}), float({right.code}))"
            return CompiledValue(NPFLOAT if is_numpy else FLOAT, code)
        if name == "pow":
            if is_numpy:
                raise NotCompiled("a power of an int of numpy's", self.line)
            if right.code.isdigit():
                return CompiledValue(INT, f"int_pow(e, {left.code}, {right.code})")
            left, right = self.atom(left), self.atom(right)
            return self._of_nums(name, left, right)
        if is_numpy and name in ("mod", "floordiv"):
            right = self.atom(right)
            with self.indented(f"if {right.code} == 0:"):
                self.emit(f"fail(e, {UNCERTAIN})")
            self.check()
            self.can_fail = True
        return CompiledValue(kind, f"int_{name}(e, {left.code}, {right.code})")

    def _of_nums(self, name: str, left: CompiledValue, right: CompiledValue) -> CompiledValue:
        self.can_fail = True
        if name == "div":
            a, b = (coerced(self._once(one), FLOAT) for one in (left, right))
            return CompiledValue(FLOAT, f"float_div(e, {a}, {b})")
        a, b = (coerced(self.atom(one), NUM) for one in (left, right))
        more = "e, h" if name in ("mod", "floordiv", "pow") else "e"
        return CompiledValue(NUM, f"num_{name}({more}, {a}, {b})")

    def _sequence_operator(
        self, name: str, left: CompiledValue, right: CompiledValue
    ) -> CompiledValue | None:
        """Return a list or tuple added to another, or a list repeated; None of anything else."""
        sequences = [one.type for one in (left, right)]
        forms = [getattr(kind, "form", "") for kind in sequences]
        if name == "add" and forms[0] == forms[1] and forms[0] in ("tuple", "list"):
            left, right = self.atom(left), self.atom(right)
            codes = [
                f"{one.code}[{i}], "
                for one in (left, right)
                for i in range(len(one.type.items))  # type: ignore
            ]
            kinds = (*left.type.items, *right.type.items)  # type: ignore
            return CompiledValue(Tup(kinds, forms[0]), f"({''.join(codes)})")
        lists = [
            isinstance(kind, Rows) or getattr(kind, "form", "") == "list" for kind in sequences
        ]
        if name == "add" and all(lists):
            item = join(item_of(sequences[0]), item_of(sequences[1]))
            codes = [coerced(self.atom(one), Rows(item)) for one in (left, right)]
            return CompiledValue(Rows(item), self.temp(f"{codes[0]} + {codes[1]}"))
        if name == "mul" and any(lists):
            rows, count = (left, right) if lists[0] else (right, left)
            if isinstance(rows.type, Tup) and len(rows.type.items) == 1 and count.type in INTS:
                item = CompiledValue(rows.type.items[0], f"{self.atom(rows).code}[0]")
                times = self.temp(f"max(0, {self.number(count).code})")
                return CompiledValue(
                    Rows(item.type), self.temp(f"[{item.code} for _ in range({times})]")
                )
        if any(
            isinstance(kind, Rows | Table) or form == "list" for kind, form in zip(sequences, forms)
        ):
            raise NotCompiled(f"the operator {name} of a list", self.line)
        return None

    def _array_operator(
        self, operator: type, left: CompiledValue, right: CompiledValue
    ) -> CompiledValue:
        """Return the result of an operator on short arrays of numpy's, element by element."""
        left, right = self.atom(left), self.atom(right)
        sizes = {len(one.type.items) for one in (left, right) if isinstance(one.type, Tup)}
        if len(sizes) != 1:
            raise NotCompiled("arrays of different shapes", self.line)
        for one in (left, right):
            if isinstance(one.type, Tup) and one.type.form != "array":
                raise NotCompiled(f"an operator on {named(one.type)}", self.line)
        results = []
        for i in range(sizes.pop()):
            a, b = (
                CompiledValue(one.type.items[i], f"{one.code}[{i}]")
                if isinstance(one.type, Tup)
                else one
                for one in (left, right)
            )
            if operator is ast.Pow:
                if b.code not in ("2", "(2.0)") or a.type != NPFLOAT:
                    raise NotCompiled("a power of an array", self.line)
                results.append(CompiledValue(NPFLOAT, f"({a.code} * {a.code})"))
            else:
                results.append(self.atom(self.binary(operator, a, b)))
        kinds = tuple(one.type for one in results)
        return CompiledValue(
            Tup(kinds, "array"), f"({''.join(one.code + ', ' for one in results)})"
        )

    def number(self, value: CompiledValue) -> CompiledValue:
        """Return a value to calculate with: truth values become integers."""
        if isinstance(value.type, Optional_):
            value = self._present(value)
        if value.type == BOOL:
            return CompiledValue(INT, f"(1 if {value.code} else 0)")
        if value.type == NPBOOL:
            raise NotCompiled("arithmetic with a truth value of numpy's", self.line)
        if value.type == NONE:
            self.can_fail = True
            self.fail_with(WRONG_TYPE)
            raise NotCompiled("arithmetic with None", self.line)
        if isinstance(value.type, Tup) and value.type.form == "array":
            return value
        if not isinstance(value.type, Scalar):
            raise NotCompiled(f"arithmetic with {named(value.type)}", self.line)
        return value

    def _present(self, value: CompiledValue) -> CompiledValue:
        """Return the value of an optional one, which fails if it is None."""
        kind, value = value.type, self.atom(value)
        assert isinstance(kind, Optional_)
        with self.indented(f"if {value.code}[0]:"):
            self.emit(f"fail(e, {WRONG_TYPE})")
        self.can_fail = True
        self.check()
        return CompiledValue(kind.of, f"{value.code}[1]")

    def _int(self, value: CompiledValue) -> str:
        """Return the code of an integer, as an index or a bound of `range`."""
        value = self.number(value)
        if value.type in INTS:
            return value.code
        if value.type == NUM:
            value = self.atom(value)
            with self.indented(f"if not {value.code}[1]:"):
                self.emit(f"fail(e, {WRONG_TYPE})")
            self.can_fail = True
            self.check()
            return f"int({value.code}[0])"
        raise NotCompiled(f"{named(value.type)} where an int is wanted", self.line)

    def as_float(self, value: CompiledValue) -> str:
        """Return the code of a number as a float."""
        value = self.number(value)
        if isinstance(value.type, Tup):
            raise NotCompiled("an array where a number is wanted", self.line)
        return coerced(self._once(value), FLOAT)

    def truth(self, value: CompiledValue) -> str:
        """Return the code of whether Python takes a value as true."""
        kind, code = value.type, value.code
        if kind in BOOLS:
            return code
        if kind == NONE:
            return "False"
        if kind == NUM:
            return f"({self.atom(value).code}[0] != 0.0)"
        if isinstance(kind, Scalar):
            return f"({code} != {'0' if kind in INTS else '0.0'})"
        if isinstance(kind, Static) and isinstance(kind.value, str):
            return str(bool(kind.value))
        if isinstance(kind, Static) and isinstance(kind.value, CompiledClosure):
            return str(True)
        if isinstance(kind, Words):  # The empty text is the first of the sorted ones.
            return str(True) if kind.texts[0] else f"({code} != 0)"
        if isinstance(kind, Optional_):
            value = self.atom(value)
            inner = self.truth(CompiledValue(kind.of, f"{value.code}[1]"))
            return f"(not {value.code}[0] and {inner})"
        if isinstance(kind, Tup) and kind.form != "array":
            return str(bool(kind.items))
        if isinstance(kind, Table) and item_of(kind) not in NUMPY and not is_array(kind):
            return f"(len({self.atom(value).code}[0]) > 0)"
        if isinstance(kind, Rows):
            return "False" if kind.item is None else f"(len({code}) > 0)"
        raise NotCompiled(f"whether {named(kind)} is true", self.line)

    def _see_Compare(self, node: ast.Compare) -> CompiledValue:
        left = self.visit(node.left)
        if len(node.ops) == 1 and isinstance(node.ops[0], ast.In | ast.NotIn):
            series = self._called_range(node.comparators[0])
            if series is not None:
                return self._in_range(node.ops[0], left, series)
        if len(node.ops) == 1:
            return self._compare(node.ops[0], left, self.visit(node.comparators[0]))
        left = self.atom(left)
        result = f"t{next(self.count)}"
        depth = 0
        for number, (operator, other) in enumerate(zip(node.ops, node.comparators)):
            if number:
                self.emit(f"if {result}:")
                self.indent += 1
                depth += 1
            right = self.atom(self.visit(other))
            compared = self._compare(operator, left, right)
            if compared.type not in BOOLS:
                self._refuse(node)
            self.emit(f"{result} = {compared.code}")
            left = right
        self.indent -= depth
        return CompiledValue(BOOL, result)

    def _called_range(self, node: ast.expr) -> list[str] | None:
        """Return the bounds of a call of `range` without a step; None of anything else."""
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            return None
        if node.keywords or not 1 <= len(node.args) <= 2:
            return None
        called = self.visit(node.func).type
        thing = called.value if isinstance(called, Static) else None
        if not isinstance(thing, PythonThing) or thing.value is not range:
            return None
        bounds = [self._int(self.visit(one)) for one in node.args]
        return bounds if len(bounds) == 2 else ["0", *bounds]

    def _in_range(
        self, operator: ast.cmpop, value: CompiledValue, bounds: list[str]
    ) -> CompiledValue:
        if value.type != INT:
            raise NotCompiled(f"{named(value.type)} in a range", self.line)
        value = self.atom(value)
        code = f"({bounds[0]} <= {value.code} and {value.code} < {bounds[1]})"
        return CompiledValue(BOOL, f"(not {code})" if isinstance(operator, ast.NotIn) else code)

    def _compare(
        self, operator: ast.cmpop, left: CompiledValue, right: CompiledValue
    ) -> CompiledValue:
        if isinstance(operator, ast.Is | ast.IsNot):
            return self._is(operator, left, right)
        if isinstance(operator, ast.In | ast.NotIn):
            found = self._contains(right, left)
            return CompiledValue(
                BOOL, f"(not {found})" if isinstance(operator, ast.NotIn) else found
            )
        sign = COMPARISONS[type(operator)]
        is_equality = sign in ("==", "!=")
        if is_equality:
            equal = self._equal(left, right)
            if equal is not None:
                return CompiledValue(BOOL, f"(not {equal})" if sign == "!=" else equal)
        codes = []
        for one in (left, right):
            if isinstance(one.type, Optional_):
                one = self._present(one)
            if one.type not in BOOLS:
                one = self.number(one)
            if not isinstance(one.type, Scalar):
                raise NotCompiled(f"a comparison of {named(one.type)}", self.line)
            one = self._once(one)
            codes.append(f"{one.code}[0]" if one.type == NUM else one.code)
        if BOOL in (left.type, right.type) and left.type != right.type:
            codes = [
                f"(1 if {code} else 0)" if one.type in BOOLS else code
                for one, code in zip((left, right), codes)
            ]
        kind = NPBOOL if {left.type, right.type} & NUMPY else BOOL
        return CompiledValue(kind, f"({codes[0]} {sign} {codes[1]})")

    def _equal(self, left: CompiledValue, right: CompiledValue) -> str | None:
        """Return the code of an equality that is not one of numbers; None if it is."""
        kinds = left.type, right.type
        if NONE in kinds:
            other = right if left.type == NONE else left
            if isinstance(other.type, Optional_):
                return f"{self.atom(other).code}[0]"
            return str(other.type == NONE)
        texts = [texts_of(k) is not None for k in kinds]
        if all(texts):
            both = join(*kinds)
            codes = [coerced(self.atom(one), both) for one in (left, right)]
            return str(True) if isinstance(both, Static) else f"({codes[0]} == {codes[1]})"
        if any(texts) and any(isinstance(k, Scalar) for k in kinds):
            return "False"
        if any(isinstance(k, Optional_) for k in kinds):
            left, right = self.atom(left), self.atom(right)
            if all(isinstance(k, Optional_) for k in kinds):
                raise NotCompiled("a comparison of two values that may be None", self.line)
            held, other = (left, right) if isinstance(left.type, Optional_) else (right, left)
            assert isinstance(held.type, Optional_)
            inner = self._compare(ast.Eq(), CompiledValue(held.type.of, f"{held.code}[1]"), other)
            return f"(not {held.code}[0] and {inner.code})"
        if isinstance(kinds[0], Tup) and isinstance(kinds[1], Tup):
            if "array" in (kinds[0].form, kinds[1].form):
                raise NotCompiled("a comparison of arrays", self.line)
            if kinds[0].form != kinds[1].form or len(kinds[0].items) != len(kinds[1].items):
                return "False"
            left, right = self.atom(left), self.atom(right)
            parts = [
                self._compare(
                    ast.Eq(),
                    CompiledValue(a, f"{left.code}[{i}]"),
                    CompiledValue(b, f"{right.code}[{i}]"),
                ).code
                for i, (a, b) in enumerate(zip(kinds[0].items, kinds[1].items))
            ]
            return f"({' and '.join(parts)})"
        return None

    def _is(self, operator: ast.cmpop, left: CompiledValue, right: CompiledValue) -> CompiledValue:
        if left.type == NONE:
            left, right = right, left
        if right.type == NONE:
            code = (
                f"{self.atom(left).code}[0]"
                if isinstance(left.type, Optional_)
                else str(left.type == NONE)
            )
        elif left.type == right.type == BOOL:
            code = f"({left.code} == {right.code})"
        else:
            raise NotCompiled("`is` between values other than None, True and False", self.line)
        return CompiledValue(BOOL, f"(not {code})" if isinstance(operator, ast.IsNot) else code)

    def _contains(self, owner: CompiledValue, item: CompiledValue) -> str:
        """Return the code of whether an item is in a sequence or dict."""
        kind = owner.type
        text = item.type.value if isinstance(item.type, Static) else None
        if isinstance(kind, Static) and isinstance(text, str):
            if isinstance(kind.value, ParamsDict):
                return str(text in PARAM_TYPES)
            thing = kind.value
            if isinstance(thing, PythonThing) and type(thing.value) is dict:
                slot = self.program.slot(thing.value, text)
                if slot is not None and slot.may_lack:
                    return f"(s[{slot.offset}] != 0.0)"
                return str(slot is not None or text in thing.value)
            if isinstance(thing, str):
                return str(text in thing)
        if isinstance(kind, Static) or is_array(kind):
            raise NotCompiled(f"`in` {named(kind)}", self.line)
        item = self.atom(item)
        if item.type in FLOATS:
            with self.indented(f"if {item.code} != {item.code}:"):
                self.emit(f"fail(e, {UNCERTAIN})")
            self.can_fail = True
        if isinstance(kind, Rows) and kind.item is None:
            return "False"
        if isinstance(kind, Tup):
            owner = self.atom(owner)
            parts = [
                self._compare(ast.Eq(), CompiledValue(one, f"{owner.code}[{i}]"), item).code
                for i, one in enumerate(kind.items)
            ]
            return f"({' or '.join(parts)})"
        series = self.series_of(owner)
        result = self.temp("False")
        with self.looped(series) as index:
            found = self._compare(ast.Eq(), series.item(index), item)
            with self.indented(f"if {found.code}:"):
                self.emit(f"{result} = True")
                self.emit("break")
        return result


def _described(node: ast.AST) -> str:
    names = {
        "Dict": "a dict that is made in the function",
        "Set": "a set",
        "Raise": "raise",
        "Assert": "assert",
        "With": "with",
        "Delete": "del",
        "ClassDef": "a class inside a function",
        "DictComp": "a dict that is made in the function",
        "SetComp": "a set",
        "NamedExpr": "an assignment in an expression",
        "Nonlocal": "nonlocal",
    }
    return names.get(type(node).__name__, f"{type(node).__name__.lower()}")


def _is_nonzero(code: str) -> bool:
    """Return whether a code is a number other than 0."""
    bare = code.removeprefix("float(").strip("()")
    try:
        return float(bare) != 0.0
    except ValueError:
        return False


def is_array(kind: Type) -> bool:
    """Return whether values of a type are numpy's arrays."""
    if isinstance(kind, Tup):
        return kind.form == "array"
    return isinstance(kind, Table) and (kind.item in NUMPY or is_array(kind.item))
