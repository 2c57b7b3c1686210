"""Data walks down one staircase: a module imports only rooms on a lower step than its own."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "racer"

STEP = {
    "errors": -1,
    "assets": 0,
    "tables": 0,
    "snapshot": 0,
    "registration": 0,
    "cluster": 1,
    "doctor": 1,
    "randomisation": 1,
    "track": 1,
    "car": 1,
    "laptime": 2,
    "world": 2,
    "sensors": 3,
    "race": 3,
    "controllers": 3,
    "identification": 3,
    "deepracer": 4,
    "reward": 4,
    "rendering": 4,
    "networks": 4,
    "simulation": 4,
    "envs": 5,
    "gpu": 6,
    "validation": 5,
    "entries": 6,
    "pettingzoo": 6,
    "evaluation": 7,
    "reward_check": 8,
    "training.config": 8,
    "explain": 8,
    "deepracer.importer": 9,
    "deepracer.training_log": 9,
    "training": 10,
    "leaderboard": 10,
    "imitation": 11,
    "project": 11,
    "sb3": 11,
    "studio": 11,
    "sweeps": 11,
    "benchmark": 12,
    "cli": 13,
}
"""The step of each room, and of a module that stands on another step than its room."""

ONLY_IN = {
    "captum": ("racer.explain",),
    "fastapi": ("racer.studio",),
    "fsspec": ("racer.assets.remote_files",),
    "nicegui": ("racer.studio",),
    "openvino": (),
    "optuna": ("racer.sweeps",),
    "pettingzoo": ("racer.pettingzoo",),
    "ray": ("racer.cluster",),
    "pybullet": ("racer.world.pybullet_client",),
    "segno": ("racer.cli.studio",),
    "psycopg": (),
    "sqlalchemy": ("racer.leaderboard",),
    "sqlite3": (),
    "sb3_contrib": ("racer.training",),
    "stable_baselines3": (
        "racer.training",
        "racer.sb3",
        "racer.gpu.device_ppo",
        "racer.gpu.rollout_storage",
    ),
    "uvicorn": ("racer.studio",),
    "warp": ("racer.gpu",),
}
"""Packages that only these modules or rooms know."""

OWN = {
    node.name
    for node in ast.parse((ROOT / "__init__.py").read_text()).body
    if isinstance(node, ast.FunctionDef)
}
"""What racer itself offers; anyone may import it."""

HEAVY = {
    "torch",
    "captum",
    "sb3_contrib",
    "stable_baselines3",
    "tensorboard",
    "matplotlib",
    "onnxruntime",
    "casadi",
    "nicegui",
    "optuna",
    "ray",
    "warp",
}

DOORS = ("racer", "racer.cli", "racer.envs")
"""What must start fast: the command, and `import gymnasium` with an environment."""


@dataclass(frozen=True)
class Import:
    """One name that a module imports: `racer.track.Track`, or `numpy`."""

    target: str
    line: int
    is_eager: bool

    @property
    def package(self) -> str:
        return self.target.partition(".")[0]


def imports(source: str, module: str, is_package: bool = False) -> list[Import]:
    """Every import of a module, those inside functions too."""
    found = []
    base = module.split(".") if is_package else module.split(".")[:-1]
    for node, is_eager in _walk(ast.parse(source), True):
        if isinstance(node, ast.Import):
            found += [Import(alias.name, node.lineno, is_eager) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            near = base[: len(base) - node.level + 1] if node.level else []
            origin = ".".join([*near, *filter(None, [node.module])])
            found += [
                Import(f"{origin}.{alias.name}", node.lineno, is_eager) for alias in node.names
            ]
    return found


def _walk(node: ast.AST, is_eager: bool) -> Iterator[tuple[ast.AST, bool]]:
    for child in ast.iter_child_nodes(node):
        inside = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        typing_only = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
        yield child, is_eager
        yield from _walk(child, is_eager and not inside and not typing_only)


def room(name: str) -> str | None:
    """The entry of STEP that `racer.<room>...` belongs to; None for `racer` and its attributes."""
    parts = name.split(".")
    if parts[0] != "racer" or len(parts) < 2 or parts[1].startswith("__") or parts[1] in OWN:
        return None
    module = ".".join(parts[1:3])
    return module if module in STEP else parts[1]


def complaints(module: str, found: list[Import]) -> list[str]:
    """What is wrong with a module's imports, one sentence each."""
    home = room(module)
    if home is not None and home not in STEP:
        return [f"{module}: no step for the room '{home}'; add it to STEP"]
    wrong = []
    for entry in found:
        where, there = f"{module}:{entry.line}", room(entry.target)
        if there is not None and there != home:
            if home is None and not entry.is_eager:
                continue
            if home is None:
                wrong.append(f"{where}: racer itself imports no room, got {entry.target}")
            elif there not in STEP:
                wrong.append(f"{where}: imports {entry.target}, which is in no room")
            elif STEP[there] >= STEP[home]:
                wrong.append(
                    f"{where}: '{home}' (step {STEP[home]}) imports {entry.target} from '{there}'"
                    f" (step {STEP[there]}); only lower steps may be imported"
                )
        owners = ONLY_IN.get(entry.package, (module,))
        if not f"{module}.".startswith(tuple(f"{owner}." for owner in owners)):
            wrong.append(f"{where}: only {' and '.join(owners)} imports {entry.package}")
    return wrong


