"""Rewards on a device pay what their Python files pay, or are refused with the reason."""

from pathlib import Path

import numpy as np
import pytest

from racer.errors import RewardError
from racer.gpu import native_helpers
from racer.gpu.device_reward import DeviceReward, list_capacity
from racer.gpu.native_reward import NativeTranslation
from racer.gpu.native_types import REAL
from racer.gpu.runtime import choose_device
from racer.reward import RewardSource
from racer.reward.compiled_reward import CompiledReward
from racer.track import load_track

ROOT = Path(__file__).parents[2]
STOCK = sorted(path.stem for path in (ROOT / "configs/rewards").glob("*.py"))
STYLES = ROOT / "tests/reward/styles"
REFUSED = {
    "callable_object": "reward_function is no plain function",
    "dataclass_state": "line 14: the method 'clear' of a list",
    "global_counters": "line 9: a list that is changed where it is not made",
    "main_guard": "line 4: it uses os",
    "mutates_params": "line 2: the method 'pop' of a list",
    "nested_helpers": "line 17: PARAMS begins as a dict",
    "numpy_everywhere": "line 4: it uses np.random",
    "shapely_polygons": "line 10: it uses shapely.geometry",
    "try_and_print": "line 13: it uses json",
}
"""Why the other files of styles cannot be paid on a device."""
FORMS = """
import math
import numpy as np

SPEEDS = [1.0, 1.5, 2.0, 2.5, 3.0, 2.0, 1.0, 0.5]
state = {"last": None, "count": 0}


def turn(params, ahead=3):
    points = params["waypoints"]
    k = params["closest_waypoints"][1]
    (ax, ay), (bx, by) = points[k - 1], points[(k + ahead) % len(points)]
    return math.degrees(math.atan2(by - ay, bx - ax))


def reward_function(params):
    distances = [math.hypot(x - params["x"], y - params["y"]) for x, y in params["waypoints"]]
    nearest = distances.index(min(distances))
    near = sorted(d for d in distances[:40] if d > 0.1)[:3]
    total = sum(distances[1:9]) / max(len(near), 1)
    reward = SPEEDS[nearest % len(SPEEDS)]
    try:
        reward += 1 / (params["steps"] % 3)
    except ZeroDivisionError:
        reward -= 0.25
    if state["last"] is not None and params["progress"] - state["last"] > 0.5:
        reward *= 1.5
    state["last"] = params["progress"]
    state["count"] += 1
    away = abs(turn(params) - params["heading"]) % 360
    for i, limit in enumerate((10, 20, 40)):
        if away > limit and not params["is_left_of_center"]:
            reward -= 0.1 * i
        elif away > 90:
            break
    k = 0
    while k < state["count"] % 7:
        k += 2
    v = np.array([params["x"], params["y"]])
    if params["objects_location"] and 0.2 < params["objects_distance"][0] < 5:
        reward += 0.01 * len(params["objects_location"])
    reward += float(np.linalg.norm(v)) * 0.01 + round(total, 2) * 0.001 + k // 2 + (-7) % 5
    return float(reward + math.exp(-params["distance_from_center"]) + 2 ** (k % 3))
"""
"""A reward with one of most forms that are written in C++."""


@pytest.fixture(scope="module")
def tracks():
    return [load_track("oval")]


@pytest.mark.slow
def test_a_file_of_many_forms_pays_what_python_pays(tmp_path, tracks):
    file = tmp_path / "forms.py"
    file.write_text(FORMS)
    paid = DeviceReward(RewardSource.find(str(file)), tracks, 3, choose_device("cpu"))
    assert paid.states > 1000
    assert paid.largest_difference < 1e-6
    assert paid.memory.shape[0] == 3


@pytest.mark.ci
@pytest.mark.slow
def test_every_shipped_reward_pays_what_python_pays(subtests, tracks):
    for name in STOCK:
        with subtests.test(name=name):
            paid = DeviceReward(RewardSource.find(name), tracks, 1, choose_device("cpu"))
            assert paid.largest_difference < 1e-6


@pytest.mark.slow
def test_public_styles_pay_what_python_pays(subtests, tracks):
    for path in sorted(STYLES.glob("*.py")):
        if path.stem not in REFUSED:
            with subtests.test(path=path):
                paid = DeviceReward(RewardSource.find(str(path)), tracks, 1, choose_device("cpu"))
                assert paid.largest_difference < 1e-6


@pytest.mark.slow
def test_what_a_device_cannot_pay_is_refused_with_reason_and_line(subtests, tracks):
    for name, why in REFUSED.items():
        with subtests.test(name=name), pytest.raises(RewardError, match="on a device") as told:
            DeviceReward(
                RewardSource.find(str(STYLES / f"{name}.py")), tracks, 1, choose_device("cpu")
            )
        assert why in str(told.value)
        assert f"{name}.py cannot be paid on a device" in str(told.value)


def test_a_file_that_uses_what_no_device_has_is_refused_with_its_line(tmp_path, tracks):
    file = tmp_path / "asks.py"
    file.write_text("import random\n\n\ndef reward_function(params):\n    return random.random()\n")
    with pytest.raises(RewardError, match=r"asks.py cannot be paid on a device: line 5: it uses"):
        DeviceReward(RewardSource.find(str(file)), tracks, 1, choose_device("cpu"))


def test_the_proof_finds_a_function_that_computes_another_value(monkeypatch, tmp_path, tracks):
    file = tmp_path / "divides.py"
    file.write_text(
        "def reward_function(params):\n    return params['speed'] / params['track_width'] + 0.125\n"
    )
    wrong = "(i8* e, f8 a, f8 b) -> f8 { return a / b + 1e-5; }"
    monkeypatch.setitem(native_helpers.HELPERS, "float_div", (REAL, wrong))
    with pytest.raises(RewardError, match=r"it pays .* and Python .* in step 0 on oval forward"):
        DeviceReward(RewardSource.find(str(file)), tracks, 1, choose_device("cpu"))


def test_a_list_has_room_for_twice_the_items_that_it_has_had(tmp_path, tracks):
    for items, capacity in ((3, 8), (40, 80)):
        file = tmp_path / f"lists{items}.py"
        file.write_text(
            "def reward_function(params):\n"
            f"    return sum([x for x, y in params['waypoints'][:{items}]])\n"
        )
        paid = DeviceReward(RewardSource.find(str(file)), tracks, 1, choose_device("cpu"))
        assert paid.native.capacity == capacity < list_capacity(tracks)


def test_constants_of_a_file_are_kept_by_type(tmp_path, tracks):
    file = tmp_path / "tables.py"
    values = [1.5 * k for k in range(9)]
    file.write_text(
        f"A = {values}\nB = {list(range(7))}\n\n\n"
        "def reward_function(params):\n    return A[params['steps'] % 9] + B[params['steps'] % 7]\n"
    )
    code = CompiledReward(RewardSource.find(str(file))).code
    native = NativeTranslation(code, 8).translate()
    assert native.tables[0].tolist() == values
    assert native.tables[1].tolist() == list(range(7))
    assert native.tables[2].dtype == np.bool_
