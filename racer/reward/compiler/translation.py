"""Translates a reward file into code for numba that computes the same bits, or fails and says so.

The module has been run by Python. `reward_function` and all that it calls are translated from their
syntax trees, once for each combination of argument types; names that nothing assigns are constants
with the values that the run gave them. Types are inferred by repeating the translation until none
changes. A statement that cannot be translated becomes a failure with a reason, after which the step
is run in Python.
"""

from __future__ import annotations

import ast
import builtins
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import FunctionType, ModuleType
from typing import Any, NamedTuple

import numpy as np

from racer.reward.compiler import python_numbers
from racer.reward.compiler.python_numbers import FIRST_REASON
from racer.reward.compiler.renaming import part_variables_from_functions
from racer.reward.compiler.types import (
    ANYFLOAT,
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
    MadeText,
    NotCompiled,
    Optional_,
    Rows,
    Scalar,
    Static,
    Table,
    Tup,
    Type,
    Words,
    from_leaves,
    join,
    leaves,
    named,
    texts_of,
    zero,
)
from racer.reward.params import (
    BOOL_PARAMS,
    FLOAT_PARAMS,
    INT_PARAMS,
    OBJECT_PARAMS,
    PAIR_PARAMS,
)

PAIR = Tup((INT, INT), "list")
POINTS = Table(Tup((FLOAT, FLOAT)))
PARAM_TYPES: dict[str, Type] = {
    **dict.fromkeys(FLOAT_PARAMS, FLOAT),
    **dict.fromkeys(INT_PARAMS, INT),
    **dict.fromkeys(PAIR_PARAMS, PAIR),
    **dict.fromkeys(BOOL_PARAMS, BOOL),
    **dict.fromkeys(OBJECT_PARAMS, Table(FLOAT)),
    "objects_location": POINTS,
    "objects_left_of_center": Table(BOOL),
    "waypoints": Table(Tup((FLOAT, FLOAT)), -1),
}
"""The type of each param; a size of -1 means: not known, but never empty."""

MODULES = {
    *("math", "numpy", "typing", "dataclasses", "abc", "enum", "functools", "itertools"),
    *("collections", "__future__", "copy", "operator"),
}
"""Modules whose functions always return the same for the same arguments."""
UNSTEADY = {
    *("id", "hash", "open", "input", "exec", "eval", "globals", "locals", "vars", "compile"),
    *("__import__", "breakpoint", "object", "exit", "quit"),
}
"""Builtins by which a value may depend on more than the params and what the file remembers."""
MAX_PASSES = 16
SHORT = 6
"""A constant list up to this length is a tuple in the generated code, a longer one a table."""

EXCEPTIONS = {
    "ZeroDivisionError": (1,),
    "ArithmeticError": (1, 6),
    "ValueError": (2,),
    "IndexError": (3,),
    "LookupError": (3, 8),
    "NameError": (4,),
    "UnboundLocalError": (),
    "TypeError": (5,),
    "OverflowError": (6,),
    "AttributeError": (7,),
    "KeyError": (8,),
    "Exception": (1, 2, 3, 4, 5, 6, 7, 8),
    "BaseException": (1, 2, 3, 4, 5, 6, 7, 8),
}

Step = tuple[str, str]
"""A step from one object to the next: ("name" | "attr" | "item", its name)."""


@dataclass
class Slot:
    """A variable that the file remembers from step to step.

    Attributes:
        path: The way to it from the module.
        holder: The object that holds it, in the analysed run.
        type: Its type.
        may_lack: Whether it does not exist before the first assignment.
        offset: Index of its first float in a car's memory.
    """

    path: tuple[Step, ...]
    holder: Any
    type: Type
    may_lack: bool = False
    offset: int = 0

    @property
    def size(self) -> int:
        """The number of floats that it takes."""
        return _floats_of(self.type) + self.may_lack