def heavy_at_the_doors(modules: dict[str, list[Import]], doors: tuple[str, ...]) -> list[str]:
    """Heavy packages that importing a door loads at once, with the module that asks for them."""
    seen, waiting, wrong = set(), [door for door in doors if door in modules], []
    while waiting:
        module = waiting.pop()
        if module in seen:
            continue
        seen.add(module)
        for entry in modules[module]:
            if not entry.is_eager:
                continue
            if entry.package in HEAVY:
                wrong.append(f"{module}:{entry.line}: imports {entry.package} outside a function")
            parts = entry.target.split(".")
            steps = [".".join(parts[: i + 1]) for i in range(len(parts))]
            waiting += [name for name in steps if name in modules]
    return sorted(wrong)


@pytest.fixture(scope="module")
def modules() -> dict[str, list[Import]]:
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        is_package = path.name == "__init__.py"
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        name = ".".join(parts[:-1] if is_package else parts)
        found[name] = imports(path.read_text(), name, is_package)
    return found


def test_no_module_climbs_the_staircase(modules):
    assert [line for name, found in modules.items() for line in complaints(name, found)] == []


def test_the_command_and_the_environments_import_nothing_heavy(modules):
    assert heavy_at_the_doors(modules, DOORS) == []


def test_the_staircase_is_read_from_the_real_package(modules):
    assert {"racer", "racer.errors", "racer.car.tyre_forces", "racer.world.twin"} <= set(modules)
    assert "racer.car.tyre_forces.wrench_on_car" in {
        entry.target for entry in modules["racer.world.twin"]
    }


def test_a_climb_is_noticed(subtests):
    for module, source, word in [
        ("racer.track.geometry", "from racer.world import World", "only lower steps"),
        ("racer.track.geometry", "from racer import world", "only lower steps"),
        ("racer.track.geometry", "from ..world.bullet import World", "only lower steps"),
        ("racer.track.geometry", "import racer.car.spec", "only lower steps"),
        (
            "racer.leaderboard.store",
            "def f():\n    from racer.training import ppo",
            "only lower steps",
        ),
        ("racer.errors", "import racer.cli", "only lower steps"),
        ("racer", "from racer.envs import RacerEnv", "imports no room"),
        ("racer.common", "import math", "no step"),
        ("racer.cli", "import racer.common", "in no room"),
        ("racer.envs", "import pybullet as bullet", "only racer.world.pybullet_client"),
        ("racer.world", "import pybullet", "only racer.world.pybullet_client"),
        ("racer.evaluation", "def f():\n    import sqlalchemy", "only racer.leaderboard"),
        ("racer.entries.net", "from stable_baselines3 import PPO", "only racer.training"),
    ]:
        with subtests.test(module=module, source=source, word=word):
            wrong = complaints(module, imports(source, module))
            assert len(wrong) == 1
            assert word in wrong[0]


def test_a_walk_down_is_allowed(subtests):
    for module, source in [
        ("racer.world.pybullet_client", "import pybullet\nfrom racer.car.spec import CarSpec"),
        ("racer.world.world", "from racer import __version__"),
        ("racer.entries.package", "from racer import __version__"),
        (
            "racer.training.ppo",
            "from stable_baselines3 import PPO\nfrom racer.training import config",
        ),
        ("racer.leaderboard.store", "import sqlalchemy\nfrom . import season"),
        ("racer", "register('x', entry_point='racer.envs:RacerEnv')"),
        ("racer", "def train():\n    from racer.training import run"),
    ]:
        with subtests.test(module=module, source=source):
            assert complaints(module, imports(source, module)) == []


def test_a_heavy_import_is_noticed_through_other_modules(subtests):
    for inner, is_noticed in [
        ("import torch", True),
        ("class A:\n    import torch", True),
        ("try:\n    from torch import nn\nexcept ImportError:\n    pass", True),
        ("def f():\n    import torch", False),
        ("if TYPE_CHECKING:\n    import torch", False),
    ]:
        with subtests.test(inner=inner, is_noticed=is_noticed):
            sources = {
                "racer": "",
                "racer.cli": "from racer.entries import net",
                "racer.entries": "",
                "racer.entries.net": inner,
            }
            modules = {name: imports(source, name) for name, source in sources.items()}
            assert bool(heavy_at_the_doors(modules, ("racer.cli",))) == is_noticed


def test_a_heavy_module_may_be_imported_inside_a_function():
    sources = {
        "racer.cli": "def f():\n    from racer.training import ppo",
        "racer.training.ppo": "import torch",
    }
    modules = {name: imports(source, name) for name, source in sources.items()}
    assert heavy_at_the_doors(modules, ("racer.cli",)) == []


def test_tests_import_of_the_tests_only_their_helpers():
    root = Path(__file__).parent
    wrong = []
    for path in sorted(root.rglob("*.py")):
        module = ".".join(path.relative_to(root.parent).with_suffix("").parts)
        for entry in imports(path.read_text(), module):
            is_helper = entry.target.startswith("tests.helpers.")
            if entry.package in ("tests", "conftest") and not is_helper:
                wrong.append(f"{module}:{entry.line}: imports {entry.target}")
    assert wrong == []
