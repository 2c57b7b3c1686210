"""What `racer reward check` and `racer reward explain` say about reward files."""

from __future__ import annotations

import json

import numpy as np
import pytest

from racer import assets
from racer.cli import main
from racer.errors import ConfigError, RewardError
from racer.reward import RewardSource
from racer.reward.param_cases import STATES_PER_CASE, ParamCase, case_params, param_cases
from racer.reward.reward_file import CALLS_TIMEOUT_S
from racer.reward.timeout import timeout_after
from racer.reward_check import check_reward, explain_reward
from racer.reward_check.probes import run_probes
from racer.reward_check.reward_map import reward_surface
from racer.track import load_track

OVAL = load_track("oval")


@pytest.fixture(scope="module")
def tried():
    return run_probes(OVAL)


@pytest.fixture(autouse=True)
def tricks_of_the_oval_are_driven_once(monkeypatch, tried):
    monkeypatch.setattr("racer.reward_check.check.run_probes", lambda track: tried)


@pytest.fixture
def checked(tmp_path):
    """What is found in a file on the oval, by kind."""

    def run(text: str) -> dict[str, str]:
        path = tmp_path / "mine.py"
        path.write_text(text)
        report = check_reward(RewardSource.read(path), [OVAL])
        found: dict[str, str] = {}
        for finding in report.findings:
            found[finding.kind] = found.get(finding.kind, "") + finding.message
        return found

    return run


@pytest.fixture
def refused(tmp_path, capsys):
    """The message with which the command refuses a file, by exit code 2."""

    def run(text: str) -> str:
        path = tmp_path / "mine.py"
        path.write_text(text)
        with pytest.raises(SystemExit) as stop:
            main(["reward", "check", str(path), "--track", "oval"])
        assert stop.value.code == 2
        said = capsys.readouterr()
        assert said.out == ""
        return said.err.replace(f"{tmp_path}/", "")

    return run


def body(line: str) -> str:
    return f"def reward_function(params):\n    {line}\n"