def _param_code(key: str) -> str:
    """Return the code of a car's param, of the arrays of `ParamArrays`."""
    if key == "waypoints":
        return "(points[0], points[1])"
    if key == "objects_left_of_center":
        return "(is_left[k, :count[k]],)"
    if key in OBJECT_PARAMS:
        row = OBJECT_PARAMS.index(key)
        rows = (row, row + 1) if key == "objects_location" else (row,)
        return f"({', '.join(f'objects[{row}, k, :count[k]]' for row in rows)},)"
    if key in PAIR_PARAMS:
        row = len(INT_PARAMS) + 2 * PAIR_PARAMS.index(key)
        return f"(ints[{row}, k], ints[{row + 1}, k])"
    for name, keys in (("floats", FLOAT_PARAMS), ("ints", INT_PARAMS), ("bools", BOOL_PARAMS)):
        if key in keys:
            return f"{name}[{keys.index(key)}, k]"
    raise KeyError(key)


def _floats_of(kind: Type) -> int:
    if isinstance(kind, Optional_):
        return 1 + _floats_of(kind.of)
    if isinstance(kind, Tup):
        return sum(map(_floats_of, kind.items))
    if kind == NONE:
        return 0
    if isinstance(kind, Scalar):
        return 2 if kind == NUM else 1
    raise NotCompiled(f"{named(kind)}, kept from one step to the next")


@dataclass(frozen=True)
class Reason:
    """What cannot be translated, and its line."""

    what: str
    line: int | None


class TextSite(NamedTuple):
    """A place of the file that makes or prints a text.

    Attributes:
        make: Makes or prints it, from a list of floats in which its record is, the record's index,
            and the texts that were made before, by the place where each was kept.
        size: The number of floats of its record, of which the first is the site's number.
    """

    make: Callable[[list[float], int, dict[float, str]], Any]
    size: int


@dataclass
class GeneratedReward:
    """The translation of a reward file.

    Attributes:
        source: Code of a module with `pay`, to be compiled by numba.
        slots: The variables that the file remembers.
        keys: The params that it reads.
        reasons: What each failure from `FIRST_REASON` on means.
        sites: The places that make or print texts, by their numbers.
    """

    source: str
    slots: list[Slot]
    keys: list[str]
    reasons: list[Reason]
    sites: list[TextSite]


@dataclass(eq=False)
class PythonThing:
    """An object of the module that has no code of its own: a module, class, instance, dict, ..."""

    value: Any
    path: tuple[Step, ...] | None

    @property
    def title(self) -> str:
        """Words for what it is."""
        return type(self.value).__name__


@dataclass(eq=False)
class CompiledClosure:
    """A function of the file, with the function that encloses it and its `self`.

    Its `thing` holds its attributes, where it is a function of the module.
    """

    node: ast.FunctionDef | ast.Lambda
    frame: CompiledFunction | None = None
    bound: Static | None = None
    defaults: tuple[Any, ...] = ()
    keyword_defaults: dict[str, Any] = field(default_factory=dict)
    thing: PythonThing | None = None
    title: str = "function"


class ParamsDict:
    """The dict that the reward function receives."""

    title = "dict of params"


@dataclass
class CompiledValue:
    """A value in the generated code: its type, and an expression without side effects."""

    type: Type
    code: str = ""


@dataclass(eq=False)
class CompiledFunction:
    """A function of the file for one combination of argument types."""

    number: int
    closure: CompiledClosure
    args: list[tuple[str, Type]]
    types: dict[str, Type] = field(default_factory=dict)
    flagged: set[str] = field(default_factory=set)
    captured: dict[tuple[CompiledFunction, str], None] = field(default_factory=dict)
    ret: Type | None = None
    local: set[str] = field(default_factory=set)
    declared: set[str] = field(default_factory=set)
    lines: list[str] = field(default_factory=list)
    problem: NotCompiled | None = None
    done: int = 0

    @property
    def name(self) -> str:
        """Its name in the generated code."""
        return f"f{self.number}"


