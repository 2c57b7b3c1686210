"""Films: they run by the race's clock and show every car where it was."""

from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image

from racer.cli import main
from racer.errors import ConfigError
from racer.evaluation import controller_for, evaluate_controller, evaluate_entries, make_race_rules
from racer.race import RaceConfig
from racer.rendering.hud import HudOverlay
from racer.rendering.race_video import END_HOLD_S, RacePlayback, write_race_video
from racer.rendering.timeline import CONTROL_PERIOD_S, Timeline
from racer.rendering.video_format import VIDEO_SIZES, numbered_names, refuse_suffix, video_size
from racer.sensors import CameraConfig
from racer.track import load_track

TRACK = load_track("oval")
SMALL = (160, 120)
BOX = {"kind": "object_avoidance", "obstacles": {"places": [[0.5, "left"], [0.5, "right"]]}}
BOTS = {"kind": "head_to_bot", "bots": {"speed": 1.0}}


def rules(laps=1, limit=None, **chosen):
    return make_race_rules(laps, time_limit=limit, like=RaceConfig.model_validate(chosen))


@pytest.fixture(scope="module")
def crashed():
    """A race alone, in which the pilot, who sees no boxes, runs into them."""
    race = rules(limit=9.0, **BOX)
    return evaluate_controller(controller_for("raceline", "oval", race), "oval", race), race


@pytest.fixture(scope="module")
def together():
    """Two cars in one race, of which the hind one runs into the other's back."""
    race = rules(**BOTS)
    return evaluate_entries(["pure-pursuit", "raceline"], "oval", race), race


@pytest.fixture
def written(monkeypatch):
    """What is written on each picture."""
    huds = []
    write = HudOverlay.write

    def spy(overlay, picture, hud):
        huds.append(hud)
        write(overlay, picture, hud)

    monkeypatch.setattr(HudOverlay, "write", spy)
    return huds


def read(path):
    frames = imageio_ffmpeg.read_frames(str(path))
    about = next(frames)
    return about, list(frames)


# imageio-ffmpeg's reader leaves its pipes to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("rate", [15, pytest.param(30, marks=pytest.mark.slow)])
def test_a_film_is_as_long_as_the_race_and_its_clock_is_the_race_s(tmp_path, written, rate):
    race = rules()
    result = evaluate_controller(controller_for("raceline", "oval", race), "oval", race)
    write_race_video(tmp_path / "race.mp4", TRACK, [result], race, size=SMALL, rate=rate)
    about, frames = read(tmp_path / "race.mp4")
    assert (about["size"], about["fps"]) == (SMALL, rate)
    assert result.total_time_s is not None
    assert len(frames) == pytest.approx((result.total_time_s + END_HOLD_S) * rate, abs=2)
    clock = [hud.time for hud in written]
    assert np.allclose(np.diff(clock[:-1]), 1.0 / rate)
    assert clock[-1] == pytest.approx(result.total_time_s)
    assert [hud.notice is not None for hud in written[-2:]] == [False, True]
    assert [file.name for file in tmp_path.iterdir()] == ["race.mp4"]


def test_a_penalty_is_waited_out_where_the_car_crashed_and_told(crashed):
    result, race = crashed
    step = int(np.flatnonzero(result.fault)[0])
    timeline = Timeline(result, race)
    begin = float(result.time[step - 1]) + CONTROL_PERIOD_S
    assert timeline.faults[0] == (begin, float(result.time[step]), "crashed  +5 s")
    assert float(result.time[step]) - begin == pytest.approx(5.0)
    for late in (0.0, 2.5, 4.99):
        moment = timeline.at(begin + late)
        assert moment.body[:7] == pytest.approx(result.reached[step][:7])
        assert moment.is_waiting
        assert timeline.fault_at(begin + late) == timeline.faults[0]
    after = timeline.at(float(result.time[step]) + 1e-6)
    assert not after.is_waiting
    assert after.body[:2] == pytest.approx(result.body[step][:2])
    assert timeline.fault_at(begin - 1e-6) is None
    assert [leg.begin for leg in timeline.legs[1:]] == [leg.end for leg in timeline.legs[:-1]]


