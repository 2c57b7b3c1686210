"""The command, the pictures and the cards of pages."""

import json

import numpy as np
import pytest
from PIL import Image

from racer.car.action_space import ActionSpace
from racer.cli import main
from racer.entries.package import TrainedOn, save_entry
from racer.errors import ConfigError, EntryError, RacerError
from racer.evaluation import make_race_rules
from racer.explain.entry_policy import EntryPolicy
from racer.explain.explained_card import kept_card, make_card, read_card
from racer.explain.policy_output import PolicyOutput
from racer.explain.recorded_lap import record_lap
from racer.sensors import CameraConfig, Sensors, StateConfig
from tests.helpers.commands import printed
from tests.helpers.entries import entry_of
from tests.helpers.graphs import FLOAT, UINT8, graph, steady


def camera_graph():
    """Steers by the mean brightness of the left half of the picture."""
    weights = np.zeros((18, 24, 2), np.float32)
    weights[:, :12, 0] = 0.02
    nodes = (
        ("Cast", ["observation"], ["float"], {"to": FLOAT}),
        ("Div", ["float", "most"], ["share"]),
        ("Reshape", ["share", "flat"], ["row"]),
        ("MatMul", ["row", "w"], ["mixed"]),
        ("Add", ["mixed", "bias"], ["out"]),
        ("Clip", ["out", "low", "high"], ["action"]),
    )
    held = {"most": np.float32(255.0), "flat": np.array([1, -1]), "w": weights.reshape(-1, 2)}
    held |= {"bias": np.array([[-1.6, -0.8]], np.float32)}
    held |= {"low": np.float32(-1.0), "high": np.float32(1.0)}
    return graph(*nodes, weights=held, seen=(("observation", UINT8, (1, 18, 24, 1)),))


@pytest.fixture
def entry(tmp_path):
    """An entry that goes slowly off the road, so that its lap is soon over."""
    path = tmp_path / "half.entry.zip"
    save_entry(
        path,
        camera_graph(),
        name="half",
        env="racer/TimeTrial-v0",
        sensor=(CameraConfig(width=24, height=18),),
        actions=ActionSpace(speed=(0.5, 1.0)),
        trained_on=TrainedOn(track="bowtie"),
    )
    return path


@pytest.fixture
def short(monkeypatch):
    """Laps of two seconds."""
    from racer.explain import recorded_lap

    record = recorded_lap.record_lap

    def soon(policy, track, rules, seed=0, car="deepracer", longest=2.0):
        return record(policy, track, rules, seed, car, 2.0)

    monkeypatch.setattr("racer.explain.recorded_lap.record_lap", soon)
    monkeypatch.setattr("racer.explain.explained_card.record_lap", soon)


@pytest.mark.slow
def test_the_command_prints_the_same_figures_twice(entry, short, capsys):
    words = ["explain", entry, "--method", "occlusion", "--json", "--seed", 1]
    found = printed(capsys, *words)
    assert found["sensors"][0]["sensor"] == "camera"
    assert [one["change"] for one in found["what_if"]] == ["line", "light", "place"]
    again = printed(capsys, *words, "--what-if", "light")
    assert again["sensors"] == found["sensors"]
    assert [one["change"] for one in again["what_if"]] == ["light"]


@pytest.mark.slow
def test_a_still_and_a_sheet_are_written(entry, short, tmp_path):
    still, sheet = tmp_path / "why.png", tmp_path / "sheet.png"
    words = ["explain", entry, "--video", still, "--out", sheet, "--size", "320x180"]
    main(list(map(str, words)))
    with Image.open(still) as picture:
        assert picture.size == (480, 180)
        panel = np.asarray(picture)[:, 320:]
    assert len(np.unique(panel.reshape(-1, 3), axis=0)) > 100
    with Image.open(sheet) as picture:
        assert picture.size[0] == 1800


def test_the_command_says_what_is_wrong(entry, short, tmp_path, subtests):
    for words, what in (
        (["pure-pursuit"], "no sensors"),
        ([entry, "--method", "grad-cam"], "use occlusion or rise"),
        ([entry, "--what-if", "box"], "object_avoidance"),
        ([entry, "--out", "sheet.pdf"], ".png"),
        ([entry, "--video", "film.avi"], ".mp4"),
    ):
        with subtests.test(words=words), pytest.raises((ConfigError, SystemExit)) as found:
            main(["explain", *map(str, words)])
            assert what in str(found.value)


@pytest.mark.slow
def test_a_film_has_a_picture_for_each_instant(entry, short, tmp_path):
    film = tmp_path / "why.gif"
    main(["explain", str(entry), "--video", str(film), "--size", "320x180"])
    with Image.open(film) as shown:
        assert shown.size == (480, 180)
        assert getattr(shown, "n_frames", 1) > 20


def test_a_card_holds_what_a_page_shows_and_is_made_once(short, tmp_path):
    policy = EntryPolicy(entry_of(steady()))
    rules = make_race_rules(1, time_limit=2.0)
    card = make_card(policy, "bowtie", rules, 0, "deepracer")
    assert card.picture_url.startswith("data:image/png;base64,")
    assert {row[0] for row in card.reactions} == {"inner line 5 cm in", "car 5 cm left"}
    assert card.maps[0][0].startswith("state: ")
    path = tmp_path / "made" / "card.json"
    assert kept_card(path, lambda: card) == card
    assert json.loads(path.read_text())["title"] == card.title

    def never():
        raise AssertionError("it was made before")

    assert kept_card(path, never) == card
    path.write_text("{}")
    assert read_card(path) is None
    policy.close()


OF_STATE: Sensors = (StateConfig(),)


class Failing:
    """Drives straight on, and fails from a step on."""

    actions, hidden_state_size, has_scores = ActionSpace(), 0, True
    name = "failing"

    def __init__(self, code, step=0, sensor: Sensors = OF_STATE):
        self.code, self.left, self.sensor = code, step, sensor

    def answer(self, inputs, hidden_state):
        if self.left == 0:
            raise EntryError("the graph failed", self.code)
        self.left -= 1
        none = np.zeros((1, 2), np.float32)
        return PolicyOutput(none, none, none, hidden_state)

    def with_random_weights(self, seed):
        return self

    def close(self):
        pass


def test_the_card_of_a_policy_that_fails_says_how():
    for step in (0, 3):
        card = make_card(Failing("run", step), "bowtie", make_race_rules(1), 0, "deepracer")
        assert card.picture == ""
        assert "could not be explained: the graph failed" in card.sentences[0]


def test_what_may_go_well_the_next_time_has_no_card():
    with pytest.raises(EntryError, match="the graph failed"):
        make_card(Failing("hang", 3), "bowtie", make_race_rules(1), 0, "deepracer")


def test_frames_that_would_fill_the_memory_are_refused():
    large: Sensors = (CameraConfig(width=640, height=480, colour="rgb"),)
    with pytest.raises(RacerError, match="921,600 bytes; a lap is explained up to 250,000"):
        record_lap(Failing("run", 3, large), "bowtie", make_race_rules(1))
