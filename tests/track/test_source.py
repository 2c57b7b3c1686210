"""Track files: what ships can be driven, and each mistake gets its own sentence."""

import numpy as np
import pytest
import yaml

from racer import assets
from racer.errors import TrackError
from racer.track import load_track

GOOD = {
    "name": "mine",
    "width": 0.8,
    "control_points": [[0, 0], [3, -0.3], [6, 0], [7, 1.5], [6, 3], [3, 3.3], [0, 3], [-1, 1.5]],
}


def write(tmp_path, **changes):
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(GOOD | changes, sort_keys=False, default_flow_style=None))
    return str(path)


def refused(tmp_path, **changes):
    path = write(tmp_path, **changes)
    with pytest.raises(TrackError) as error:
        load_track(path)
    assert str(error.value).startswith(path)
    return str(error.value)


@pytest.mark.parametrize("name", assets.names("tracks"))
def test_a_shipped_track_is_named_as_its_file_and_evenly_spaced(name):
    track = load_track(name)
    assert track.name == name
    assert track.description
    assert 15.0 <= track.length <= 60.0
    assert 0.6 <= track.width.min() <= track.width.max() <= 1.45
    assert np.diff(track.s) == pytest.approx(0.1, rel=0.02)
    assert track.on_road(track.centre + 1e-6).all()


def test_a_file_anywhere_is_a_track(tmp_path):
    assert load_track(write(tmp_path)).name == "mine"


def test_a_width_a_point_is_followed_along_the_line(tmp_path):
    widths = [0.6, 0.6, 0.6, 0.6, 1.0, 1.0, 1.0, 1.0]
    track = load_track(write(tmp_path, width=widths))
    near = [
        track.width[track.locate(np.array(p, dtype=float)).segment] for p in [(3, -0.3), (3, 3.3)]
    ]
    assert near == pytest.approx([0.6, 1.0], abs=0.03)


def test_the_direction_turns_the_points_round_but_keeps_the_start(tmp_path):
    left = load_track(write(tmp_path))
    right = load_track(write(tmp_path, direction="clockwise"))
    assert not left.is_clockwise
    assert right.is_clockwise
    assert left.centre[0] == pytest.approx(right.centre[0])


def test_a_changed_file_is_read_again(tmp_path):
    import os

    path = write(tmp_path)
    first = load_track(path)
    write(tmp_path, width=0.6)
    os.utime(path, ns=(1, 1))
    assert load_track(path).width.mean() < first.width.mean()


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"width": 0.1}, "0.2-20 m"),
        ({"width": 25.0}, "0.2-20 m"),
        ({"width": [0.8, 0.8]}, "2 widths for 8 control points"),
        ({"width": 2.9}, "folds"),
        ({"control_points": [[0, 0], [1, 0], [1, 1]]}, "at least 4"),
        ({"control_points": [[0, 0], [0, 0], [6, 0], [6, 3], [0, 3]]}, "twice in a row"),
        ({"control_points": [[0, 0], [6, 3], [6, 0], [0, 3]]}, "cross"),
        ({"control_points": [[0, 0], [".nan", 0], [6, 0], [6, 3]]}, "number"),
        ({"control_points": [[0, 0], [float("nan"), 0], [6, 0], [6, 3]]}, "finite"),
        ({"widht": 1.0}, "did you mean 'width'"),
        ({"direction": "backwards"}, "clockwise"),
    ],
)
def test_a_bad_track_gets_its_own_sentence(tmp_path, changes, what):
    assert what in refused(tmp_path, **changes)


def test_a_key_that_is_wrong_is_named_with_its_line(tmp_path):
    path = write(tmp_path, width=0.1)
    with pytest.raises(TrackError) as error:
        load_track(path)
    assert f"{path}:2: width" in str(error.value)


def test_what_is_not_yaml_is_named_with_its_line(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\nwidth: [0.8\ncontrol_points: 3\n")
    with pytest.raises(TrackError, match=r"mine\.yaml:\d+: not valid YAML"):
        load_track(str(path))


def test_a_missing_track_lists_the_shipped_ones():
    with pytest.raises(TrackError, match="bowtie"):
        load_track("monza")