def test_a_race_that_is_not_finished_says_how_it_ended(crashed, written):
    result, race = crashed
    play = RacePlayback(TRACK, [result], race, size=SMALL)
    play.picture(play.end)
    assert play.end == pytest.approx(result.time[-1])
    notice = written[-1].notice
    assert (notice.words, notice.more) == ("did not finish: time is up", "0 of 1 laps")


def test_a_waiting_car_stays_on_the_ground_in_result_view_and_film(together):
    results, race = together
    waits = [result.waiting for result in results]
    assert any(wait.any() for wait in waits)
    for k, result in enumerate(results):
        assert np.abs(result.body[:, 2]).max() < 0.2
        assert np.abs(result.reached[:, 2]).max() < 0.2
        place = result.body[result.waiting][:, :2]
        assert len(place) == 0 or TRACK.on_road(place).mean() > 0.5
        other = results[1 - k]
        steps = min(len(result.time), len(other.time))
        sizes = other.boxes[:steps, 3 + k, 7:]
        assert (sizes[result.waiting[:steps]] == 0.0).all(), "nobody sees or meets it"
        timeline = Timeline(result, race)
        times = np.arange(0.0, timeline.end, 0.05)
        assert max(abs(timeline.at(time).body[2]) for time in times) < 0.2


def test_every_car_is_shown_with_its_name_place_and_dot(together, written):
    results, race = together
    names = ["slow", "fast"]
    play = RacePlayback(TRACK, results, race, names, follow=1, size=(320, 180))
    play.picture(1.0)
    hud = written[-1]
    assert (hud.name, len(hud.dots)) == ("fast", 2 + 3)
    assert {tag.words.split("  ")[0] for tag in hud.tags} == {*names, "bot 1", "bot 2", "bot 3"}
    assert len({dot.colour for dot in hud.dots}) == 5
    way = [Timeline(result, race).laps_at(1.0) for result in results]
    first = names[int(np.argmax(way))]
    assert (hud.ranking[0].place, hud.ranking[0].name) == (1, first)
    play.picture(play.end)
    assert written[-1].notice.more.endswith("of 2")


def test_the_others_that_wait_are_marked(together, written):
    results, race = together
    k = int(np.argmax([result.waiting.sum() for result in results]))
    time = float(results[k].time[np.flatnonzero(results[k].waiting)[5]])
    RacePlayback(TRACK, results, race, ["a", "b"], follow=1 - k, size=SMALL).picture(time)
    hud = written[-1]
    assert [dot.is_waiting for dot in hud.dots[-2:]] == [True, False]
    assert hud.ranking[[one.name for one in hud.ranking].index("ab"[k])].note.startswith("+")


def test_bots_keep_to_the_road_while_a_car_waits():
    race = rules(limit=20.0, **BOTS)
    result = evaluate_controller(controller_for("raceline", "oval", race), "oval", race)
    timeline, play = Timeline(result, race), RacePlayback(TRACK, [result], race, size=SMALL)
    assert timeline.faults, "the pilot sees no bots and must hit one"
    for fault in timeline.faults:
        times = np.linspace(fault.begin, fault.end, 30)
        rows = np.array([play._obstacles.at(time) for time in times])
        assert TRACK.on_road(rows[..., :2]).all()
        steps = np.hypot(*np.diff(rows[..., :2], axis=0).transpose(2, 0, 1))
        assert steps.sum(axis=0) == pytest.approx(fault.end - fault.begin, rel=0.2)


@pytest.mark.slow
def test_the_inset_is_what_the_car_s_camera_saw(written):
    race = rules(limit=1.0)
    result = evaluate_controller(controller_for("raceline", "oval", race), "oval", race)
    camera = CameraConfig(width=80, height=60, stack=2)
    play = RacePlayback(TRACK, [result], race, sensor=(camera,), size=VIDEO_SIZES["720p"])
    picture = play.picture(0.5)
    assert written[-1].camera.shape == (60, 80, 1)
    assert (picture[495:500, 1000:1200, :3] == 235).any(), "its frame"
    shown = picture[505:690, 1010:1250, :3].astype(int)
    assert np.ptp(shown[..., 0]) > 100
    assert (shown.max(axis=2) == shown.min(axis=2)).all(), "grey"


