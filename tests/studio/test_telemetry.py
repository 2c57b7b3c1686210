"""Traces of laps over the distance."""

import json

import numpy as np
import pytest

from racer.car.spec import car_named
from racer.evaluation import controller_for, evaluate_controller, make_race_rules
from racer.track import load_track

pytestmark = pytest.mark.needs("nicegui")
pytest.importorskip("nicegui")

from racer.studio.telemetry import (  # noqa: E402
    TRACE_COLOURS,
    delta_to,
    lap_traces,
    trace_chart,
)

LENGTH, SPEC = load_track("oval").length, car_named("deepracer")


@pytest.fixture(scope="module")
def laps():
    """Two laps of each baseline controller, by its name."""
    rules = make_race_rules(2)
    found = {}
    for name in ("raceline", "pure-pursuit"):
        result = evaluate_controller(controller_for(name, "oval", rules), "oval", rules)
        found[name] = result, lap_traces(name, result, SPEC, LENGTH)
    return found


def test_a_lap_goes_from_the_line_to_the_line_in_its_time(laps):
    result, traces = laps["raceline"]
    assert [one.lap for one in traces] == [1, 2]
    assert sum(len(one.time) for one in traces) == len(result.time)
    for one, time in zip(traces, result.lap_times_s):
        assert one.lap_time == time == pytest.approx(sum(one.sectors))
        assert (np.diff(one.distance) >= 0).all()
        assert 0.0 < one.distance[0] < 0.5
        assert LENGTH - 0.5 < one.distance[-1] <= LENGTH
        assert abs(one.time[-1] - time) < 0.08


def test_the_throttle_is_a_share_of_what_the_car_can(laps):
    for _, traces in laps.values():
        throttle = np.concatenate([one.throttle for one in traces])
        assert throttle.min() >= -100.0
        assert throttle.max() <= 100.0
    assert laps["raceline"][1][0].throttle[0] == 100.0


def test_the_difference_to_a_lap_is_nothing_for_itself_and_that_of_the_times_at_its_end(laps):
    (_, fast), (_, slow) = laps["raceline"], laps["pure-pursuit"]
    assert np.abs(delta_to(fast[1], fast[1])).max() == 0.0
    delta = delta_to(slow[1], fast[1])
    known = delta[~np.isnan(delta)]
    assert known[-1] == pytest.approx(slow[1].lap_time - fast[1].lap_time, abs=0.15)


def test_the_chart_has_a_row_for_each_value_and_no_number_that_json_lacks(laps):
    traces = [one for _, some in laps.values() for one in some]
    options = trace_chart(traces, traces[0], LENGTH)
    assert json.dumps(options, allow_nan=False)
    assert len(options["grid"]) == 4
    assert len(options["series"]) == 4 * len(traces)
    assert len(trace_chart(traces, None, LENGTH)["grid"]) == 3


def test_twenty_colours_are_told_apart():
    from matplotlib.colors import to_rgb

    colours = np.array([to_rgb(one) for one in TRACE_COLOURS])
    assert len(colours) == 20
    apart = np.linalg.norm(colours[:, None] - colours[None], axis=2) + 9.0 * np.eye(20)
    assert apart.min() > 0.2
