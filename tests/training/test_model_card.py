"""A run's model card: what Hugging Face's hub asks of its metadata, and what a person reads."""

import io
import re

import pytest
import yaml
from rich.console import Console

import racer
from racer import cli
from racer.assets.document import validate_document
from racer.errors import RunError
from racer.training.config import RunConfig
from racer.training.model_card import _fenced, front_matter, write_card
from racer.training.run_dir import Run
from racer.training.train import run_training
from tests.helpers.runs import TINY

JUDGED = {
    "track": "bowtie",
    "laps": 3,
    "laps_completed": 3,
    "best_lap_s": 7.0123456,
    "total_time_s": 21.5,
    "x_limit": None,
    "resets": 0,
}


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    folder = tmp_path_factory.mktemp("runs") / "car <b>"
    config = validate_document(TINY | {"total_timesteps": 128}, RunConfig, "test")
    return run_training(config, folder, Console(file=io.StringIO())).run


@pytest.fixture(scope="module")
def written(run) -> str:
    path, _ = write_card(run.folder, episodes=2)
    assert path == run.folder / "README.md"
    return path.read_text(encoding="utf-8")


def metadata(text: str) -> dict:
    found = re.match(r"---\n(.*?)\n---\n", text, re.DOTALL)
    assert found is not None
    return yaml.safe_load(found.group(1))


def wrong_with(head: dict) -> list[str]:
    """What the hub's specification of a card's metadata (modelcard.md) requires and is not there.

    A result wants `task.type`, `dataset.type`, `dataset.name`, and of each metric type and value.
    """
    wrong = [name for name in ("library_name", "tags", "model-index") if not head.get(name)]
    wrong += [f"tag {tag!r}" for tag in head["tags"] if not isinstance(tag, str) or len(tag) > 60]
    for model in head["model-index"]:
        wrong += [] if isinstance(model.get("name"), str) else ["model's name"]
        for result in model["results"]:
            for part, keys in (("task", ["type"]), ("dataset", ["type", "name"])):
                wrong += [f"{part}.{key}" for key in keys if not result.get(part, {}).get(key)]
            for metric in result["metrics"]:
                is_value = isinstance(metric.get("value"), int | float | str)
                wrong += [] if metric.get("type") and is_value else [f"metric {metric}"]
            wrong += [] if result["metrics"] else ["a result without a metric"]
    return wrong


def test_the_front_matter_is_what_the_hub_asks_for(written):
    head = metadata(written)
    assert wrong_with(head) == []
    assert head["library_name"] == "stable-baselines3"
    assert {"deep-reinforcement-learning", "reinforcement-learning", "racer"} <= set(head["tags"])
    assert "racer/TimeTrial-v0" in head["tags"]
    first = head["model-index"][0]["results"][0]
    assert first["task"]["type"] == "reinforcement-learning"
    assert first["dataset"]["name"] == "racer/TimeTrial-v0"
    assert first["metrics"][0]["type"] == "mean_reward"
    assert re.fullmatch(r"-?\d+\.\d\d \+/- \d+\.\d\d", first["metrics"][0]["value"])


def test_the_judge_s_figures_are_metrics_of_their_track_and_unknown_ones_are_absent():
    head = front_matter("racer/TimeTrial-v0", (1.5, 0.25, 10), [JUDGED])
    assert wrong_with(head) == []
    rewarded, judged = head["model-index"][0]["results"]
    assert rewarded["metrics"][0]["value"] == "1.50 +/- 0.25"
    assert judged["dataset"]["config"] == "bowtie"
    values = {one["type"]: one["value"] for one in judged["metrics"]}
    assert values == {"laps_completed": 3, "best_lap_s": 7.012, "total_time_s": 21.5}


def test_the_card_says_what_the_car_sees_what_it_did_and_how_to_make_it_again(written, run):
    assert "\n# car &lt;b&gt;\n" in written
    assert "- Input `observation`, float32 (1, 26): 0: forward velocity / 4 m/s" in written
    assert "- Output `action`, float32 (1, 2): steering, then speed" in written
    assert "| bowtie | 0 of 1 | - | - | - |" in written
    assert "| `ppo.learning_rate` | `0.0005` |" in written
    assert "| `network.hidden` | `[16]` |" in written
    assert "racer train config.yaml --run again" in written
    assert (run.folder / "reward.py").read_text().rstrip() in written
    assert f"Trained with racer {racer.__version__}, torch " in written
    assert "## Video" not in written


def test_a_film_of_the_run_is_shown_in_its_card(run, tmp_path):
    (run.folder / "videos").mkdir(exist_ok=True)
    for steps in (96, 128):
        (run.folder / "videos" / f"step-{steps}.mp4").write_bytes(b"")
    path, _ = write_card(run.folder, tmp_path / "card.md", episodes=1)
    (shown,) = re.findall(r'<video src="(.*?)"', path.read_text())
    assert shown.replace("&lt;", "<").replace("&gt;", ">").endswith("videos/step-128.mp4")
    assert (tmp_path / shown.replace("&lt;", "<").replace("&gt;", ">")).is_file()


def test_a_card_replaces_one_that_nobody_changed_and_no_other_file(run, tmp_path, capsys):
    path = tmp_path / "README.md"
    for _ in range(2):
        cli.main(["card", str(run.folder), "--out", str(path), "--episodes", "1"])
    assert f"card: {path}" in capsys.readouterr().out
    for mine in (path.read_text().replace("## Results", "## My results"), "# mine\n", ""):
        path.write_text(mine)
        with pytest.raises(RunError, match="another file is there"):
            write_card(run.folder, path, episodes=1)
        assert path.read_text() == mine


def test_a_reward_with_fences_of_its_own_stays_within_the_card_s():
    assert _fenced("python", '"""\n```sh\n```\n"""').splitlines()[0] == "````python"


def test_a_folder_without_a_run_gets_no_card(tmp_path):
    with pytest.raises(RunError, match="holds no run"):
        write_card(tmp_path)
    assert list(tmp_path.iterdir()) == []