@pytest.mark.parametrize("name", ["oval", "speedway"])
@pytest.mark.parametrize("is_reversed", [False, True])
def test_the_states_reach_the_start_the_finish_and_beyond_both_borders(name, is_reversed):
    told = case_params(ParamCase(load_track(name), is_reversed, "object_avoidance"))
    assert len(told) == STATES_PER_CASE
    assert (told[0]["steps"], told[-1]["progress"]) == (1, 100.0)
    assert told[0]["progress"] < 0.0
    assert {one["is_reversed"] for one in told} == {is_reversed}
    for key in ("is_left_of_center", "is_offtrack", "is_crashed", "all_wheels_on_track"):
        assert {one[key] for one in told} == {True, False}
    off = {one["is_left_of_center"] for one in told if one["is_offtrack"]}
    assert off == {True, False}
    segments = {one["closest_waypoints"][0] * 10 // (len(told[0]["waypoints"])) for one in told}
    assert segments == set(range(10))
    assert all(len(one["objects_location"]) == 6 for one in told)


def test_every_kind_of_race_is_tried_both_ways():
    tried = {(case.is_reversed, case.kind) for case in param_cases([OVAL])}
    assert len(tried) == len(param_cases([OVAL])) == 6


def test_a_file_that_no_race_can_use_is_refused_with_its_line(subtests, refused):
    for text, said in [
        (body("return params['sped']"), "mine.py:2: KeyError: 'sped'; did you mean 'speed'?"),
        (body("return float('nan')"), "mine.py:1: reward_function returned nan"),
        (body("return 1e6"), "mine.py:1: reward_function returned 1000000.0"),
        (body("return 'fast'"), "mine.py:1: reward_function returned 'fast' (str)"),
        (body("return"), "mine.py:1: reward_function returned None"),
        (body("return params['waypoints'][999][0]"), "mine.py:2: IndexError: list index out"),
        (body("return 1 +"), "mine.py:2: SyntaxError"),
        ("import nowhere\n", "mine.py:1: ModuleNotFoundError"),
    ]:
        with subtests.test(text=text, said=said):
            assert refused(text).startswith(f"racer: {said}")


def test_a_call_that_hangs_is_waited_for_once(refused, monkeypatch):
    waited = []

    def short(seconds):
        waited.append(seconds)
        return timeout_after(0.1)

    monkeypatch.setattr("racer.reward.reward_file.timeout_after", short)
    said = refused(body("while params['steps'] > 3: pass\n    return params['speed']"))
    assert said.startswith("racer: mine.py:2: still running after 10 s")
    assert waited.count(CALLS_TIMEOUT_S) == 4, "three calls that answered and one that hung"


def test_a_missing_file_and_a_missing_track_are_refused(capsys):
    for words in (["gone.py"], ["progress", "--track", "monza"]):
        with pytest.raises(SystemExit) as stop:
            main(["reward", "check", *words])
        assert stop.value.code == 2
        assert "shipped there" in capsys.readouterr().err


def test_what_fails_in_some_races_only_is_a_warning_that_says_where(checked):
    text = body("return 1.0 + params['objects_distance'][params['closest_objects'][1]]")
    found = checked(text)["error"]
    assert "mine.py:2: IndexError" in found
    assert found.endswith("on oval forward without objects and 1 more")


def test_a_key_that_no_params_have_is_found_where_it_is_not_reached(checked):
    text = (
        "def reward_function(params):\n"
        "    params['mine'] = 2.0\n"
        "    if params['speed'] > 9:\n"
        "        return params['distance_from_centre']\n"
        "    other = {'sped': 1.0}\n"
        "    return params['mine'] * other['sped'] + params['speed']\n"
    )
    found = checked(text)["unknown key"]
    assert "mine.py:4: params has no key 'distance_from_centre'" in found
    assert found.endswith("did you mean 'distance_from_center'?")


def test_a_key_asked_for_with_get_is_found_under_whatever_name_the_params_have(checked):
    found = checked("def reward_function(p):\n    return p['speed'] + p.get('stears', 0)\n")
    assert "mine.py:2: params has no key 'stears'" in found["unknown key"]


def test_a_method_of_the_same_name_does_not_hide_the_params(checked):
    text = (
        "class Reward:\n"
        "    def reward_function(self, params):\n"
        "        return params['speed'] + params.get('stears', 0)\n"
        "reward_function = Reward().reward_function\n"
    )
    assert "mine.py:3: params has no key 'stears'" in checked(text)["unknown key"]


def test_a_slow_a_noisy_and_a_constant_reward_are_told(checked, monkeypatch):
    monkeypatch.setattr("racer.reward_check.check.SLOW_CALL_S", 1e-4)
    slow = checked("import time\n" + body("time.sleep(2e-4); return params['speed']"))
    assert "mine.py: a call takes 0." in slow["slow"]
    noisy = checked(body("print('at', params['steps']); return params['speed']"))
    assert noisy["prints"].endswith("'at 1'")
    assert "pays 7 whatever the car does" in checked(body("return 7"))["constant"]


def test_paying_by_the_step_is_found_to_pay_a_crawl_best(checked):
    found = checked(body("return 1.0 - params['is_offtrack'] + 0 * params['speed']"))
    assert "crawling earns 900 and a clean lap 18" in found["trick"]


@pytest.mark.slow
@pytest.mark.ci
def test_nothing_is_wrong_with_a_shipped_reward_but_with_the_bad_example(subtests):
    for name in sorted(
        path.stem for path in (assets.assets_root() / "configs/rewards").glob("*.py")
    ):
        with subtests.test(name=name):
            report = check_reward(RewardSource.find(name), [OVAL])
            kinds = {finding.kind for finding in report.findings}
            assert kinds == ({"trick"} if name == "exploitable" else set())


def test_the_command_prints_a_report_as_json_even_where_the_file_prints(tmp_path, capsys):
    path = tmp_path / "mine.py"
    path.write_text(body("print('noise'); return params['speed']"))
    main(["reward", "check", str(path), "--track", "oval", "--json"])
    report = json.loads(capsys.readouterr().out)
    assert report["calls"] == 6 * STATES_PER_CASE
    assert report["sha256"] == RewardSource.read(path).sha256
    assert {finding["kind"] for finding in report["findings"]} == {"prints", "trick"}
    assert set(report["tricks"]) >= {"standing still", "weaving", "driving the wrong way"}


def test_the_surface_is_paid_for_where_the_front_of_the_car_is(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(body("return 1.0 + params['x'] - 2.0 * params['y']"))
    painted = reward_surface(
        RewardSource.read(path), ParamCase(OVAL, False, "time_trial"), 2.0, 0.3
    )
    corners = painted.corners
    middles = (corners[1:, 1:] + corners[1:, :-1] + corners[:-1, 1:] + corners[:-1, :-1]) / 4
    assert painted.paid == pytest.approx(1.0 + middles[..., 0] - 2.0 * middles[..., 1])


@pytest.mark.parametrize("heading", [0.0, np.pi / 3, np.pi])
def test_a_reward_that_remembers_is_painted_with_what_a_step_there_gains(heading):
    painted = reward_surface(
        RewardSource.find("borders"), ParamCase(OVAL, False, "time_trial"), 3.0, heading
    )
    across = painted.paid.shape[1] // 2
    expected = 3.0 / 15 * np.cos(heading) - 0.02
    assert painted.paid[:, across] == pytest.approx(expected, abs=1e-6)


def test_an_explanation_shows_the_road_the_lap_and_the_boxes():
    figure = explain_reward(RewardSource.find("avoidance"), "oval", kind="object_avoidance")
    road, lap = figure.axes[:2]
    assert road.get_title(loc="left").startswith("avoidance.py on oval forward with boxes")
    assert "times put back" in lap.get_title(loc="left")
    assert [len(line.get_xdata()) for line in road.get_lines()][-1] == 6  # pyright: ignore


def test_an_explanation_of_what_fails_or_of_no_speed_is_refused(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(body("return 1 / (params['speed'] - 2.0)"))
    with pytest.raises(RewardError, match=r"mine\.py:2: ZeroDivisionError"):
        explain_reward(RewardSource.read(path), "oval", speed=2.0)
    with pytest.raises(ConfigError, match=r"from 0\.1 to 4"):
        explain_reward(RewardSource.read(path), "oval", speed=0.0)


def test_the_command_writes_a_picture(tmp_path, capsys):
    out = tmp_path / "new" / "reward.png"
    main(["reward", "explain", "lookahead", "--track", "oval", "--out", str(out), "--reverse"])
    assert out.read_bytes().startswith(b"\x89PNG")
    assert str(out) in capsys.readouterr().out
