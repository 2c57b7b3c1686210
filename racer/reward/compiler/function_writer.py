"""Translates one function of a reward file; see `racer.reward.compiler.translation`."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from types import FunctionType, ModuleType
from typing import Any

from racer.reward.compiler.known_functions import KnownFunctions
from racer.reward.compiler.python_numbers import (
    BAD_INDEX,
    BAD_VALUE,
    NO_ATTRIBUTE,
    NO_KEY,
    NO_NAME,
    UNCERTAIN,
    WRONG_TYPE,
)
from racer.reward.compiler.statement_lines import ValueSeries
from racer.reward.compiler.translation import (
    EXCEPTIONS,
    MISSING,
    PARAM_TYPES,
    CompiledClosure,
    CompiledFunction,
    CompiledValue,
    ParamsDict,
    PythonThing,
    RewardTranslation,
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
    from_leaves,
    item_of,
    join,
    leaves,
    named,
    zero,
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


class FunctionWriter(KnownFunctions):
    """Writes the code of one function for its argument types.

    Args:
        program: The translation that it is part of.
        function: The function.
    """

    def __init__(self, program: RewardTranslation, function: CompiledFunction) -> None:
        super().__init__(program, function)
        self._assigned: set[str] | None = set()
        self._scopes: list[dict[str, tuple[str, str]]] = []
        self._not_fresh: set[str] = set()
        self._has_left = False

    def write(self) -> None:
        """Translate the function's body, and set its lines and return type."""
        own, node = self.own, self.own.closure.node
        self._assigned = {name for name, _ in own.args}
        self._not_fresh = _names_not_fresh(node)
        for name, kind in own.args:
            self._widen(name, kind)
        for name, kind in own.args:
            if not isinstance(kind, Static):
                self.emit(
                    f"v_{name} = {coerced(CompiledValue(kind, f'a_{name}'), own.types[name])}"
                )
        if isinstance(node, ast.Lambda):
            self._statement(ast.copy_location(ast.Return(node.body), node))
        else:
            self._block(node.body)
        if self._assigned is not None and self._has_left and own.ret not in (None, NONE):
            self.emit(f"fail(e, {UNCERTAIN})")
            self.emit(f"return {self.nothing()}")
        elif self._assigned is not None and not self._has_left:
            self._return(CompiledValue(NONE, "0"))
        elif self._assigned is not None:
            self.emit("return 0")
        flags = []
        for name in sorted(own.flagged):
            flags.append(f"    u_{name} = False")
            kind = own.types.get(name)
            if not isinstance(kind, Static) and kind is not None:
                flags.append(f"    v_{name} = {zero(kind)}")
        names = [f"a_{name}" for name, kind in own.args if not isinstance(kind, Static)]
        names += [_capture(*one) for one in own.captured]
        head = ["@njit(error_model='numpy', nogil=True)"]
        head.append(f"def {own.name}({', '.join(['e', 's', 'h', 'p', *names])}):")
        self.own.lines = [*head, *flags, *self.lines]

    # ------------------------------------------------------------------ statements

    def _block(self, body: list[ast.stmt]) -> None:
        for statement in body:
            if self._assigned is None:
                return
            self._statement(statement)

    def _statement(self, node: ast.stmt) -> None:
        """Translate a statement; one that cannot be becomes a failure with its reason."""
        lines, indent, blocks = len(self.lines), self.indent, len(self.blocks)
        scopes = len(self._scopes)
        self.line, self.can_fail = node.lineno, False
        try:
            getattr(self, f"_do_{type(node).__name__}", self._refuse)(node)
            self.check()
        except NotCompiled as problem:
            del self.lines[lines:], self.blocks[blocks:], self._scopes[scopes:]
            self.indent = indent
            number = self.program.reason(problem, self.line)
            self.emit(f"fail(e, {number})")
            self.emit(f"return {self.nothing()}")
            # What follows is not reached, but what it assigns has to be found.
            self._has_left = True
            if isinstance(node, ast.Return | ast.Raise):
                self._assigned = None
            elif self._assigned is not None:
                self._assigned |= _stored(node)

    def _refuse(self, node: ast.AST) -> Any:
        raise NotCompiled(_described(node), getattr(node, "lineno", None))

    def _do_Pass(self, node: ast.Pass) -> None:
        pass

    _do_Global = _do_Pass

    def _do_Expr(self, node: ast.Expr) -> None:
        if isinstance(node.value, ast.Constant):
            return
        call = node.value if isinstance(node.value, ast.Call) else None
        method = call.func if call and isinstance(call.func, ast.Attribute) else None
        if method and (self._changes_list(call, method) or self._updates_dict(call, method)):
            return
        value = self.visit(node.value)
        if value.code and not isinstance(value.type, Static):
            self.temp(value.code)

    def _do_Import(self, node: ast.Import) -> None:
        for one in node.names:
            module = __import__(one.name)
            if one.asname:
                for part in one.name.split(".")[1:]:
                    module = getattr(module, part)
            name = one.asname or one.name.partition(".")[0]
            self._assign_name(name, self.program.constant(module, None, node.lineno))

    def _do_ImportFrom(self, node: ast.ImportFrom) -> None:
        if node.module == "__future__":
            return
        module = __import__(node.module or "", fromlist=["*"])
        for one in node.names:
            value = self.program.constant(getattr(module, one.name), None, node.lineno)
            self._assign_name(one.asname or one.name, value)

    def _do_FunctionDef(self, node: ast.FunctionDef) -> None:
        if node.decorator_list:
            raise NotCompiled("a decorated function", node.lineno)
        defaults = tuple(self._literal(one) for one in node.args.defaults)
        keywords = {
            argument.arg: self._literal(one)
            for argument, one in zip(node.args.kwonlyargs, node.args.kw_defaults)
            if one is not None
        }
        closure = self.program.static(
            (node, self.own), lambda: CompiledClosure(node, self.own, None, defaults, keywords)
        )
        self._assign_name(node.name, CompiledValue(closure))

    def _literal(self, node: ast.expr) -> Any:
        try:
            return ast.literal_eval(node)
        except ValueError:
            raise NotCompiled("a default that is no plain constant", node.lineno) from None

    def _do_Return(self, node: ast.Return) -> None:
        value = CompiledValue(NONE, "0") if node.value is None else self.visit(node.value)
        self._return(value)

    def _return(self, value: CompiledValue) -> None:
        own = self.own
        wider = join(own.ret, value.type)
        if wider != own.ret:
            own.ret, self.program.is_changed = wider, True
        if isinstance(wider, Static):
            self.check()
            self.emit("return 0")
        else:
            value = self.atom(value)
            self.check()
            self.emit(f"return {coerced(value, wider)}")
        self._assigned = None

    def _do_Assign(self, node: ast.Assign) -> None:
        value = self.visit(node.value)
        if len(node.targets) > 1 or not isinstance(node.targets[0], ast.Name):
            value = self.atom(value)
        if len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            self._assign_name(node.targets[0].id, value, _is_fresh(node.value))
            return
        for target in node.targets:
            self._assign(target, value)

    def _do_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self._assign(node.target, self.visit(node.value))

    def _do_AugAssign(self, node: ast.AugAssign) -> None:
        target = node.target
        before = self.visit(ast.copy_location(_loaded(target), target))
        before = self.atom(before)
        if isinstance(before.type, Rows) or getattr(before.type, "form", "") in ("list", "array"):
            raise NotCompiled("a list that is changed in place", node.lineno)
        value = self.binary(type(node.op), before, self.visit(node.value))
        self._assign(target, value)

    def _assign(self, target: ast.expr, value: CompiledValue) -> None:
        if isinstance(target, ast.Name):
            self._assign_name(target.id, value)
        elif isinstance(target, ast.Tuple | ast.List):
            self._unpack(target.elts, value)
        elif isinstance(target, ast.Attribute):
            owner = self.visit(target.value)
            self._assign_held(owner, "attr", target.attr, value)
        elif isinstance(target, ast.Subscript):
            self._assign_item(target, value)
        else:
            self._refuse(target)

    def _unpack(self, targets: list[ast.expr], value: CompiledValue) -> None:
        value = self.atom(value)
        kind = value.type
        if any(isinstance(one, ast.Starred) for one in targets):
            raise NotCompiled("a starred target", self.line)
        if isinstance(kind, Tup):
            if len(kind.items) != len(targets):
                self.fail_with(BAD_VALUE)
                self._assigned = None
                return
            items = [CompiledValue(k, f"{value.code}[{i}]") for i, k in enumerate(kind.items)]
        elif isinstance(kind, Table | Rows):
            series = self.series_of(value)
            with self.indented(f"if {series.length} != {len(targets)}:"):
                self.emit(f"fail(e, {BAD_VALUE})")
            self.can_fail = True
            self.check()
            items = [series.item(str(i)) for i in range(len(targets))]
        else:
            raise NotCompiled(f"{named(kind)} taken apart", self.line)
        self.check()
        held = [self.atom(item) for item in items]
        for target, item in zip(targets, held):
            self._assign(target, item)

    def _assign_name(self, name: str, value: CompiledValue, is_fresh: bool = False) -> None:
        own = self.own
        if name in own.declared:
            space = vars(self.program.module)
            path = (("name", name),)
            self._assign_slot(self.program.module, path, space.get(name, MISSING), value)
            return
        self._widen(name, value.type)
        kind = own.types[name]
        if not isinstance(kind, Static):
            if self.can_fail:
                value = self.atom(value)
                self.check()
            needs_atom = value.type != kind
            value = self.atom(value) if needs_atom else value
            self.emit(f"v_{name} = {coerced(value, kind, is_fresh)}")
        if name in own.flagged:
            self.emit(f"u_{name} = True")
        if self._assigned is not None:
            self._assigned.add(name)

    def _widen(self, name: str, kind: Type) -> None:
        own = self.own
        have = own.types.get(name)
        wider = join(have, kind)
        if wider != have:
            own.types[name], self.program.is_changed = wider, True

    def _assign_held(self, owner: CompiledValue, way: str, name: str, value: CompiledValue) -> None:
        """Assign an attribute or an item of an object that the module has."""
        thing = owner.type.value if isinstance(owner.type, Static) else None
        if isinstance(thing, CompiledClosure):
            raise NotCompiled(f"an attribute of a function, {name!r}", self.line)
        if not isinstance(thing, PythonThing) or thing.path is None:
            raise NotCompiled(f"{named(owner.type)} that is changed", self.line)
        if way == "item":
            if type(thing.value) is not dict:
                raise NotCompiled(f"{named(owner.type)} that is changed", self.line)
            before = thing.value.get(name, MISSING)
        else:
            _refuse_unusual(thing.value, name, self.line)
            before = getattr(thing.value, name, MISSING)
        self._assign_slot(thing.value, (*thing.path, (way, name)), before, value)

    def _assign_slot(
        self, holder: Any, path: tuple[tuple[str, str], ...], before: Any, value: CompiledValue
    ) -> None:
        slot = self.program.assign_slot(holder, path, before, value.type, self.line)
        value = self.atom(value)
        self.check()
        at = slot.offset
        if slot.may_lack:
            self.emit(f"s[{at}] = 1.0")
            at += 1
        for code in _to_floats(CompiledValue(slot.type, coerced(value, slot.type))):
            self.emit(f"s[{at}] = {code}")
            at += 1

    def _read_slot(self, slot: Any, failure: int) -> CompiledValue:
        at = slot.offset
        if slot.may_lack:
            with self.indented(f"if s[{at}] == 0.0:"):
                self.emit(f"fail(e, {failure})")
            self.can_fail = True
            self.check()
            at += 1
        code, _ = _from_floats(slot.type, at)
        return CompiledValue(slot.type, code if slot.type == NONE else self.temp(code))

    def _assign_item(self, target: ast.Subscript, value: CompiledValue) -> None:
        owner = self.visit(target.value)
        if isinstance(owner.type, Static):
            if not (isinstance(target.slice, ast.Constant) and isinstance(target.slice.value, str)):
                raise NotCompiled(f"{named(owner.type)} that is changed", self.line)
            self._assign_held(owner, "item", target.slice.value, value)
            return
        name = self._own_list(target.value)
        value = self.atom(value)
        self._widen(name, Rows(value.type))
        kind = self.own.types[name]
        if not isinstance(owner.type, Rows) or not isinstance(kind, Rows) or kind.is_frozen:
            raise NotCompiled(
                "a list that is changed, and more than one name may have it", self.line
            )
        assert kind.item is not None
        index = self._int(self.visit(target.slice))
        place = self.temp(f"index_within(e, {index}, len(v_{name}))")
        self.can_fail = True
        self.check()
        self.emit(f"v_{name}[{place}] = {coerced(value, kind.item)}")

    def _own_list(self, node: ast.expr) -> str:
        """Return the name of a local list that no other name can have."""
        if not isinstance(node, ast.Name) or node.id not in self.own.local:
            raise NotCompiled("a list that is changed where it is not made", self.line)
        if node.id in self._not_fresh:
            raise NotCompiled(
                f"a list, {node.id}, that is changed, and more than one name may have it", self.line
            )
        return node.id

    def _changes_list(self, call: ast.Call | None, method: ast.Attribute) -> bool:
        """Translate a call of `append`, if it is one."""
        if call is None or method.attr != "append" or len(call.args) != 1 or call.keywords:
            return False
        name = self._own_list(method.value)
        value = self.atom(self.visit(call.args[0]))
        self._widen(name, Rows(value.type))
        kind = self.own.types[name]
        if not isinstance(kind, Rows) or kind.is_frozen or kind.item is None:
            raise NotCompiled(f"{name} is {named(kind)}, which is changed", self.line)
        self._read_name(method.value)
        self.check()
        self.emit(f"v_{name}.append({coerced(value, kind.item)})")
        return True

    def _updates_dict(self, call: ast.Call | None, method: ast.Attribute) -> bool:
        """Translate a call of `update` with keywords of a dict of the module, if it is one."""
        if call is None or method.attr != "update" or call.args:
            return False
        if any(one.arg is None for one in call.keywords):
            return False
        owner = self.visit(method.value)
        values = [self.atom(self.visit(one.value)) for one in call.keywords]
        for one, value in zip(call.keywords, values):
            self._assign_held(owner, "item", str(one.arg), value)
        return True

    def _do_If(self, node: ast.If) -> None:
        test = self._condition(node.test)
        if self.can_fail:
            test = self.temp(test)
            self.check()
        before = self._assigned
        ends: list[set[str] | None] = []
        for head, body in ((f"if {test}:", node.body), ("else:", node.orelse)):
            self._assigned = set(before) if before is not None else None
            with self.indented(head):
                self._block(body)
            ends.append(self._assigned)
        self._assigned = _either(*ends)
        self.can_fail = False

    def _do_While(self, node: ast.While) -> None:
        if node.orelse:
            raise NotCompiled("an else of a loop", node.lineno)
        before = set(self._assigned or ())
        with self.indented("while True:"):
            self.blocks.append("loop")
            self.count_turn()
            test = self.temp(self._condition(node.test))
            self.check()
            with self.indented(f"if not {test}:"):
                self.emit("break")
            self._block(node.body)
            self.blocks.pop()
        self._assigned = before
        self.leave_if_failed()

    def _do_For(self, node: ast.For) -> None:
        if node.orelse:
            raise NotCompiled("an else of a loop", node.lineno)
        before = set(self._assigned or ())
        series = self.iterable(node.iter)
        self.check()
        index = self.begin_loop(series)
        self.indent += 1
        self.blocks.append("loop")
        self._assign(node.target, series.item(index))
        self.check()
        self._block(node.body)
        self.blocks.pop()
        self.indent -= 1
        self._assigned = before
        self.leave_if_failed()

    def _do_Break(self, node: ast.stmt) -> None:
        if not self.blocks or self.blocks[-1] != "loop":
            raise NotCompiled("a break or continue inside try", node.lineno)
        self.emit("break" if isinstance(node, ast.Break) else "continue")
        self._assigned = None

    _do_Continue = _do_Break

    def _do_Try(self, node: ast.Try) -> None:
        if node.orelse or node.finalbody:
            raise NotCompiled("an else or finally of try", node.lineno)
        before = set(self._assigned or ())
        with self.indented("while True:"):
            self.blocks.append("try")
            self._block(node.body)
            self.blocks.pop()
            if self._assigned is not None:
                self.emit("break")
        ends = [self._assigned]
        word = "if"
        for handler in node.handlers:
            codes = _codes_of(handler.type)
            if handler.name:
                self.own.types.setdefault(handler.name, Static("an exception"))
            matches = " or ".join(f"e[0] == {code}" for code in codes) or "False"
            self._assigned = set(before)
            with self.indented(f"{word} {matches}:"):
                self.emit("e[0] = 0")
                self._block(handler.body)
            ends.append(self._assigned)
            word = "elif"
        self._assigned = _either(*ends)
        self.leave_if_failed()
        self.can_fail = False
        if self._assigned is None:
            self.emit(f"return {self.nothing()}")

    # ------------------------------------------------------------------ expressions

    def visit(self, node: ast.expr) -> CompiledValue:
        """Return the value of an expression."""
        return getattr(self, f"_see_{type(node).__name__}", self._refuse)(node)

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

    def _see_Constant(self, node: ast.Constant) -> CompiledValue:
        if node.value is Ellipsis or isinstance(node.value, complex | bytes):
            self._refuse(node)
        return self.program.constant(node.value, None, node.lineno)

    def _see_Name(self, node: ast.Name) -> CompiledValue:
        return self._read_name(node)

    def _read_name(self, node: ast.expr) -> CompiledValue:
        assert isinstance(node, ast.Name)
        name = node.id
        for scope in reversed(self._scopes):
            if name in scope:
                code, key = scope[name]
                return CompiledValue(self.own.types[key], code)
        if name in self.own.local:
            return self._read_local(name)
        frame = self.own.closure.frame
        while frame is not None:
            if name in frame.local:
                return self._read_captured(frame, name)
            frame = frame.closure.frame
        slot = self.program.slot(self.program.module, name)
        if slot is not None:
            return self._read_slot(slot, NO_NAME)
        return self.program.global_value(name, node.lineno)

    def _read_local(self, name: str) -> CompiledValue:
        kind = self.own.types.get(name)
        if kind is None:
            raise NotCompiled(f"{name} has no value here", self.line)
        if self._assigned is not None and name not in self._assigned:
            if name not in self.own.flagged:
                self.own.flagged.add(name)
                self.program.is_changed = True
            with self.indented(f"if not u_{name}:"):
                self.emit(f"fail(e, {NO_NAME})")
            self.can_fail = True
            self.check()
        return CompiledValue(kind, f"v_{name}")

    def _read_captured(self, frame: CompiledFunction, name: str) -> CompiledValue:
        kind = frame.types.get(name)
        if kind is None:
            raise NotCompiled(f"{name} has no value here", self.line)
        if isinstance(kind, Static):
            return CompiledValue(kind)
        if name in frame.flagged:
            raise NotCompiled(f"{name}, which may have no value yet", self.line)
        if (frame, name) not in self.own.captured:
            self.own.captured[frame, name] = None
            self.program.is_changed = True
        return CompiledValue(kind, _capture(frame, name))

    def _see_Attribute(self, node: ast.Attribute) -> CompiledValue:
        return self._attribute(self.visit(node.value), node.attr, node.lineno)

    def _attribute(self, owner: CompiledValue, name: str, line: int) -> CompiledValue:
        thing = owner.type.value if isinstance(owner.type, Static) else None
        if not isinstance(thing, PythonThing):
            raise NotCompiled(f"the attribute {name!r} of {named(owner.type)}", line)
        slot = self.program.attribute_slot(thing.value, name, line)
        if slot is not None:
            return self._read_slot(slot, NO_ATTRIBUTE)
        if isinstance(thing.value, ModuleType):
            return self.program.constant(getattr(thing.value, name), None, line)
        _refuse_unusual(thing.value, name, line)
        found = inspect.getattr_static(thing.value, name, MISSING)
        if isinstance(found, staticmethod):
            return self.program.constant(found.__func__, None, line)
        is_instance = not isinstance(thing.value, type)
        if isinstance(found, FunctionType) and is_instance and name not in vars(thing.value):
            method = self.program.constant(found, None, line)
            if isinstance(method.type, Static) and isinstance(method.type.value, CompiledClosure):
                plain = method.type.value
                own = owner.type if isinstance(owner.type, Static) else None
                bound = CompiledClosure(
                    plain.node, None, own, plain.defaults, plain.keyword_defaults
                )
                return CompiledValue(
                    self.program.static(("bound", found, owner.type), lambda: bound)
                )
        if found is MISSING:
            self.fail_with(NO_ATTRIBUTE)
            raise NotCompiled(f"there is no attribute {name!r}", line)
        if hasattr(type(found), "__get__") and not isinstance(found, FunctionType):
            raise NotCompiled(f"the attribute {name!r}", line)
        path = None if thing.path is None else (*thing.path, ("attr", name))
        return self.program.constant(found, path, line)

    def _see_Subscript(self, node: ast.Subscript) -> CompiledValue:
        owner = self.visit(node.value)
        kind = owner.type
        if isinstance(kind, Static):
            return self._key_of(owner, node.slice, node.lineno, None)
        if isinstance(kind, Optional_):
            owner = self._present(owner)
            kind = owner.type
        if isinstance(node.slice, ast.Slice):
            return self._slice(owner, node.slice)
        if isinstance(kind, Tup):
            at = _constant_index(node.slice)
            if at is not None:
                if not -len(kind.items) <= at < len(kind.items):
                    self.fail_with(BAD_INDEX)
                    raise NotCompiled("an index out of range", node.lineno)
                at %= len(kind.items)
                return CompiledValue(kind.items[at], f"{owner.code}[{at}]")
        index = self._int(self.visit(node.slice))
        return self._item(owner, index)

    def _item(self, owner: CompiledValue, index: str) -> CompiledValue:
        """Return the item at an index that Python would check."""
        kind = owner.type
        series = self.series_of(owner)
        place = self.temp(f"index_within(e, {index}, {series.length})")
        self.can_fail = True
        never_empty = isinstance(kind, Tup) or (isinstance(kind, Table) and kind.size != 0)
        if not never_empty:
            self.check()
        return series.item(place)

    def _key_of(
        self, owner: CompiledValue, key: ast.expr, line: int, default: CompiledValue | None
    ) -> CompiledValue:
        """Return the item of a dict by a text that stands there."""
        assert isinstance(owner.type, Static)
        thing = owner.type.value
        name = self.visit(key).type
        text = name.value if isinstance(name, Static) and isinstance(name.value, str) else None
        if isinstance(thing, ParamsDict) and text is not None:
            return self._param(text, line, default)
        if isinstance(thing, PythonThing) and type(thing.value) is dict and text is not None:
            slot = self.program.slot(thing.value, text)
            if slot is not None:
                if slot.may_lack and default is not None:
                    raise NotCompiled("get of an item that may not be there yet", line)
                return self._read_slot(slot, NO_KEY)
            if text in thing.value:
                path = None if thing.path is None else (*thing.path, ("item", text))
                return self.program.constant(thing.value[text], path, line)
            if default is not None:
                return default
            self.fail_with(NO_KEY)
            raise NotCompiled(f"there is no key {text!r}", line)
        raise NotCompiled(f"an item of {named(owner.type)}", line)

    def _param(self, key: str, line: int, default: CompiledValue | None) -> CompiledValue:
        kind = PARAM_TYPES.get(key)
        if kind is None:
            if default is not None:
                return default
            self.fail_with(NO_KEY)
            raise NotCompiled(f"params has no key {key!r}", line)
        if key not in self.program.keys:
            self.program.keys.append(key)
            self.program.is_changed = True
        return CompiledValue(kind, f"p[{self.program.keys.index(key)}]")

    def _slice(self, owner: CompiledValue, node: ast.Slice) -> CompiledValue:
        kind = owner.type
        bounds = [node.lower, node.upper, node.step]
        if isinstance(kind, Tup):
            values = [None if one is None else _constant_index(one) for one in bounds]
            if any(have is None and one is not None for have, one in zip(values, bounds)):
                raise NotCompiled("a slice of a short list by what is not constant", self.line)
            chosen = range(len(kind.items))[slice(*values)]
            owner = self.atom(owner)
            items = "".join(f"{owner.code}[{i}], " for i in chosen)
            if not chosen:
                raise NotCompiled("an empty slice", self.line)
            return CompiledValue(Tup(tuple(kind.items[i] for i in chosen), kind.form), f"({items})")
        codes = ["" if one is None else self._int(self.visit(one)) for one in bounds]
        if codes[2] not in ("", "1", "(-1)"):
            raise NotCompiled("a slice with a step", self.line)
        if codes[2] == "(-1)" and (codes[0] or codes[1]):
            raise NotCompiled("a slice backwards between bounds", self.line)
        cut = "::-1" if codes[2] == "(-1)" else f"{codes[0]}:{codes[1]}"
        if isinstance(kind, Rows):
            return CompiledValue(Rows(kind.item), self.temp(f"{owner.code}[{cut}]"))
        if isinstance(kind, Table):
            owner = self.atom(owner)
            parts = [f"{owner.code}[{i}][{cut}]" for i in range(len(leaves(kind.item)))]
            if codes[2]:
                parts = [f"np.ascontiguousarray({part})" for part in parts]
            is_whole = not (codes[0] or codes[1])
            size = kind.size if is_whole else 0
            return CompiledValue(
                Table(kind.item, size), f"({''.join(one + ', ' for one in parts)})"
            )
        raise NotCompiled(f"a slice of {named(kind)}", self.line)

    def _see_Tuple(self, node: ast.Tuple | ast.List) -> CompiledValue:
        form = "list" if isinstance(node, ast.List) else "tuple"
        if not node.elts:
            if form == "list":
                return CompiledValue(Rows(None), "")
            self._refuse(node)
        if len(node.elts) > 6:
            try:
                value = self.program.static(node, lambda: PythonThing(ast.literal_eval(node), None))
                return self.program.constant(value.value.value, None, node.lineno)
            except ValueError:
                pass
        items = [self.visit(one) for one in node.elts]
        for item in items:
            if isinstance(item.type, Static):
                raise NotCompiled(f"a {form} with {named(item.type)} in it", node.lineno)
        kinds = tuple(item.type for item in items)
        return CompiledValue(Tup(kinds, form), f"({''.join(item.code + ', ' for item in items)})")

    _see_List = _see_Tuple

    def _see_IfExp(self, node: ast.IfExp) -> CompiledValue:
        test = self.temp(self._condition(node.test))
        parts = [self._lazily(node.body), self._lazily(node.orelse)]
        kind = join(parts[0][1].type, parts[1][1].type)
        if isinstance(kind, Static):
            return CompiledValue(kind)
        result = f"t{next(self.count)}"
        for head, (lines, value) in zip((f"if {test}:", "else:"), parts):
            with self.indented(head):
                self.lines += lines
                value = self.atom(value) if value.type != kind else value
                self.emit(f"{result} = {coerced(value, kind)}")
        return CompiledValue(kind, result)

    def _condition(self, node: ast.expr) -> str:
        """Return the code of whether an expression is true, where only that matters."""
        if not isinstance(node, ast.BoolOp):
            return self.truth(self.visit(node))
        is_and = isinstance(node.op, ast.And)
        parts = [self._lazy_condition(one) for one in node.values]
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
        if isinstance(kind, Optional_):
            value = self.atom(value)
            inner = self.truth(CompiledValue(kind.of, f"{value.code}[1]"))
            return f"(not {value.code}[0] and {inner})"
        if isinstance(kind, Tup) and kind.form != "array":
            return str(bool(kind.items))
        if isinstance(kind, Table) and item_of(kind) not in NUMPY and not _is_array(kind):
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
        texts = [isinstance(k, Static) and isinstance(k.value, str) for k in kinds]
        if all(texts):
            return str(kinds[0] == kinds[1])
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
        if isinstance(kind, Static) or _is_array(kind):
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

    # ------------------------------------------------------------------ going through

    def iterable(self, node: ast.expr) -> ValueSeries:
        """Return what a loop goes through."""
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
            called = self.visit(node.func).type
            thing = called.value if isinstance(called, Static) else None
            builtin = thing.value if isinstance(thing, PythonThing) else None
            if builtin is range:
                return self._range([self.temp(self._int(self.visit(one))) for one in node.args])
            if builtin is enumerate and len(node.args) in (1, 2):
                inner = self.iterable(node.args[0])
                first = self._int(self.visit(node.args[1])) if len(node.args) == 2 else "0"
                return ValueSeries(
                    inner.length, lambda i: _pair(f"({first} + {i})", inner.item(i)), inner.kind
                )
            if builtin is zip and node.args:
                parts = [self.iterable(one) for one in node.args]
                length = (
                    self.temp(f"min({', '.join(one.length for one in parts)},)")
                    if len(parts) > 1
                    else parts[0].length
                )
                return ValueSeries(length, lambda i: _tuple([one.item(i) for one in parts]), NONE)
            if builtin is reversed and len(node.args) == 1:
                inner = self.iterable(node.args[0])
                return ValueSeries(
                    inner.length, lambda i: inner.item(f"({inner.length} - 1 - {i})"), inner.kind
                )
        return self.series_of(self.visit(node))

    def _range(self, bounds: list[str]) -> ValueSeries:
        start, stop, step = {1: ["0", *bounds, "1"], 2: [*bounds, "1"]}.get(len(bounds), bounds)
        if len(bounds) == 3:
            with self.indented(f"if {step} == 0:"):
                self.emit(f"fail(e, {BAD_VALUE})")
            self.can_fail = True
            self.check()
        length = self.temp(f"len(range({start}, {stop}, {step}))")
        return ValueSeries(length, lambda i: CompiledValue(INT, f"({start} + {i} * {step})"), INT)

    def series_of(self, value: CompiledValue) -> ValueSeries:
        """Return a sequence as something to go through."""
        if isinstance(value.type, Optional_):
            value = self._present(value)
        kind = value.type
        if isinstance(kind, Table):
            value = self.atom(value)
            count = len(leaves(kind.item))

            def of_table(index: str) -> CompiledValue:
                codes = [f"{value.code}[{i}][{index}]" for i in range(count)]
                return CompiledValue(kind.item, from_leaves(kind.item, codes))

            return ValueSeries(f"len({value.code}[0])", of_table, kind.item)
        if isinstance(kind, Tup):
            item = item_of(kind)
            assert item is not None
            same = coerced(self.atom(value), Tup((item,) * len(kind.items), kind.form))
            held = self.temp(same)
            return ValueSeries(
                str(len(kind.items)), lambda index: CompiledValue(item, f"{held}[{index}]"), item
            )
        if isinstance(kind, Rows):
            if kind.item is None:
                return ValueSeries("0", lambda index: CompiledValue(INT, "0"), None)
            value, held_item = self.atom(value), kind.item
            return ValueSeries(
                f"len({value.code})",
                lambda index: CompiledValue(held_item, f"{value.code}[{index}]"),
                held_item,
                value.code,
            )
        raise NotCompiled(f"a loop through {named(kind)}", self.line)

    def _see_ListComp(self, node: ast.ListComp | ast.GeneratorExp) -> CompiledValue:
        key = f"{type(node).__name__}@{node.lineno}:{node.col_offset}"
        own = self.own
        have = own.types.get(key)
        result = self.temp(zero(Rows(have)))
        depth = 0
        scope: dict[str, tuple[str, str]] = {}
        self._scopes.append(scope)
        before_blocks = list(self.blocks)
        for number, generator in enumerate(node.generators):
            if generator.is_async:
                self._refuse(node)
            series = self.iterable(generator.iter)
            index = self.begin_loop(series)
            self.indent += 1
            depth += 1
            self.blocks.append("loop")
            self._bind(generator.target, series.item(index), scope, f"{key}.{number}")
            for test in generator.ifs:
                self.emit(f"if {self._condition(test)}:")
                self.indent += 1
                depth += 1
        value = self.atom(self.visit(node.elt))
        if isinstance(value.type, Static | Rows | Table):
            raise NotCompiled(f"a list of {named(value.type)}", node.lineno)
        wider = join(have, value.type)
        if wider != have:
            own.types[key], self.program.is_changed = wider, True
        self.emit(f"{result}.append({coerced(value, wider)})")
        self.indent -= depth
        self.blocks[:] = before_blocks
        self._scopes.pop()
        self.can_fail = True
        self.check()
        return CompiledValue(Rows(wider), result)

    _see_GeneratorExp = _see_ListComp

    def _bind(
        self,
        target: ast.expr,
        value: CompiledValue,
        scope: dict[str, tuple[str, str]],
        key: str,
    ) -> None:
        """Bind the target of a comprehension in its scope."""
        value = self.atom(value)
        if isinstance(target, ast.Name):
            place = f"{key}.{target.id}"
            self._widen(place, value.type)
            kind = self.own.types[place]
            name = f"c{next(self.count)}"
            self.emit(f"{name} = {coerced(value, kind)}")
            scope[target.id] = name, place
        elif isinstance(target, ast.Tuple | ast.List) and isinstance(value.type, Tup):
            if len(target.elts) != len(value.type.items):
                raise NotCompiled("a target of another length", self.line)
            for i, (one, kind) in enumerate(zip(target.elts, value.type.items)):
                self._bind(one, CompiledValue(kind, f"{value.code}[{i}]"), scope, f"{key}.{i}")
        else:
            self._refuse(target)

    # ------------------------------------------------------------------ calls

    def _see_Lambda(self, node: ast.Lambda) -> CompiledValue:
        if self._scopes:
            raise NotCompiled("a lambda inside a comprehension", node.lineno)
        defaults = tuple(self._literal(one) for one in node.args.defaults)
        return CompiledValue(
            self.program.static(
                (node, self.own), lambda: CompiledClosure(node, self.own, None, defaults)
            )
        )

    def _see_Call(self, node: ast.Call) -> CompiledValue:
        if any(isinstance(one, ast.Starred) for one in node.args) or any(
            one.arg is None for one in node.keywords
        ):
            raise NotCompiled("a starred argument", node.lineno)
        if isinstance(node.func, ast.Attribute):
            owner = self.visit(node.func.value)
            method = self._method(node, owner, node.func.attr)
            if method is not None:
                return method
            called = self._attribute(owner, node.func.attr, node.lineno)
        else:
            called = self.visit(node.func)
        thing = called.type.value if isinstance(called.type, Static) else None
        if isinstance(thing, CompiledClosure):
            return self._call_closure(thing, node)
        if isinstance(thing, PythonThing):
            return self.call_known(thing.value, node)
        raise NotCompiled(f"a call of {ast.unparse(node.func)}", node.lineno)

    def _method(self, node: ast.Call, owner: CompiledValue, name: str) -> CompiledValue | None:
        """Return the value of a method of a dict or list; None if it is no such method."""
        kind, args = owner.type, node.args
        if isinstance(kind, Static):
            thing = kind.value
            is_dict = isinstance(thing, PythonThing) and type(thing.value) is dict
            if name == "get" and (is_dict or isinstance(thing, ParamsDict)) and not node.keywords:
                default = self.visit(args[1]) if len(args) > 1 else CompiledValue(NONE, "0")
                return self._key_of(owner, args[0], node.lineno, default)
            return None
        if name == "index" and len(args) == 1 and isinstance(kind, Rows | Table | Tup):
            return self._index_of(owner, self.visit(args[0]))
        if name == "copy" and not args and isinstance(kind, Rows):
            return CompiledValue(Rows(kind.item), self.temp(f"{owner.code}[:]"))
        if name == "copy" and not args and isinstance(kind, Tup | Table):
            return owner
        if name == "count" and len(args) == 1 and not _is_array(kind):
            series, item = self.series_of(owner), self.atom(self.visit(args[0]))
            total = self.temp("0")
            with self.looped(series) as index:
                equal = self._compare(ast.Eq(), series.item(index), item).code
                with self.indented(f"if {equal}:"):
                    self.emit(f"{total} += 1")
            return CompiledValue(INT, total)
        raise NotCompiled(f"the method {name!r} of {named(kind)}", node.lineno)

    def _index_of(self, owner: CompiledValue, item: CompiledValue) -> CompiledValue:
        if _is_array(owner.type):
            raise NotCompiled("index of an array", self.line)
        series, item = self.series_of(owner), self.atom(item)
        if series.kind is None:
            raise NotCompiled("index in an empty list", self.line)
        result = self.temp("-1")
        with self.looped(series) as index:
            equal = self._compare(ast.Eq(), series.item(index), item).code
            with self.indented(f"if {equal}:"):
                self.emit(f"{result} = {index}")
                self.emit("break")
        with self.indented(f"if {result} < 0:"):
            self.emit(f"fail(e, {BAD_VALUE})")
        self.can_fail = True
        self.check()
        return CompiledValue(INT, result)

    def _call_closure(self, closure: CompiledClosure, node: ast.Call) -> CompiledValue:
        """Return the value of a call of a function of the file."""
        values = self._arguments(closure, node)
        values = [self.atom(value) for value in values]
        self.check()
        callee = self.program.instance(closure, [value.type for value in values], node.lineno)
        args = [value.code for value in values if not isinstance(value.type, Static)]
        for frame, name in callee.captured:
            if frame is self.own:
                args.append(self._read_local(name).code)
            else:
                args.append(self._read_captured(frame, name).code)
        if callee.ret is None:
            raise NotCompiled(f"{ast.unparse(node.func)} returns nothing known", node.lineno)
        result = self.temp(f"{callee.name}({', '.join(['e', 's', 'h', 'p', *args])})")
        self.can_fail = True
        self.check()
        return CompiledValue(callee.ret, result)

    def _arguments(self, closure: CompiledClosure, node: ast.Call) -> list[CompiledValue]:
        wanted = closure.node.args
        if wanted.vararg or wanted.kwarg or wanted.posonlyargs:
            raise NotCompiled("a function with any number of arguments", closure.node.lineno)
        names = [one.arg for one in wanted.args]
        given: dict[str, CompiledValue] = {}
        positional = [self.visit(one) for one in node.args]
        if closure.bound is not None:
            positional.insert(0, CompiledValue(closure.bound))
        if len(positional) > len(names):
            raise NotCompiled("a call with too many arguments", node.lineno)
        given.update(zip(names, positional))
        for one in node.keywords:
            assert one.arg is not None
            if one.arg in given or one.arg not in (*names, *(k.arg for k in wanted.kwonlyargs)):
                raise NotCompiled(f"a call with another argument {one.arg!r}", node.lineno)
            given[one.arg] = self.visit(one.value)
        for name, value in zip(reversed(names), reversed(closure.defaults)):
            if name not in given:
                given[name] = self.program.constant(value, None, node.lineno)
        for name, value in closure.keyword_defaults.items():
            if name not in given:
                given[name] = self.program.constant(value, None, node.lineno)
        every = [*names, *(one.arg for one in wanted.kwonlyargs)]
        if any(name not in given for name in every):
            raise NotCompiled("a call with too few arguments", node.lineno)
        return [given[name] for name in every]