class RewardTranslation:
    """The translation of one reward file.

    Args:
        module: A run of the file.
        content: The file.
        function_name: The function that pays.
    """

    def __init__(self, module: ModuleType, content: bytes, function_name: str) -> None:
        code = getattr(getattr(module, function_name), "__code__", None)
        self.filename = code.co_filename if code else ""
        self.module, self.params = module, Static(ParamsDict())
        self._name = function_name
        self.tree = ast.parse(content)
        part_variables_from_functions(self.tree)
        self.nodes: dict[tuple[str, int], ast.FunctionDef | ast.Lambda | None] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef):
                first = min(one.lineno for one in (node, *node.decorator_list))
                self.nodes[node.name, first] = node
            elif isinstance(node, ast.Lambda):
                place = "<lambda>", node.lineno
                self.nodes[place] = None if place in self.nodes else node
        self.slots: dict[tuple[int, str], Slot] = {}
        self.keys: list[str] = []
        self.reasons: dict[Reason, int] = {}
        self.sites: list[TextSite] = []
        self.tables: dict[int, tuple[Any, list[str]]] = {}
        self._functions: dict[Any, CompiledFunction] = {}
        self._statics: dict[Any, Static] = {}
        self._active: list[CompiledFunction] = []
        self.turn, self.is_changed = 0, False

    def generate(self) -> GeneratedReward:
        """Return the translation.

        Raises:
            NotCompiled: The file uses what may be different each time, or nothing can be inferred.
        """
        refuse_unsteady(self.tree)
        entry = self.global_value(self._name, None)
        if not isinstance(entry.type, Static) or not isinstance(entry.type.value, CompiledClosure):
            raise NotCompiled(f"{self._name} is no plain function")
        top = entry.type.value
        for _ in range(MAX_PASSES):
            self.turn, self.is_changed = self.turn + 1, False
            self.reasons.clear()
            self.sites.clear()
            offset = 0
            for slot in self.slots.values():
                slot.offset, offset = offset, offset + slot.size
            main = self.instance(top, [self.params], None)
            if not self.is_changed:
                break
        else:
            raise NotCompiled("the types of its variables do not settle")
        return GeneratedReward(
            self._source(main, offset),
            list(self.slots.values()),
            self.keys,
            list(self.reasons),
            self.sites,
        )

    def _source(self, main: CompiledFunction, floats: int) -> str:
        lines = ["import math", "import numpy as np", "from numba import njit"]
        used = sorted(vars(python_numbers))
        body = [
            line
            for function in self._functions.values()
            if function.done == self.turn
            for line in function.lines
        ]
        text = "\n".join(body)
        imported = [name for name in used if f"{name}(" in text] + ["fail"]
        names = ", ".join(sorted(set(imported)))
        lines.append(f"from racer.reward.compiler.python_numbers import {names}")
        for _, arrays in self.tables.values():
            lines += arrays
        lines += ["", *body, *self._kernel(main)]
        return "\n".join(lines) + "\n"

    def _kernel(self, main: CompiledFunction) -> list[str]:
        """Return the code that calls the translated function for some cars."""
        fields = [_param_code(key) for key in self.keys]
        told = f"({', '.join(fields)},)" if fields else "(0,)"
        if main.ret is None:
            reason = next(iter(self.reasons))
            raise NotCompiled(reason.what, reason.line)
        value = CompiledValue(main.ret, "r")
        is_lacking = "False"
        if isinstance(main.ret, Optional_):
            value, is_lacking = CompiledValue(main.ret.of, "r[1]"), "r[0]"
        if not isinstance(value.type, Scalar) or value.type == NONE:
            what = "it returns None" if value.type == NONE else f"returns {named(value.type)}"
            raise NotCompiled(what, main.closure.node.lineno)
        number = coerced(value, FLOAT if value.type != NUM else NUM)
        number = f"{number}[0]" if value.type == NUM else number
        kept = [
            "                counts[i] = e[2] - size",
            "                kept[i, : counts[i]] = s[size : e[2]]",
        ]
        kept = kept if self.sites else []
        return [
            "@njit(cache=True, error_model='numpy', nogil=True)",
            "def pay(first, cars, memory, h, rewards, kept, counts, points, floats, ints, bools, "
            "count, objects, is_left):",
            "    e = np.zeros(3, dtype=np.int64)",
            "    status = np.zeros(len(cars), dtype=np.int64)",
            "    size = memory.shape[1]",
            "    s = np.zeros(size + kept.shape[1])",
            "    for i in range(len(cars)):",
            "        k, car = first + i, cars[i]",
            "        s[:size] = memory[car]",
            "        e[:2] = 0",
            "        e[2] = size",
            f"        r = {main.name}(e, s, h, {told})",
            f"        if e[0] == 0 and {is_lacking}:",
            "            e[0] = 100",
            "        if e[0] == 0:",
            f"            number = {number}",
            "            if -100000.0 <= number <= 100000.0:",
            "                rewards[car] = number",
            "                memory[car] = s[:size]",
            *kept,
            "            else:",
            "                e[0] = 100",
            "        status[i] = e[0]",
            "    return status",
        ]

    # ------------------------------------------------------------------ what the run has

    def static(self, key: Any, make: Callable[[], Any]) -> Static:
        """Return the same `Static` for the same key each time."""
        if key not in self._statics:
            self._statics[key] = Static(make())
        return self._statics[key]

    def global_value(self, name: str, line: int | None) -> CompiledValue:
        """Return the value of a name of the module, or of a builtin; a slot is not looked up."""
        space = vars(self.module)
        if name in space:
            return self.constant(space[name], (("name", name),), line)
        if name in vars(builtins):
            return self.constant(getattr(builtins, name), None, line)
        raise NotCompiled(f"the name {name!r} is not known", line)

    def constant(
        self, value: Any, path: tuple[Step, ...] | None, line: int | None
    ) -> CompiledValue:
        """Return a value that the run has as a constant.

        Args:
            value: The value.
            path: The way to it from the module, if there is one.
            line: The line that reads it.
        """
        if value is None:
            return CompiledValue(NONE, "0")
        if isinstance(value, str):
            return CompiledValue(Static(value))
        if (kind := scalar_of(value)) is not None:
            return CompiledValue(kind, literal(value, line))
        if isinstance(value, list | tuple | np.ndarray):
            return self._sequence(value, line)
        if isinstance(value, FunctionType):
            node = self.nodes.get((value.__name__, value.__code__.co_firstlineno))
            if node is not None and value.__module__ == self.module.__name__:
                if value.__closure__:
                    raise NotCompiled("a function that encloses variables", node.lineno)
                defaults, keywords = value.__defaults__ or (), value.__kwdefaults__ or {}
                name = value.__name__
                is_global = vars(self.module).get(name) is value
                thing = PythonThing(value, (("name", name),)) if is_global else None
                make = lambda: CompiledClosure(  # noqa: E731
                    node, None, None, defaults, keywords, thing
                )
                return CompiledValue(self.static(("function", id(value)), make))
        return CompiledValue(
            self.static(("thing", id(value), path), lambda: PythonThing(value, path))
        )

    def _sequence(self, value: Any, line: int | None) -> CompiledValue:
        is_array = isinstance(value, np.ndarray)
        form = "array" if is_array else "tuple" if isinstance(value, tuple) else "list"
        rows = list(value)
        if not rows:
            if form == "list":
                return CompiledValue(Rows(None, True), "")
            raise NotCompiled(f"an empty {form}", line)
        if len(rows) <= SHORT:
            items = [self.constant(row, None, line) for row in rows]
            if all(isinstance(item.type, Scalar | Tup) for item in items):
                kinds = tuple(item.type for item in items)
                return CompiledValue(
                    Tup(kinds, form), f"({''.join(item.code + ', ' for item in items)})"
                )
        kind: Type | None = None
        for row in rows:
            kind = join(kind, _row_type(row, line))
        assert kind is not None
        if id(value) not in self.tables:
            columns: list[list[Any]] = [[] for _ in leaves(kind)]
            for row in rows:
                for column, leaf in zip(columns, _leaves_of(row, kind)):
                    column.append(leaf)
            name = f"T{len(self.tables)}"
            text = [
                f"{name}_{i} = np.array([{', '.join(map(repr, column))}], dtype=np.{leaf})"
                for i, (column, leaf) in enumerate(zip(columns, leaves(kind)))
            ]
            self.tables[id(value)] = value, text
        name = self.tables[id(value)][1][0].partition("_")[0]
        arrays = "".join(f"{name}_{i}, " for i in range(len(leaves(kind))))
        return CompiledValue(Table(kind, len(rows)), f"({arrays})")

    # ------------------------------------------------------------------ what it remembers

    def slot(self, holder: Any, name: str) -> Slot | None:
        """Return the slot of a variable, if anything assigns it."""
        return self.slots.get((id(holder), name))

    def attribute_slot(self, owner: Any, name: str, line: int | None) -> Slot | None:
        """Return the slot that an attribute is read from: the object's own, or one of its class.

        Args:
            owner: The object.
            name: The attribute.
            line: The line that reads it.

        Raises:
            NotCompiled: It is assigned both to the object and to its class.
        """
        own = self.slot(owner, name)
        if isinstance(owner, ModuleType):
            return own
        above = type(owner).__mro__ if not isinstance(owner, type) else owner.__mro__[1:]
        inherited = (
            None
            if name in vars(owner)
            else next((slot for kind in above if (slot := self.slot(kind, name))), None)
        )
        if own is not None and inherited is not None:
            raise NotCompiled(f"{name}, an attribute of an object and of its class", line)
        return own or inherited

    def assign_slot(
        self, holder: Any, path: tuple[Step, ...], before: Any, kind: Type, line: int | None
    ) -> Slot:
        """Return the slot of a variable that is assigned a value of a type.

        Args:
            holder: The object that has it.
            path: The way to the variable.
            before: Its value in the run, or `MISSING`.
            kind: The assigned type.
            line: The line that assigns it.
        """
        key = id(holder), path[-1][1]
        slot = self.slots.get(key)
        if slot is None:
            first = None if before is MISSING else self.constant(before, None, line).type
            if isinstance(first, Static | Rows | Table):
                raise NotCompiled(f"{path[-1][1]} begins as {named(first)}", line)
            slot = Slot(path, holder, join(first, kind), before is MISSING)
            _check_kept(slot, line)
            self.slots[key] = slot
            self.is_changed = True
        wider = join(slot.type, kind)
        if wider != slot.type:
            _floats_of(wider)
            slot.type, self.is_changed = wider, True
            _check_kept(slot, line)
        return slot

    def reason(self, problem: NotCompiled, line: int | None) -> int:
        """Return the number of the failure that stands for a reason."""
        reason = Reason(problem.what, problem.line or line)
        return FIRST_REASON + self.reasons.setdefault(reason, len(self.reasons))

    # ------------------------------------------------------------------ functions

    def instance(
        self, closure: CompiledClosure, args: list[Type], line: int | None
    ) -> CompiledFunction:
        """Return a function translated for argument types, its return type inferred.

        Args:
            closure: The function.
            args: The types.
            line: The line that calls it.
        """
        key = closure.node, closure.frame, closure.bound, tuple(args)
        function = self._functions.get(key)
        if function is None:
            names = [one.arg for one in closure.node.args.args]
            names += [one.arg for one in closure.node.args.kwonlyargs]
            function = CompiledFunction(len(self._functions), closure, list(zip(names, args)))
            function.local, function.declared = local_names(closure.node)
            self._functions[key] = function
            self.is_changed = True
        if function in self._active:
            raise NotCompiled("a function that calls itself", line)
        if function.done < self.turn:
            from racer.reward.compiler.function_writer import FunctionWriter

            self._active.append(function)
            try:
                FunctionWriter(self, function).write()
            finally:
                self._active.pop()
            function.done = self.turn
        return function