@pytest.mark.slow
def test_a_gif_is_animated_and_as_long_as_the_race(tmp_path):
    race = rules(limit=2.0)
    result = evaluate_controller(controller_for("raceline", "oval", race), "oval", race)
    write_race_video(tmp_path / "race.gif", TRACK, [result], race, size=SMALL)
    with Image.open(tmp_path / "race.gif") as picture:
        assert picture.format == "GIF"
        assert picture.size == SMALL
        lengths = []
        for frame in range(getattr(picture, "n_frames", 1)):
            picture.seek(frame)
            lengths.append(picture.info["duration"])
    assert sum(lengths) == pytest.approx(3000, abs=200)
    assert [file.name for file in tmp_path.iterdir()] == ["race.gif"]


def test_a_png_shows_the_other_car(tmp_path, together, written):
    results, race = together
    write_race_video(tmp_path / "race.png", TRACK, results, race, size=(320, 180))
    with Image.open(tmp_path / "race.png") as picture:
        assert (picture.format, picture.size) == ("PNG", (320, 180))
    assert any(0 < tag.pixel[0] < 320 and tag.depth > 0.9 for tag in written[-1].tags)


@pytest.mark.slow
def test_a_race_without_a_step_has_a_film(tmp_path):
    race = rules(limit=0.2)
    result = evaluate_controller(controller_for("raceline", "oval", race), "oval", race)
    empty = {name: getattr(result, name)[:0] for name in ("body", "reached", "waiting", "steering")}
    more = {name: getattr(result, name)[:0] for name in ("time", "progress", "fault", "boxes")}
    stopped = type(result)(**{**vars(result), **empty, **more, "ending": "policy_crash"})
    write_race_video(tmp_path / "race.mp4", TRACK, [stopped], race, size=SMALL)
    assert (tmp_path / "race.mp4").stat().st_size > 1000


def test_names_that_repeat_are_told_apart():
    assert numbered_names(["bob", "ann", "bob", "bob"]) == ["bob", "ann", "bob 2", "bob 3"]
    assert numbered_names(["bob 2", "bob", "bob"]) == ["bob 2", "bob", "bob 3"]


def test_sizes_are_words_or_even_pixels():
    film_, gif = Path("a.mp4"), Path("a.gif")
    assert video_size(None, film_) == (854, 480)
    assert video_size(None, Path("a.png")) == (1280, 720)
    assert video_size(None, gif) == (480, 270)
    assert video_size("1080p", gif) == (1920, 1080)
    assert video_size("640x360", film_) == (640, 360)
    for word in ("4k", "641x360", "640x361", "64x36", "9999x9999", "x", "640x360x2", ""):
        with pytest.raises(ConfigError, match="480p, 720p, 1080p, or WIDTHxHEIGHT"):
            video_size(word, film_)


@pytest.mark.parametrize("name", ["a.avi", "a", "a.mp4.bak", "a.webm"])
def test_another_suffix_is_refused(name):
    with pytest.raises(ConfigError, match=r"\.mp4 or \.gif"):
        refuse_suffix(Path(name))
    refuse_suffix(Path("A.MP4"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--video", "a.avi"), "ends with '.avi'"),
        (("--video", "a"), "has no suffix"),
        (("--video", "a.mp4", "--follow", "bob"), "there are raceline, raceline 2"),
        (("--video", "a.mp4", "--size", "huge"), "480p, 720p"),
        (("--follow", "raceline"), "add --video"),
        (("--size", "720p"), "add --video"),
    ],
)
def test_what_cannot_be_filmed_is_refused_before_the_race(monkeypatch, capsys, words, said):
    name = "racer.evaluation.evaluate_entries"
    monkeypatch.setattr(name, lambda *_: pytest.fail("it was driven"))
    with pytest.raises(SystemExit, match="2"):
        main(["race", "raceline", "raceline", "--track", "oval", *words])
    assert said in capsys.readouterr().err


@pytest.mark.slow
def test_a_film_follows_whom_it_is_told_to(tmp_path, monkeypatch, capsys):
    asked = []
    name = "racer.rendering.race_video.write_race_video"
    monkeypatch.setattr(name, lambda *given, **_: asked.append(given))
    words = ["raceline", "raceline", "--track", "oval", "--laps", "1"]
    main(["race", *words, "--video", str(tmp_path / "a.mp4"), "--follow", "raceline 2"])
    ((_, _, results, _, names, follow, *_),) = asked
    assert (len(results), names, follow) == (2, ["raceline", "raceline 2"], 1)
    assert "raceline 2 on oval: " in capsys.readouterr().out