def _capture(frame: CompiledFunction, name: str) -> str:
    return f"k{frame.number}_{name}"


def _described(node: ast.AST) -> str:
    names = {
        "JoinedStr": "a formatted text",
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


def _loaded(target: ast.expr) -> ast.expr:
    """Return the expression that reads an assignment's target."""
    if isinstance(target, ast.Name):
        return ast.Name(target.id, ast.Load())
    if isinstance(target, ast.Attribute):
        return ast.Attribute(target.value, target.attr, ast.Load())
    assert isinstance(target, ast.Subscript)
    return ast.Subscript(target.value, target.slice, ast.Load())


def _either(*ends: set[str] | None) -> set[str] | None:
    """Return the names that have a value on every way that goes on; None if none does."""
    going = [end for end in ends if end is not None]
    return set.intersection(*going) if going else None


def _codes_of(node: ast.expr | None) -> tuple[int, ...]:
    """Return the failures that an `except` catches."""
    if node is None:
        return EXCEPTIONS["Exception"]
    names = node.elts if isinstance(node, ast.Tuple) else [node]
    found: set[int] = set()
    for one in names:
        if not isinstance(one, ast.Name) or one.id not in EXCEPTIONS:
            raise NotCompiled(f"except {ast.unparse(one)}", node.lineno)
        found |= set(EXCEPTIONS[one.id])
    return tuple(sorted(found))


def _constant_index(node: ast.expr) -> int | None:
    """Return an integer that stands there; None of anything else."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = _constant_index(node.operand)
        return None if inner is None else -inner
    is_int = isinstance(node, ast.Constant) and type(node.value) is int
    return node.value if is_int else None  # type: ignore


def _is_nonzero(code: str) -> bool:
    """Return whether a code is a number other than 0."""
    bare = code.removeprefix("float(").strip("()")
    try:
        return float(bare) != 0.0
    except ValueError:
        return False


def _is_array(kind: Type) -> bool:
    if isinstance(kind, Tup):
        return kind.form == "array"
    return isinstance(kind, Table) and (kind.item in NUMPY or _is_array(kind.item))


def _pair(code: str, value: CompiledValue) -> CompiledValue:
    return _tuple([CompiledValue(INT, code), value])


def _tuple(values: list[CompiledValue]) -> CompiledValue:
    kinds = tuple(value.type for value in values)
    return CompiledValue(Tup(kinds), f"({''.join(value.code + ', ' for value in values)})")


def _to_floats(value: CompiledValue) -> Iterator[str]:
    """Yield the codes of the floats that hold a value in a car's memory."""
    kind, code = value.type, value.code
    if isinstance(kind, Optional_):
        yield f"(1.0 if {code}[0] else 0.0)"
        yield from _to_floats(CompiledValue(kind.of, f"{code}[1]"))
    elif isinstance(kind, Tup):
        for i, one in enumerate(kind.items):
            yield from _to_floats(CompiledValue(one, f"{code}[{i}]"))
    elif kind == NUM:
        yield f"{code}[0]"
        yield f"(1.0 if {code}[1] else 0.0)"
    elif kind in BOOLS:
        yield f"(1.0 if {code} else 0.0)"
    elif kind != NONE:
        yield f"float({code})" if kind in INTS else code


def _from_floats(kind: Type, at: int) -> tuple[str, int]:
    """Return the code of a value in a car's memory, and the offset behind it."""
    if isinstance(kind, Optional_):
        inner, after = _from_floats(kind.of, at + 1)
        return f"(s[{at}] != 0.0, {inner})", after
    if isinstance(kind, Tup):
        parts = []
        for one in kind.items:
            code, at = _from_floats(one, at)
            parts.append(code + ", ")
        return f"({''.join(parts)})", at
    if kind == NUM:
        return f"(s[{at}], s[{at + 1}] != 0.0)", at + 2
    if kind == NONE:
        return "0", at
    if kind in BOOLS:
        return f"(s[{at}] != 0.0)", at + 1
    return (f"int(s[{at}])" if kind in INTS else f"s[{at}]"), at + 1


def _refuse_unusual(owner: Any, name: str, line: int | None) -> None:
    """Raise NotCompiled if reading or setting an attribute runs code of the file."""
    kind = owner if isinstance(owner, type) else type(owner)
    is_plain = (
        kind.__getattribute__ is object.__getattribute__
        and kind.__setattr__ is object.__setattr__
        and not hasattr(kind, "__getattr__")
        and type(kind) is type
    )
    held = inspect.getattr_static(owner, name, None)
    if not is_plain or isinstance(held, property):
        raise NotCompiled(f"the attribute {name!r} of a class with rules of its own", line)


def _names_not_fresh(node: ast.FunctionDef | ast.Lambda) -> set[str]:
    """Return the local names that may be another name of a list made elsewhere."""
    shared = {one.arg for one in (*node.args.args, *node.args.kwonlyargs)}
    for one in ast.walk(node):
        if isinstance(one, ast.Assign):
            fresh = _is_fresh(one.value)
            for target in one.targets:
                if isinstance(target, ast.Name):
                    if not fresh or len(one.targets) > 1:
                        shared.add(target.id)
                else:
                    shared |= _stored(target)
            # A list under a second name may be changed by it.
            shared |= {each.id for each in _aliased(one.value)}
        elif isinstance(one, BINDING):
            shared |= _stored(one.target)
    return shared


def _stored(target: ast.AST) -> set[str]:
    """Return the names that a target, or a statement, gives a value."""
    names = (each for each in ast.walk(target) if isinstance(each, ast.Name))
    return {each.id for each in names if isinstance(each.ctx, ast.Store)}


BINDING = (ast.For, ast.comprehension, ast.AnnAssign, ast.NamedExpr, ast.AugAssign)
"""Nodes, other than an assignment, that give their target a value."""


def _aliased(node: ast.expr) -> Iterator[ast.Name]:
    """Yield the names whose object an expression may pass on as it is."""
    if isinstance(node, ast.Name):
        yield node
    elif isinstance(node, ast.Tuple | ast.List):
        for one in node.elts:
            yield from _aliased(one)
    elif isinstance(node, ast.IfExp):
        yield from _aliased(node.body)
        yield from _aliased(node.orelse)
    elif isinstance(node, ast.BoolOp):
        for one in node.values:
            yield from _aliased(one)


def _is_fresh(node: ast.expr) -> bool:
    """Return whether an expression makes a new list."""
    if isinstance(node, ast.List | ast.ListComp | ast.BinOp):
        return True
    if isinstance(node, ast.Subscript):
        return isinstance(node.slice, ast.Slice)
    if isinstance(node, ast.Call):
        if isinstance(node.func, ast.Attribute):
            return node.func.attr == "copy"
        return isinstance(node.func, ast.Name) and node.func.id in ("list", "sorted")
    return False