MISSING = object()


def _check_kept(slot: Slot, line: int | None) -> None:
    _floats_of(slot.type)
    inner = [slot.type]
    while inner:
        kind = inner.pop()
        if kind == ANYFLOAT:
            name = slot.path[-1][1]
            raise NotCompiled(f"{name} is kept as a float or as a number of numpy's", line)
        if isinstance(kind, Optional_):
            inner.append(kind.of)
        elif isinstance(kind, Tup):
            inner += kind.items
            if kind.form == "array":
                raise NotCompiled("an array of numpy's, kept from one step to the next", line)


def scalar_of(value: Any) -> Scalar | None:
    """Return the type of a Python number or truth value; None of anything else."""
    kinds = {bool: BOOL, int: INT, float: FLOAT, np.bool_: NPBOOL, np.float64: NPFLOAT}
    return (kinds | {np.int64: NPINT}).get(type(value))


def literal(value: Any, line: int | None) -> str:
    """Return the code of a number."""
    if isinstance(value, bool | np.bool_):
        return str(bool(value))
    if isinstance(value, float):
        value = float(value)
        if math.isnan(value):
            raise NotCompiled("a constant that is not a number", line)
        return ("math.inf" if value > 0 else "(-math.inf)") if math.isinf(value) else f"({value!r})"
    if abs(value) > python_numbers.EXACT:
        raise NotCompiled(f"an integer beyond 2 ** 53: {value}", line)
    return f"({int(value)})" if value < 0 else str(int(value))


