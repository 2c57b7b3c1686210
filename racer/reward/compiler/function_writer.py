"""Translates one function of a reward file; see `racer.reward.compiler.translation`."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

from racer.reward.compiler.expressions import ExpressionWriter, captured_name, refuse_unusual
from racer.reward.compiler.python_numbers import (
    BAD_VALUE,
    UNCERTAIN,
)
from racer.reward.compiler.translation import (
    EXCEPTIONS,
    MISSING,
    CompiledClosure,
    CompiledFunction,
    CompiledValue,
    RewardTranslation,
    coerced,
    to_floats,
)
from racer.reward.compiler.types import (
    NONE,
    NotCompiled,
    Rows,
    Static,
    Table,
    Tup,
    join,
    named,
    zero,
)

BINDING = (ast.For, ast.comprehension, ast.AnnAssign, ast.NamedExpr, ast.AugAssign)


class FunctionWriter(ExpressionWriter):
    """Writes the code of one function for its argument types.

    Args:
        program: The translation that it is part of.
        function: The function.
    """

    def __init__(self, program: RewardTranslation, function: CompiledFunction) -> None:
        super().__init__(program, function)
        self._not_fresh: set[str] = set()
        self._has_left = False

    def write(self) -> None:
        """Translate the function's body, and set its lines and return type."""
        own, node = self.own, self.own.closure.node
        own.problem = None
        self._assigned = {name for name, _ in own.args}
        self._not_fresh = _names_not_fresh(node)
        for name, kind in own.args:
            self._widen(name, kind)
        for name, kind in own.args:
            if not isinstance(own.types[name], Static):
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
        names += [captured_name(*one) for one in own.captured]
        head = ["@njit(error_model='numpy', nogil=True)"]
        head.append(f"def {own.name}({', '.join(['e', 's', 'h', 'p', *names])}):")
        self.own.lines = [*head, *flags, *self.lines]

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
            self.own.problem = self.own.problem or NotCompiled(
                problem.what, problem.line or self.line
            )
            self.emit(f"fail(e, {number})")
            self.emit(f"return {self.nothing()}")
            # What follows is not reached, but what it assigns has to be found.
            self._has_left = True
            if isinstance(node, ast.Return | ast.Raise):
                self._assigned = None
            elif self._assigned is not None:
                self._assigned |= _stored(node)

    def _do_Pass(self, node: ast.Pass) -> None:
        pass

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

    def _assign_held(self, owner: CompiledValue, way: str, name: str, value: CompiledValue) -> None:
        """Assign an attribute or an item of an object that the module has."""
        thing = self._holder(owner)
        if thing is None or thing.path is None:
            raise NotCompiled(f"{named(owner.type)} that is changed", self.line)
        if way == "item":
            if type(thing.value) is not dict:
                raise NotCompiled(f"{named(owner.type)} that is changed", self.line)
            before = thing.value.get(name, MISSING)
        else:
            refuse_unusual(thing.value, name, self.line)
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
        for code in to_floats(CompiledValue(slot.type, coerced(value, slot.type))):
            self.emit(f"s[{at}] = {code}")
            at += 1

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
        if test in ("True", "False"):
            self.check()
            self._block(node.body if test == "True" else node.orelse)
            return
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

    _do_Global = _do_Pass
    _do_Continue = _do_Break


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
