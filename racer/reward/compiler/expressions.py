"""Translates expressions: names, items and calls; see `racer.reward.compiler.translation`."""

from __future__ import annotations

import ast
import inspect
from types import FunctionType, ModuleType
from typing import Any

from racer.reward.compiler.operators import OperatorWriter, is_array
from racer.reward.compiler.python_numbers import (
    BAD_INDEX,
    BAD_VALUE,
    NO_ATTRIBUTE,
    NO_KEY,
    NO_NAME,
)
from racer.reward.compiler.statement_lines import ValueSeries
from racer.reward.compiler.translation import (
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
    INT,
    INTS,
    MADE_TEXT,
    NONE,
    NUM,
    MadeText,
    NotCompiled,
    Optional_,
    Rows,
    Static,
    Table,
    Tup,
    Type,
    Words,
    from_leaves,
    item_of,
    join,
    leaves,
    named,
    texts_of,
    zero,
)


class ExpressionWriter(OperatorWriter):
    """Writes expressions."""

    def __init__(self, program: RewardTranslation, function: CompiledFunction) -> None:
        super().__init__(program, function)
        self._assigned: set[str] | None = set()
        self._scopes: list[dict[str, tuple[str, str]]] = []

    def _literal(self, node: ast.expr) -> Any:
        try:
            return ast.literal_eval(node)
        except ValueError:
            raise NotCompiled("a default that is no plain constant", node.lineno) from None

    def _widen(self, name: str, kind: Type) -> None:
        own = self.own
        have = own.types.get(name)
        wider = join(have, kind)
        if wider != have:
            own.types[name], self.program.is_changed = wider, True

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

    def visit(self, node: ast.expr) -> CompiledValue:
        """Return the value of an expression."""
        return getattr(self, f"_see_{type(node).__name__}", self._refuse)(node)

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
        return CompiledValue(kind, captured_name(frame, name))

    def _see_Attribute(self, node: ast.Attribute) -> CompiledValue:
        return self._attribute(self.visit(node.value), node.attr, node.lineno)

    def _holder(self, owner: CompiledValue) -> PythonThing | None:
        """Return the object of the module that may have attributes; None of anything else."""
        thing = owner.type.value if isinstance(owner.type, Static) else None
        if isinstance(thing, CompiledClosure):
            thing = thing.thing
        return thing if isinstance(thing, PythonThing) else None

    def _attribute(self, owner: CompiledValue, name: str, line: int) -> CompiledValue:
        thing = self._holder(owner)
        if thing is None:
            raise NotCompiled(f"the attribute {name!r} of {named(owner.type)}", line)
        slot = self.program.attribute_slot(thing.value, name, line)
        if slot is not None:
            return self._read_slot(slot, NO_ATTRIBUTE)
        if isinstance(thing.value, ModuleType):
            return self.program.constant(getattr(thing.value, name), None, line)
        refuse_unusual(thing.value, name, line)
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

    def _builtin_hasattr(self, args: list[ast.expr]) -> CompiledValue:
        thing, name = self._named_attribute(args[:2], len(args) == 2)
        slot = self.program.attribute_slot(thing.value, name, self.line)
        if slot is not None:
            return CompiledValue(BOOL, f"(s[{slot.offset}] != 0.0)" if slot.may_lack else "True")
        refuse_unusual(thing.value, name, self.line)
        found = inspect.getattr_static(thing.value, name, MISSING)
        return CompiledValue(BOOL, str(found is not MISSING))

    def _builtin_getattr(self, args: list[ast.expr]) -> CompiledValue:
        thing, name = self._named_attribute(args[:2], len(args) in (2, 3))
        owner = self.visit(args[0])
        if len(args) == 2:
            return self._attribute(owner, name, args[0].lineno)
        default = self.atom(self.visit(args[2]))
        slot = self.program.attribute_slot(thing.value, name, self.line)
        if slot is None or not slot.may_lack:
            has_it = slot or inspect.getattr_static(thing.value, name, MISSING) is not MISSING
            return self._attribute(owner, name, args[0].lineno) if has_it else default
        kind = join(slot.type, default.type)
        result = self.temp(coerced(default, kind))
        with self.indented(f"if s[{slot.offset}] != 0.0:"):
            code, _ = _from_floats(slot.type, slot.offset + 1)
            held = self.atom(CompiledValue(slot.type, code))
            self.emit(f"{result} = {coerced(held, kind)}")
        return CompiledValue(kind, result)

    def _named_attribute(
        self, args: list[ast.expr], is_understood: bool
    ) -> tuple[PythonThing, str]:
        """Return the object and the name that `hasattr` or `getattr` is called with."""
        values = [self.visit(one) for one in args]
        thing = self._holder(values[0])
        names = texts_of(values[1].type) if len(values) == 2 else None
        if not is_understood or thing is None or names is None or len(names) != 1:
            raise NotCompiled("hasattr or getattr of what is no object of the module", self.line)
        return thing, names[0]

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
        for i, item in enumerate(items):
            if isinstance(item.type, Static) and isinstance(item.type.value, str):
                items[i] = CompiledValue(Words((item.type.value,)), "0")
            elif isinstance(item.type, Static):
                raise NotCompiled(f"a {form} with {named(item.type)} in it", node.lineno)
        kinds = tuple(item.type for item in items)
        return CompiledValue(Tup(kinds, form), f"({''.join(item.code + ', ' for item in items)})")

    def _see_IfExp(self, node: ast.IfExp) -> CompiledValue:
        test = self._condition(node.test)
        if test in ("True", "False"):
            return self.visit(node.body if test == "True" else node.orelse)
        test = self.temp(test)
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
        if isinstance(value.type, Static | Rows | Table | MadeText):
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
        if name == "format" and (texts_of(kind) is not None or kind == MADE_TEXT):
            return self.formatted(owner, node)
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
        if name == "count" and len(args) == 1 and not is_array(kind):
            series, item = self.series_of(owner), self.atom(self.visit(args[0]))
            total = self.temp("0")
            with self.looped(series) as index:
                equal = self._compare(ast.Eq(), series.item(index), item).code
                with self.indented(f"if {equal}:"):
                    self.emit(f"{total} += 1")
            return CompiledValue(INT, total)
        raise NotCompiled(f"the method {name!r} of {named(kind)}", node.lineno)

    def _index_of(self, owner: CompiledValue, item: CompiledValue) -> CompiledValue:
        if is_array(owner.type):
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
        if callee.ret is None and callee.problem is not None:
            raise NotCompiled(callee.problem.what, callee.problem.line)
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

    _see_List = _see_Tuple
    _see_GeneratorExp = _see_ListComp


