"""Fixtures that several rooms' tests share, and the skips where optional packages are missing."""

import importlib.util
import re
from collections.abc import Generator, Iterator
from typing import Protocol

import pytest

from racer.car.spec import CarSpec, deepracer
from racer.gpu.runtime import has_cuda
from racer.world import World
from tests.helpers.closing import closing

SPEC = deepracer()
NEEDS = {
    "pybullet": "needs PyBullet",
    "warp": "needs racer's extra gpu",
    **dict.fromkeys(
        ("torch", "stable_baselines3", "tensorboard", "onnx", "onnxscript", "cv2", "moviepy"),
        "needs racer's extra train",
    ),
    **dict.fromkeys(
        (
            *("build", "casadi", "check_jsonschema", "kubernetes_validate", "nbclient", "nbformat"),
            *("nicegui", "openvino"),
            *("pettingzoo", "playwright", "ray", "vehiclemodels"),
        ),
        "needs racer's extra dev",
    ),
}
"""Why a test is skipped, by the package that it needs: PyBullet has no wheel for many machines, and
on those the tests are also run without the large packages."""
LACKING = {name: why for name, why in NEEDS.items() if importlib.util.find_spec(name) is None}
_SAID = re.compile(
    r"No module named '(\w+)|(\w+) is not installed|(race with walls, boxes, bots or several cars)"
)


def _lack_in(text: str) -> str | None:
    """Return why a test is skipped that failed with a text; None if no package was missing."""
    for imported, asked, race in _SAID.findall(text):
        if why := LACKING.get("pybullet" if race else imported or asked):
            return why
    return None


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test that is marked as needing a package, or a CUDA device, that is not here."""
    if item.get_closest_marker("gpu") and not has_cuda():
        pytest.skip("needs a CUDA device, which Warp does not find here")
    for mark in item.iter_markers("needs"):
        if why := LACKING.get(mark.args[0]):
            pytest.skip(why)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Skip a module that imports a package that is not installed."""
    report = yield
    if report.failed and (why := _lack_in(str(report.longrepr))):
        report.outcome, report.longrepr = "skipped", (str(collector.path), 1, f"Skipped: {why}")
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Skip a test that failed because a package is not installed."""
    report = yield
    problem = call.excinfo.value if call.excinfo and report.failed else None
    while problem is not None:
        if why := _lack_in(str(problem)):
            report.outcome, report.longrepr = "skipped", (str(item.path), 1, f"Skipped: {why}")
            break
        problem = problem.__cause__ or problem.__context__
    return report


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the tests of minutes, so that none of them is left to one worker at the end."""

    def minutes(item: pytest.Item) -> float:
        mark = item.get_closest_marker("slow")
        return mark.kwargs.get("minutes", 0.0) if mark else 0.0

    items.sort(key=minutes, reverse=True)


class MakeWorld(Protocol):
    def __call__(self, n: int, spec: CarSpec = SPEC) -> World: ...


@pytest.fixture
def make_world() -> Iterator[MakeWorld]:
    yield from closing(lambda n, spec=SPEC: World(spec, n))
