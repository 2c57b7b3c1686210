"""What a person sees: the chase view, the video, the picture of the line."""

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image

from racer.car.spec import deepracer
from racer.errors import RacerError
from racer.sensors import StateConfig
from racer.track import load_track
from racer.view.chase import ChaseView, Hud
from racer.view.plot import driven_line, save, track_picture
from racer.view.race import film
from racer.view.video import VideoWriter

TRACK = load_track("oval")


def row(s=2.0, roll=0.0):
    xy, yaw = TRACK.at(s)
    body = np.zeros(13)
    body[:3] = *xy, 0.05
    cos, sin = np.cos(yaw / 2), np.sin(yaw / 2)
    body[3:7] = cos * np.sin(roll / 2), sin * np.sin(roll / 2), sin, cos
    body[3:7] /= np.linalg.norm(body[3:7])
    return body


def read(path):
    frames = imageio_ffmpeg.read_frames(str(path))
    about = next(frames)
    return about, list(frames)


def test_the_car_stands_in_the_middle_of_the_chase_view_and_steers():
    view = ChaseView(TRACK, deepracer())
    straight, turned = view.frame(row(), 0.0), view.frame(row(), 0.5)
    assert straight.shape == (480, 640, 3)
    red = (straight[..., 0] > 150) & (straight[..., 1] < 90)
    rows, columns = np.nonzero(red)
    assert len(rows) > 1000
    assert abs(columns.mean() - 320) < 25
    assert (straight != turned).any(axis=2).sum() > 50
    assert np.array_equal(straight, view.frame(row(), 0.0))


def test_a_rolling_car_rolls_in_the_picture():
    view = ChaseView(TRACK, deepracer())
    level, rolled = view.frame(row(), 0.0), view.frame(row(roll=0.15), 0.0)
    assert (level != rolled).any(axis=2).sum() > 500


def test_the_sky_is_above_and_the_ground_below():
    picture = ChaseView(TRACK, deepracer()).frame(row(), 0.0)
    assert picture[2, :, 2].mean() > picture[2, :, 1].mean() > picture[2, :, 0].mean()
    assert picture[200:, :100, 1].mean() > picture[200:, :100, 2].mean()


def test_the_head_up_display_is_written():
    view = ChaseView(TRACK, deepracer())
    way, speeds = TRACK.at(np.linspace(0, 2, 20))[0], np.linspace(0.1, 2, 20)
    frame = np.full((60, 80, 1), 255, dtype=np.uint8)
    hud = Hud(2.0, 1, 3, 4.5, None, way, speeds, frame)
    plain, written = view.frame(row(), 0.0), view.frame(row(), 0.0, hud)
    changed = (plain != written).any(axis=2)
    assert changed[:120, :215].any()
    assert (written[350:460, 470:620] == 255).all(), "the camera's white frame is in its corner"


# imageio-ffmpeg's reader leaves its pipes to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("per_step", [1, 2])
def test_a_race_is_filmed_as_often_a_control_step_as_asked(tmp_path, per_step):
    path = tmp_path / "race.mp4"
    body = np.stack([row(s) for s in np.linspace(0.1, 1.5, 15)])
    film(path, TRACK, body, np.zeros(15), [1.0], 1, (StateConfig(),), per_step=per_step)
    about, frames = read(path)
    assert about["size"] == (640, 480)
    assert about["fps"] == 15 * per_step
    assert len(frames) == 15 * per_step
    assert [file.name for file in tmp_path.iterdir()] == ["race.mp4"]


def test_a_film_that_breaks_off_leaves_nothing(tmp_path):
    path = tmp_path / "race.mp4"
    with pytest.raises(ZeroDivisionError), VideoWriter(path, (64, 48), 30) as video:
        video.add(np.zeros((48, 64, 3), dtype=np.uint8))
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RacerError, match="cannot be written"):
        VideoWriter(tmp_path / "file" / "race.mp4", (64, 48), 30)
    with pytest.raises(RacerError, match="cannot be written"):
        save(track_picture(TRACK), tmp_path / "file" / "track.png")


def test_the_driven_line_is_drawn_in_more_than_one_colour(tmp_path):
    xy = TRACK.at(np.linspace(0, TRACK.length, 200))[0]
    path = tmp_path / "line.png"
    save(driven_line(TRACK, xy, np.linspace(0.5, 3.0, 200), "a lap"), path)
    with Image.open(path) as picture:
        assert picture.width >= 1200
        pixels = np.asarray(picture.convert("RGB")).reshape(-1, 3)
    assert ((pixels[:, 0] > 230) & (pixels[:, 1] > 200) & (pixels[:, 2] < 80)).any(), "fast: yellow"
    assert ((pixels[:, 2] > 120) & (pixels[:, 1] < 40)).any(), "slow: blue"