def captured_name(frame: CompiledFunction, name: str) -> str:
    """Return the name of an argument for another function's variable."""
    return f"k{frame.number}_{name}"


def _constant_index(node: ast.expr) -> int | None:
    """Return an integer that stands there; None of anything else."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = _constant_index(node.operand)
        return None if inner is None else -inner
    is_int = isinstance(node, ast.Constant) and type(node.value) is int
    return node.value if is_int else None  # type: ignore


def _pair(code: str, value: CompiledValue) -> CompiledValue:
    return _tuple([CompiledValue(INT, code), value])


def _tuple(values: list[CompiledValue]) -> CompiledValue:
    kinds = tuple(value.type for value in values)
    return CompiledValue(Tup(kinds), f"({''.join(value.code + ', ' for value in values)})")


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


def refuse_unusual(owner: Any, name: str, line: int | None) -> None:
    """Raise NotCompiled if reading or setting an attribute runs code of the file.

    Args:
        owner: The object, or its class.
        name: The attribute.
        line: The line of the file that does it.
    """
    kind = owner if isinstance(owner, type) else type(owner)
    is_plain = (
        kind.__getattribute__ is object.__getattribute__
        and kind.__setattr__ is object.__setattr__
        and not hasattr(kind, "__getattr__")
        and type(kind) is type
    )
    held = inspect.getattr_static(owner, name, None)
    is_own = kind is FunctionType and name.startswith("__")
    if not is_plain or is_own or isinstance(held, property):
        raise NotCompiled(f"the attribute {name!r} of a class with rules of its own", line)