def _row_type(row: Any, line: int | None) -> Type:
    kind = scalar_of(row)
    if kind is not None:
        literal(row, line)
        if isinstance(row, float) and math.isinf(row):
            raise NotCompiled("inf in a long list", line)
        return kind
    if isinstance(row, list | tuple | np.ndarray) and len(row):
        form = "array" if isinstance(row, np.ndarray) else type(row).__name__
        if form in ("array", "tuple", "list"):
            return Tup(tuple(_row_type(one, line) for one in row), form)
    raise NotCompiled(f"a list with {type(row).__name__} in it", line)


def _leaves_of(row: Any, kind: Type) -> Iterator[Any]:
    if isinstance(kind, Tup):
        for one, inner in zip(row, kind.items):
            yield from _leaves_of(one, inner)
    elif kind == NUM:
        yield from (float(row), isinstance(row, int))
    elif kind in BOOLS:
        yield bool(row)
    else:
        yield float(row) if kind in FLOATS else int(row)


def refuse_unsteady(tree: ast.Module) -> None:
    """Raise NotCompiled if the same params and memory may give another value another time.

    Other modules than `MODULES` may be imported, but not used.
    """
    unsteady: dict[str, str] = {}
    nodes = list(_run_nodes(tree))
    for node in nodes:
        line = getattr(node, "lineno", None)
        if isinstance(node, ast.ImportFrom):
            if node.level:
                raise NotCompiled("it imports a module beside it", line)
            for one in node.names:
                if (node.module or "").partition(".")[0] not in MODULES or "random" in one.name:
                    unsteady[one.asname or one.name] = node.module or ""
        elif isinstance(node, ast.Import):
            for one in node.names:
                if one.name.partition(".")[0] not in MODULES or "random" in one.name:
                    unsteady[(one.asname or one.name).partition(".")[0]] = one.name
        elif isinstance(node, ast.arguments):
            for one in (*node.defaults, *node.kw_defaults):
                if isinstance(one, ast.List | ast.Dict | ast.Set | ast.Call):
                    raise NotCompiled("a default that can be changed", one.lineno)
        elif isinstance(node, ast.AsyncFunctionDef | ast.Yield | ast.YieldFrom | ast.Await):
            raise NotCompiled("a generator or coroutine", line)
    for node in nodes:
        line = getattr(node, "lineno", None)
        if isinstance(node, ast.Name) and (node.id in UNSTEADY or node.id in unsteady):
            raise NotCompiled(f"it uses {unsteady.get(node.id, node.id)}", line)
        if isinstance(node, ast.Attribute) and node.attr in ("random", "load", "loadtxt"):
            raise NotCompiled(f"it uses {ast.unparse(node)}", line)


