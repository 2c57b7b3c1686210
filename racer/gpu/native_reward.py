"""A reward's generated code as C++ for a device, from the same translation as numba's.

`RewardTranslation` writes a reward file as Python of a few forms: numbers, tuples, arrays, lists,
loops. Here its text is read again, the types of its variables are found, and each form is written
in C++, which Warp puts into a kernel of the processor or of a GPU.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from racer.gpu.native_calls import NativeCalls
from racer.gpu.native_helpers import NUMBER_PAIR, PRELUDE, REALS, helper_texts
from racer.gpu.native_types import (
    BOOLEAN,
    REAL,
    WHOLE,
    NativeList,
    NativeScalar,
    NativeTuple,
    NativeType,
    StructTexts,
    joined,
)
from racer.reward.compiler.types import NotCompiled

MAX_ROUNDS = 20
"""How often the types are gone through until none changes."""
LEAVES = {"float64": REAL, "int64": WHOLE, "bool_": BOOLEAN}


@dataclass
class NativeFunction:
    """A function of the generated code."""

    node: ast.FunctionDef
    types: dict[str, NativeType | None] = field(default_factory=dict)
    ret: NativeType | None = None

    @property
    def arguments(self) -> list[str]:
        """The names of its arguments that are values of the file."""
        names = [one.arg for one in self.node.args.args]
        return [name for name in names if name not in ("e", "s", "h", "p")]


@dataclass(frozen=True)
class NativeReward:
    """A reward as a C++ snippet that pays one car.

    Attributes:
        snippet: The body of a function with the arguments of `reward_kernels.pay_car`.
        tables: The constants of the file, one after another: floats, integers, truth values.
        capacity: The most items of a list; 0 if it has no lists.
    """

    snippet: str
    tables: tuple[np.ndarray, np.ndarray, np.ndarray]
    capacity: int


class NativeTranslation(NativeCalls):
    """The translation of one generated module.

    Args:
        code: `CompiledReward.code`.
        capacity: The most items of a list.
    """

    def __init__(self, code: str, capacity: int) -> None:
        tree = ast.parse(code)
        self.structs = StructTexts(capacity)
        self.functions: dict[str, NativeFunction] = {}
        self.used: set[str] = set()
        self.columns: dict[str, tuple[NativeScalar, int, int]] = {}
        self._rows: dict[NativeScalar, list[float]] = {REAL: [], WHOLE: [], BOOLEAN: []}
        self._is_changed = False
        for node in tree.body:
            if isinstance(node, ast.FunctionDef):
                self.functions[node.name] = NativeFunction(node)
            elif isinstance(node, ast.Assign):
                self._read_table(node)
        self.pay = self.functions.pop("pay")

    def _read_table(self, node: ast.Assign) -> None:
        """Note a constant array: its type, and where it begins among those of its type."""
        target, call = node.targets[0], node.value
        assert isinstance(target, ast.Name) and isinstance(call, ast.Call)
        leaf = LEAVES[ast.unparse(call.keywords[0].value).removeprefix("np.")]
        values = ast.literal_eval(call.args[0])
        self.columns[target.id] = leaf, len(self._rows[leaf]), len(values)
        self._rows[leaf] += values

    def translate(self) -> NativeReward:
        """Return the reward in C++.

        Raises:
            NotCompiled: It uses a form that has none.
        """
        entry, is_none, number = self._entry()
        params = entry.args[3]
        for _ in range(MAX_ROUNDS):
            self._is_changed = False
            self.current = NativeFunction(self.pay.node)
            self.current.types["p"] = self.type_of(params)
            self.params = self.current.types["p"]
            assert isinstance(entry.func, ast.Name)
            main = entry.func.id
            self._infer(main)
            if not self._is_changed:
                break
        else:
            raise NotCompiled("the types of its values on a device do not settle")
        self.current = NativeFunction(self.pay.node)
        ret = self.functions[main].ret
        self.current.types |= {"r": ret}
        told = self.code_of(params)
        lines = [
            "i8 e[4] = {0, 0, 0, 0};",
            f"{self.structs.name(self.params)} p = {told};",
            f"{self.structs.name(ret)} r = {main}(p);",
            f"if (e[0] == 0 && ({self.code_of(is_none)})) e[0] = 100;",
            f"f8 paid = e[0] == 0 ? (f8)({self.code_of(number)}) : 0.0;",
            "if (!(paid >= -100000.0 && paid <= 100000.0) && e[0] == 0) e[0] = 100;",
            "status.data[place] = (int)e[0];",
            "longest.data[place] = (int)e[3];",
            "rewards.data[place] = e[0] == 0 ? paid : 0.0;",
        ]
        bodies = [line for name in self._order(main) for line in self._definition(name)]
        snippet = "\n".join(
            [
                *(PRELUDE.splitlines()),
                *self._struct_lines(),
                *helper_texts(self.used),
                "double* s = memory.data + (i8)car * memory.shape[1];",
                lines[0],
                *bodies,
                *lines[1:],
            ]
        )
        has_lists = any(".append(" in line or "append(e," in line for line in bodies)
        return NativeReward(
            snippet, self._table_arrays(), self.structs.capacity if has_lists else 0
        )

    def _table_arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the constants by type; an array without any has one number, for Warp's sake."""
        kinds = ((REAL, np.float64), (WHOLE, np.int64), (BOOLEAN, np.bool_))
        floats, ints, bools = (np.array(self._rows[leaf] or [0], dtype) for leaf, dtype in kinds)
        return floats, ints, bools

    def _struct_lines(self) -> list[str]:
        """Return the definitions of all structs, with the names that the helpers have for two."""
        named = {"P": self.structs.name(NUMBER_PAIR), "Q": self.structs.name(REALS)}
        return [*self.structs.texts, *(f"typedef {of} {name};" for name, of in named.items())]

    def _entry(self) -> tuple[ast.Call, ast.expr, ast.expr]:
        """Return the call of the reward function, whether it returned None, and its number."""
        call = is_none = number = None
        for node in ast.walk(self.pay.node):
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                if node.targets[0].id == "r":
                    call = node.value
                elif node.targets[0].id == "number":
                    number = node.value
            elif isinstance(node, ast.If) and isinstance(node.test, ast.BoolOp):
                is_none = is_none or node.test.values[1]
        assert isinstance(call, ast.Call) and is_none is not None and number is not None
        return call, is_none, number

    # ------------------------------------------------------------------ types

    def widen(self, function: NativeFunction, name: str, kind: NativeType | None) -> None:
        """Note that a variable of a function may have a type.

        Args:
            function: The function.
            name: The variable.
            kind: The type; None is not known yet.
        """
        wider = joined(function.types.get(name), kind)
        if wider != function.types.get(name):
            function.types[name], self._is_changed = wider, True

    def call_type(self, name: str, kinds: list[NativeType | None]) -> NativeType | None:
        """Return what a function of the file returns for arguments of some types.

        Args:
            name: The function.
            kinds: The types of its arguments.
        """
        function = self.functions[name]
        for argument, kind in zip(function.arguments, kinds):
            self.widen(function, argument, kind)
        self._infer(name)
        return function.ret

    def _infer(self, name: str) -> None:
        before, self.current = self.current, self.functions[name]
        self.current.types["p"] = self.params
        self._infer_block(self.current.node.body)
        self.current = before

    def _infer_block(self, body: list[ast.stmt]) -> None:
        for node in body:
            if isinstance(node, ast.Assign):
                self._infer_target(node.targets[0], self.type_of(node.value))
            elif isinstance(node, ast.AugAssign):
                if isinstance(node.target, ast.Name):
                    self._infer_target(node.target, self.type_of(node.value))
            elif isinstance(node, ast.For):
                self._infer_target(node.target, WHOLE)
                self.type_of(node.iter)
                self._infer_block(node.body)
            elif isinstance(node, ast.If | ast.While):
                self.type_of(node.test)
                self._infer_block(node.body + node.orelse)
            elif isinstance(node, ast.Return) and node.value is not None:
                wider = joined(self.current.ret, self.type_of(node.value))
                if wider != self.current.ret:
                    self.current.ret, self._is_changed = wider, True
            elif isinstance(node, ast.Expr):
                self._infer_call(node.value)

    def _infer_target(self, target: ast.expr, kind: NativeType | None) -> None:
        if isinstance(target, ast.Name):
            self.widen(self.current, target.id, kind)
        elif isinstance(target, ast.Tuple) and isinstance(kind, NativeTuple):
            for one, inner in zip(target.elts, kind.items):
                self._infer_target(one, inner)
        elif isinstance(target, ast.Subscript) and not self._is_memory(target.value):
            self.widen(self.current, ast.unparse(target.value), NativeList(kind))

    def _infer_call(self, node: ast.expr) -> None:
        assert isinstance(node, ast.Call)
        if isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name):
            kind = NativeList(self.type_of(node.args[0]))
            self.widen(self.current, node.func.value.id, kind)
        else:
            self.type_of(node)

    # ------------------------------------------------------------------ C++

    def _order(self, main: str) -> list[str]:
        """Return the functions that are called, each after those that it calls itself."""
        found: list[str] = []

        def see(name: str) -> None:
            if name in found:
                return
            for node in ast.walk(self.functions[name].node):
                called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
                if called in self.functions:
                    see(called)
            found.append(name)

        see(main)
        return found

    def _definition(self, name: str) -> Iterator[str]:
        """Yield the lines of a function, a lambda that shares the failure and the memory."""
        function = self.functions[name]
        self.current = function
        params = [f"const {self.structs.name(self.params)}& p"]
        params += [f"{self.structs.name(function.types[one])} {one}" for one in function.arguments]
        yield f"auto {name} = [&]({', '.join(params)}) -> {self.structs.name(function.ret)} {{"
        for local, kind in function.types.items():
            if local != "p" and local not in function.arguments:
                name_of = self.structs.name(kind)
                yield f"{name_of} {local} = {self.empty(kind)};"
        yield from self._block(function.node.body)
        yield f"return {self.empty(function.ret)};"
        yield "};"

    def empty(self, kind: NativeType | None) -> str:
        """Return the C++ code of a value of a type, a list without items."""
        name = self.structs.name(kind)
        return f"{name}::none()" if isinstance(kind, NativeList) else f"{name}()"

    def _block(self, body: list[ast.stmt]) -> Iterator[str]:
        for node in body:
            yield from self._statement(node)

    def _statement(self, node: ast.stmt) -> Iterator[str]:
        if isinstance(node, ast.Assign):
            yield from self._assign(node.targets[0], node.value)
        elif isinstance(node, ast.AugAssign):
            yield f"{self._place(node.target)} += {self.code_of(node.value)};"
        elif isinstance(node, ast.If):
            yield f"if ({self._test(node.test)}) {{"
            yield from self._block(node.body)
            if node.orelse:
                yield "} else {"
                yield from self._block(node.orelse)
            yield "}"
        elif isinstance(node, ast.While):
            yield f"while ({self._test(node.test)}) {{"
            yield from self._block(node.body)
            yield "}"
        elif isinstance(node, ast.For):
            yield from self._loop(node)
        elif isinstance(node, ast.Return):
            assert node.value is not None
            yield f"return {self.code_as(node.value, self.current.ret)};"
        elif isinstance(node, ast.Break | ast.Continue):
            yield "break;" if isinstance(node, ast.Break) else "continue;"
        elif isinstance(node, ast.Expr):
            yield f"{self._called(node.value)};"
        elif not isinstance(node, ast.Pass):
            raise NotCompiled(f"{type(node).__name__} on a device")

    def _test(self, node: ast.expr) -> str:
        """Return the code of a condition, without brackets that a compiler would warn about."""
        code = self.code_of(node)
        return code[1:-1] if isinstance(node, ast.Compare) else code

    def _loop(self, node: ast.For) -> Iterator[str]:
        """Yield a loop through a range; its end is found once, as in Python."""
        call, target = node.iter, node.target
        assert isinstance(call, ast.Call) and isinstance(target, ast.Name)
        end = f"n_{target.id}"
        yield f"i8 {end} = {self.code_of(call.args[0])};"
        yield f"for ({target.id} = 0; {target.id} < {end}; ++{target.id}) {{"
        yield from self._block(node.body)
        yield "}"

    def _assign(self, target: ast.expr, value: ast.expr) -> Iterator[str]:
        if isinstance(target, ast.Tuple):
            kind = self.type_of(value)
            yield f"{{ {self.structs.name(kind)} taken = {self.code_of(value)};"
            for i, one in enumerate(target.elts):
                yield f"{self._place(one)} = taken.m{i};"
            yield "}"
        elif isinstance(target, ast.Subscript) and not self._is_memory(target.value):
            owner = self.current.types[ast.unparse(target.value)]
            assert isinstance(owner, NativeList)
            index, item = self.code_of(target.slice), self.code_as(value, owner.item)
            yield f"{ast.unparse(target.value)}.set({index}, {item});"
        else:
            kind = self.type_of_place(target)
            yield f"{self._place(target)} = {self.code_as(value, kind)};"

    def _place(self, target: ast.expr) -> str:
        if isinstance(target, ast.Name):
            return target.id
        assert isinstance(target, ast.Subscript)
        return f"{ast.unparse(target.value)}[{self.code_of(target.slice)}]"

    def type_of_place(self, target: ast.expr) -> NativeType | None:
        """Return the type of what a variable, or an item of the memory, holds."""
        if isinstance(target, ast.Name):
            return self.current.types[target.id]
        return REAL if ast.unparse(getattr(target, "value", target)) == "s" else WHOLE

    @staticmethod
    def _is_memory(node: ast.expr) -> bool:
        return isinstance(node, ast.Name) and node.id in ("s", "e")

    def _called(self, node: ast.expr) -> str:
        """Return the code of a call whose value is not used."""
        assert isinstance(node, ast.Call)
        if isinstance(node.func, ast.Attribute):  # A list's append.
            owner = ast.unparse(node.func.value)
            kind = self.current.types[owner]
            assert isinstance(kind, NativeList)
            return f"{owner}.append(e, {self.code_as(node.args[0], kind.item)})"
        name = ast.unparse(node.func)
        if name == "keep":  # Texts are not printed on a device.
            return "0"
        if name == "fail":
            return f"fail(e, {self.code_of(node.args[1])})"
        return self.code_of(node)
