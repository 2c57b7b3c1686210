"""What a person sees: the chase view, the video, the picture of the line."""

import numpy as np
import pytest
from PIL import Image

from racer.car.spec import deepracer
from racer.errors import RacerError
from racer.rendering.car_model import Livery, livery
from racer.rendering.chase_view import ChaseView, DrawnCar
from racer.rendering.line_plots import plot_driven_line, save_figure
from racer.rendering.video_writer import VideoWriter
from racer.sensors.camera_ground import ASPHALT_COLOUR, GRASS_COLOUR, WHITE_COLOUR
from racer.track import load_track
from racer.track.picture import track_picture

TRACK = load_track("oval")


def row(s=2.0, roll=0.0):
    xy, yaw = TRACK.at(s)
    body = np.zeros(13)
    body[:3] = *xy, 0.05
    cos, sin = np.cos(yaw / 2), np.sin(yaw / 2)
    body[3:7] = cos * np.sin(roll / 2), sin * np.sin(roll / 2), sin, cos
    body[3:7] /= np.linalg.norm(body[3:7])
    return body


def test_the_car_stands_in_the_middle_of_the_chase_view_and_steers():
    view = ChaseView(TRACK, deepracer())
    straight, turned = (view.frame(row(), [DrawnCar(row(), angle)]) for angle in (0.0, 0.5))
    assert straight.shape == (480, 640, 4)
    red = (straight[..., 0] > 150) & (straight[..., 1] < 90)
    rows, columns = np.nonzero(red)
    assert len(rows) > 1000
    assert abs(columns.mean() - 320) < 25
    assert (straight != turned).any(axis=2).sum() > 50
    assert np.array_equal(straight, view.frame(row(), [DrawnCar(row(), 0.0)]))


def test_a_rolling_car_rolls_in_the_picture():
    view = ChaseView(TRACK, deepracer())
    level, rolled = (view.frame(row(), [DrawnCar(row(roll=roll), 0.0)]) for roll in (0.0, 0.15))
    assert (level != rolled).any(axis=2).sum() > 500


def test_the_sky_is_above_and_the_ground_below():
    picture = ChaseView(TRACK, deepracer()).frame(row(), [])
    assert picture[2, :, 2].mean() > picture[2, :, 1].mean() > picture[2, :, 0].mean()
    assert picture[200:, :100, 1].mean() > picture[200:, :100, 2].mean()


@pytest.mark.parametrize("size", [(640, 480), (1280, 720), (160, 120)])
def test_the_road_lies_where_the_camera_projects_it(size):
    view = ChaseView(TRACK, deepracer(), *size)
    picture, camera = view.frame(row(), []).astype(int), view.camera(row())
    (x, y), yaw = TRACK.at(3.0)
    aside = np.array([-np.sin(yaw), np.cos(yaw), 0.0])
    middle, width = np.array([x, y, 0.0]), float(TRACK.width.mean())
    for share, colour in (
        (0.25, ASPHALT_COLOUR),
        (-0.25, ASPHALT_COLOUR),
        (0.474, WHITE_COLOUR),
        (0.8, GRASS_COLOUR),
    ):
        ((column, line),), _ = camera.project(middle[None] + share * width * aside, size)
        found = picture[int(line), int(column), :3]
        assert np.abs(found - colour).max() < 40, (share, found)


def test_what_stands_before_a_car_hides_it_and_what_is_half_seen_hides_half():
    view, here = ChaseView(TRACK, deepracer()), row()
    white = Livery((255, 255, 255), (255, 255, 255))
    box = np.array([[*row(1.6)[:2], 0.25, *here[3:7], 0.1, 0.4, 0.25]])
    colour = np.array([[0, 0, 250]], np.uint8)
    bare = view.frame(here, [])
    seen = view.frame(here, [DrawnCar(here, 0.0, white)])
    ghost = view.frame(here, [DrawnCar(here, 0.0, white, is_ghost=True)])
    hidden = view.frame(here, [DrawnCar(here, 0.0, white)], box, colour)
    assert np.array_equal(hidden, view.frame(here, [], box, colour))
    is_body = (seen[..., :3] > 160).all(axis=2) & (bare[..., :3] < 90).all(axis=2)
    assert is_body.sum() > 1000
    half = (seen[is_body].astype(int) + bare[is_body]) / 2
    assert np.abs(ghost[is_body] - half).mean() < 12


def test_no_two_cars_look_alike_and_the_first_eight_not_to_a_colour_blind_eye():
    assert len({livery(k) for k in range(24)}) == 24
    # Machado, Oliveira and Fernandes (2009), severity 1: protanopia, deuteranopia, tritanopia.
    blind = (
        np.eye(3),
        [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
        [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
        [[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]],
    )
    linear = (np.array([livery(k).body for k in range(8)]) / 255) ** 2.2
    xyz = np.array([[0.412, 0.358, 0.180], [0.213, 0.715, 0.072], [0.019, 0.119, 0.950]])
    for eye in blind:
        seen = np.cbrt(np.clip(linear @ np.array(eye).T, 1e-4, 1) @ xyz.T / (0.95, 1.0, 1.089))
        x, y, z = seen.T
        lab = np.stack([116 * y, 500 * (x - y), 200 * (y - z)])
        apart = np.linalg.norm(lab[:, :, None] - lab[:, None], axis=0)
        assert apart[~np.eye(8, dtype=bool)].min() > 20, apart.round()


def test_a_film_that_breaks_off_leaves_nothing(tmp_path):
    path = tmp_path / "race.mp4"
    with pytest.raises(ZeroDivisionError), VideoWriter(path, (64, 48), 30) as video:
        video.add(np.zeros((48, 64, 4), dtype=np.uint8))
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RacerError, match="cannot be written"):
        VideoWriter(tmp_path / "file" / "race.mp4", (64, 48), 30)
    with pytest.raises(RacerError, match="cannot be written"):
        save_figure(track_picture(TRACK), tmp_path / "file" / "track.png")


def test_the_driven_line_is_drawn_in_more_than_one_colour(tmp_path):
    xy = TRACK.at(np.linspace(0, TRACK.length, 200))[0]
    path = tmp_path / "line.png"
    save_figure(plot_driven_line(TRACK, xy, np.linspace(0.5, 3.0, 200), "a lap"), path)
    with Image.open(path) as picture:
        assert picture.width >= 1200
        pixels = np.asarray(picture.convert("RGB")).reshape(-1, 3)
    assert ((pixels[:, 0] > 230) & (pixels[:, 1] > 200) & (pixels[:, 2] < 80)).any(), "fast: yellow"
    assert ((pixels[:, 2] > 120) & (pixels[:, 1] < 40)).any(), "slow: blue"