def _run_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes of a file, without what runs only where it is the main program."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.If) and "__main__" in ast.unparse(child.test):
            continue
        yield child
        yield from _run_nodes(child)


def local_names(node: ast.FunctionDef | ast.Lambda) -> tuple[set[str], set[str]]:
    """Return the local names of a function, and those that it declares global."""
    arguments = node.args
    found = {one.arg for one in (*arguments.args, *arguments.kwonlyargs, *arguments.posonlyargs)}
    declared: set[str] = set()
    waiting: list[ast.AST] = list(node.body) if isinstance(node, ast.FunctionDef) else []
    while waiting:
        one = waiting.pop()
        if isinstance(one, ast.FunctionDef | ast.ClassDef):
            found.add(one.name)
            continue
        if isinstance(
            one, ast.Lambda | ast.ListComp | ast.GeneratorExp | ast.SetComp | ast.DictComp
        ):
            continue
        if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store | ast.Del):
            found.add(one.id)
        elif isinstance(one, ast.Global):
            declared |= set(one.names)
        elif isinstance(one, ast.Import | ast.ImportFrom):
            found |= {(each.asname or each.name).partition(".")[0] for each in one.names}
        elif isinstance(one, ast.ExceptHandler) and one.name:
            found.add(one.name)
        waiting += ast.iter_child_nodes(one)
    return found - declared, declared


