"""Gives a variable another name than the function that had its name before.

`time_left = time_left(steps)` is common in reward files, where `time_left` is a function that is
made in the same function. A name has one type in the generated code, so that the variable needs a
name of its own.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

NESTED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def part_variables_from_functions(tree: ast.Module) -> None:
    """Rename, in place, variables that take the name of a function in the same scope.

    That is done only where every read is known to mean the one or the other: the function is made
    once, the variable is first assigned in a statement of the same block, and no other scope reads
    the name.
    """
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    for scope in [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]:
        made = {one.name: i for i, one in enumerate(scope.body) if isinstance(one, ast.FunctionDef)}
        for name, place in made.items():
            first = _first_assignment(scope, name, place)
            if first is None:
                continue
            new = name
            while new in used:
                new += "_"
            used.add(new)
            assigned = scope.body[first]
            assert isinstance(assigned, ast.Assign)
            for target in assigned.targets:
                _rename(target, name, new)
            for statement in scope.body[first + 1 :]:
                _rename(statement, name, new)


def _first_assignment(scope: ast.FunctionDef, name: str, made: int) -> int | None:
    """Return the index of the statement from which on a name is a variable; None if unknown."""
    for i, statement in enumerate(scope.body):
        bindings = [one for one in _own_nodes(statement) if _binds(one, name)]
        if i == made and len(bindings) == 1:
            continue
        if not bindings:
            continue
        is_plain = isinstance(statement, ast.Assign) and len(bindings) == 1 and i > made
        if not is_plain or _is_elsewhere(scope, name):
            return None
        later = [one for each in scope.body[i:] for one in _own_nodes(each)]
        others = (ast.FunctionDef, ast.ClassDef, ast.alias, ast.ExceptHandler, ast.Delete)
        is_other = any(isinstance(one, others) and _binds(one, name) for one in later)
        return None if is_other else i
    return None


def _own_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Yield a node and those below it, without what nested scopes have in them."""
    yield node
    if isinstance(node, NESTED):
        return
    for child in ast.iter_child_nodes(node):
        yield from _own_nodes(child)


def _binds(node: ast.AST, name: str) -> bool:
    if isinstance(node, ast.Name):
        return node.id == name and not isinstance(node.ctx, ast.Load)
    if isinstance(node, ast.alias):
        return (node.asname or node.name).partition(".")[0] == name
    bound = getattr(node, "name", None) == name or name in getattr(node, "names", ())
    return bound and isinstance(
        node, ast.FunctionDef | ast.ClassDef | ast.ExceptHandler | ast.Global | ast.Nonlocal
    )


def _is_elsewhere(scope: ast.FunctionDef, name: str) -> bool:
    """Return whether a nested scope may read or set a name of this scope."""
    arguments = scope.args
    if name in {one.arg for one in (*arguments.args, *arguments.kwonlyargs)}:
        return True
    for node in ast.walk(scope):
        if node is scope:
            continue
        if isinstance(node, COMPREHENSIONS):
            targets = [each.target for each in node.generators]
            if any(_binds(one, name) for each in targets for one in ast.walk(each)):
                return True
        elif isinstance(node, NESTED) and name not in _locals(node):
            inner = (one for one in ast.walk(node) if isinstance(one, ast.Name))
            if any(one.id == name for one in inner):
                return True
    return False


def _locals(node: ast.AST) -> set[str]:
    """Return the names that a nested function assigns or takes, but that it declares nowhere."""
    if not isinstance(node, ast.FunctionDef):
        return set()
    nodes = [one for statement in node.body for one in _own_nodes(statement)]
    names = (one for one in nodes if isinstance(one, ast.Name))
    found = {one.id for one in names if isinstance(one.ctx, ast.Store)}
    found |= {one.arg for one in (*node.args.args, *node.args.kwonlyargs)}
    declared = (one.names for one in nodes if isinstance(one, ast.Global | ast.Nonlocal))
    return found - {name for names in declared for name in names}


def _rename(node: ast.AST, name: str, new: str) -> None:
    for one in _own_nodes(node):
        if isinstance(one, ast.Name) and one.id == name:
            one.id = new
