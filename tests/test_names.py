"""A name says one thing: public names of the package are unique, and constants name their unit."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[1] / "racer"

SHARED: dict[str, str] = {}
"""Names that several modules may define, and why."""

MAX_SHARED = 15


def public_names() -> dict[str, list[str]]:
    """Each public name at a module's top level, with the modules that define it."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted(ROOT.rglob("*.py")):
        for node in ast.parse(path.read_text()).body:
            names: list[str] = []
            if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef)):
                names = [node.name]
            elif isinstance(node, ast.Assign):
                names = [target.id for target in node.targets if isinstance(target, ast.Name)]
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                names = [node.target.id]
            for name in names:
                if not name.startswith("_"):
                    found[name].append(path.relative_to(ROOT).as_posix())
    return found


def test_public_names_are_unique():
    assert len(SHARED) <= MAX_SHARED
    many = {name: where for name, where in public_names().items() if len(where) > 1}
    assert {name: where for name, where in many.items() if name not in SHARED} == {}
    assert set(SHARED) <= set(many), "a name that is unique now needs no reason"


def test_the_quick_tests_are_there_and_cover_every_room():
    makefile = (ROOT.parent / "Makefile").read_text()
    quick = makefile.partition("QUICK := $(addprefix tests/,")[2].partition(")\n")[0]
    paths = quick.replace("\\\n", " ").split()
    tests = ROOT.parent / "tests"
    assert [path for path in paths if not (tests / path).exists()] == []
    rooms = {path.parent.name for path in tests.glob("*/test_*.py")}
    assert rooms - {path.partition("/")[0] for path in paths} == set()