def coerced(value: CompiledValue, kind: Type, is_fresh: bool = False) -> str:
    """Return the code of a value, which must be an atom if it is used twice, as another type.

    Args:
        value: The value.
        kind: The type.
        is_fresh: Whether it is a list that nothing else has, so that a copy will do.
    """
    have, code = value.type, value.code
    if have == kind:
        return code
    if isinstance(kind, Words) and (texts := texts_of(have)) is not None:
        places = [str(kind.texts.index(text)) for text in texts]
        return places[0] if len(places) == 1 else f"({', '.join(places)})[{code}]"
    if isinstance(kind, Optional_):
        if have == NONE:
            return f"(True, {zero(kind.of)})"
        if isinstance(have, Optional_):
            return f"({code}[0], {coerced(CompiledValue(have.of, f'{code}[1]'), kind.of)})"
        return f"(False, {coerced(value, kind.of)})"
    if isinstance(kind, Tup) and isinstance(have, Tup) and len(kind.items) == len(have.items):
        parts = (
            coerced(CompiledValue(one, f"{code}[{i}]"), wanted) + ", "
            for i, (one, wanted) in enumerate(zip(have.items, kind.items))
        )
        return f"({''.join(parts)})"
    if isinstance(kind, Scalar) and isinstance(have, Scalar):
        as_int = f"(1 if {code} else 0)" if have in BOOLS else code
        if kind in INTS and have in INTS:
            return as_int
        if kind in BOOLS and have in BOOLS:
            return code
        if kind in FLOATS:
            return code if have in FLOATS else f"{code}[0]" if have == NUM else f"float({as_int})"
        if kind == NUM:
            if have in FLOATS:
                return f"({code}, False)"
            return f"(float({as_int}), True)"
    if isinstance(kind, Table) and isinstance(have, Table) and kind.item == have.item:
        return code
    if isinstance(kind, Rows):
        if isinstance(have, Rows) and (have.item is None or have.item == kind.item):
            return zero(kind) if have.item is None else code
        if isinstance(have, Tup):
            assert kind.item is not None
            items = (
                coerced(CompiledValue(one, f"{code}[{i}]"), kind.item)
                for i, one in enumerate(have.items)
            )
            return f"[{', '.join(items)}]"
        if isinstance(have, Rows) and is_fresh and have.item is not None:
            assert kind.item is not None
            return f"[{coerced(CompiledValue(have.item, 'x_'), kind.item)} for x_ in {code}]"
        if isinstance(have, Table) and have.item == kind.item:
            parts = [f"{code}[{i}][i_]" for i in range(len(leaves(have.item)))]
            return f"[{from_leaves(have.item, parts)} for i_ in range(len({code}[0]))]"
    raise NotCompiled(f"{named(have)} where {named(kind)} is wanted")


def to_floats(value: CompiledValue) -> Iterator[str]:
    """Yield the codes of the floats that hold a value in a car's memory."""
    kind, code = value.type, value.code
    if isinstance(kind, Static):
        return
    if isinstance(kind, Optional_):
        yield f"(1.0 if {code}[0] else 0.0)"
        yield from to_floats(CompiledValue(kind.of, f"{code}[1]"))
    elif isinstance(kind, Tup):
        for i, one in enumerate(kind.items):
            yield from to_floats(CompiledValue(one, f"{code}[{i}]"))
    elif kind == NUM:
        yield f"{code}[0]"
        yield f"(1.0 if {code}[1] else 0.0)"
    elif isinstance(kind, Words | MadeText):
        yield f"float({code})"
    elif kind in BOOLS:
        yield f"(1.0 if {code} else 0.0)"
    elif kind != NONE:
        yield f"float({code})" if kind in INTS else code
