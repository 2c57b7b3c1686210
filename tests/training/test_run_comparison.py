"""What `racer runs compare` prints and draws."""

import numpy as np
import pytest

from racer.cli import main
from racer.errors import RunError
from racer.training.run_comparison import compare_runs
from racer.training.run_dir import Run
from tests.helpers.commands import printed
from tests.helpers.runs import written_run


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two runs that differ in the learning rate, the reward and the sensor."""
    folder = tmp_path_factory.mktemp("runs")
    written_run(folder / "one")
    sensors = [{"kind": "state"}, {"kind": "lidar", "beams": 16}]
    ppo = {"n_steps": 64, "batch_size": 128, "n_epochs": 2, "learning_rate": 1e-3}
    written_run(folder / "two", "pace", ppo=ppo, sensor=sensors)
    return folder


def test_only_the_fields_that_differ_are_told(folder, capsys):
    found = printed(capsys, "runs", "compare", folder / "one", folder / "two", "--json")
    assert found["runs"] == ["one", "two"]
    differences = found["differences"]
    assert differences["ppo.learning_rate"] == [5e-4, 1e-3]
    assert differences["reward"] == ["progress", "pace"]
    assert differences["sensor.1.kind"] == [None, "lidar"]
    assert not {"ppo.gamma", "seed", "sensor.0.kind"} & set(differences)


def test_the_records_have_the_best_lap_the_time_and_how_it_ended(folder, capsys):
    found = printed(capsys, "runs", "compare", folder / "one", folder / "two", "--json")
    one = found["records"][0]
    assert (one["state"], one["steps"], one["best_lap_s"]) == ("finished", 2048, 7.5)
    assert one["minutes"] == pytest.approx(2048 * 0.06 / 60)
    main(["runs", "compare", str(folder / "one"), str(folder / "two")])
    told = capsys.readouterr().out
    assert "7.50" in told
    assert "reward of two: +12 -8 lines; --reward-diff shows them" in told


def test_the_rewards_diff_is_printed_without_what_would_control_a_terminal(
    folder, tmp_path, capsys
):
    file = tmp_path / "mine.py"
    file.write_text("# \x1b[2J\ndef reward_function(params):\n    return 1.0\n")
    written_run(tmp_path / "three", str(file))
    main(["runs", "compare", str(folder / "one"), str(tmp_path / "three"), "--reward-diff"])
    told = capsys.readouterr().out
    assert "--- one\n+++ three\n" in told
    assert "+# ?[2J" in told
    assert "\x1b" not in told


def test_rewards_of_one_name_and_different_texts_differ(tmp_path):
    file = tmp_path / "mine.py"
    for name, value in (("one", 1.0), ("two", 2.0)):
        file.write_text(f"def reward_function(params):\n    return {value}\n")
        written_run(tmp_path / name, str(file))
    compared = compare_runs([tmp_path / "one", tmp_path / "two"])
    first, second = compared.differences["reward"]
    assert first != second
    assert first.startswith(f"{file} (")
    assert "-    return 1.0\n+    return 2.0" in compared.reward_diffs["two"]


def test_the_same_runs_have_no_difference(folder, tmp_path, capsys):
    written_run(tmp_path / "again")
    main(["runs", "compare", str(folder / "one"), str(tmp_path / "again")])
    assert "the configs are the same" in capsys.readouterr().out


def test_the_picture_has_every_run_in_every_panel(folder, tmp_path, monkeypatch):
    saved = {}
    monkeypatch.setattr(
        "racer.rendering.line_plots.save_figure", lambda figure, path: saved.update({path: figure})
    )
    path = tmp_path / "curves.png"
    main(["runs", "compare", str(folder / "one"), str(folder / "two"), "--plot", str(path)])
    panels = saved[path].axes
    assert len(panels) == 4
    for axes in panels:
        assert {"one", "two"} <= {line.get_label() for line in axes.get_lines()}
    judged = {line.get_label(): line for line in panels[2].get_lines()}["one"]
    assert np.asarray(judged.get_xdata()).tolist() == [512, 1024, 2048]
    assert np.asarray(judged.get_ydata())[1:].tolist() == [100.0, 100.0]
    multiples = {line.get_label(): line for line in panels[3].get_lines()}["one"]
    assert np.asarray(multiples.get_ydata()).tolist() == [7.5 / 4, 8.0 / 4]


def test_of_more_runs_than_differences_each_has_a_row(folder, tmp_path, capsys):
    third = written_run(tmp_path / "three", seed=3).folder
    fourth = written_run(tmp_path / "four", seed=4).folder
    main(["runs", "compare", str(folder / "one"), str(third), str(fourth)])
    told = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["run", "seed"] in told
    assert ["three", "3"] in told


def test_a_run_without_a_whole_race_does_not_hide_the_multiples_of_others(folder, tmp_path):
    slow = written_run(tmp_path / "slow")
    records = slow.records("evaluations")
    lost = [one | {"x_limit": None, "total_time_s": None} for one in records]
    slow.rewind(2048, lost, None)
    panel = compare_runs([folder / "one", slow]).plot().axes[3]
    assert panel.get_title(loc="left") == "race time in multiples of the minimum"
    unknown = [one | {"x_limit": None, "limit_s": None} for one in records]
    slow.rewind(2048, unknown, None)
    assert (
        compare_runs([folder / "one", slow]).plot().axes[3].get_title(loc="left") == "best lap [s]"
    )


def test_less_than_two_runs_and_one_run_twice_are_refused(folder):
    with pytest.raises(RunError, match="needs at least 2 runs, got 1"):
        compare_runs([folder / "one"])
    with pytest.raises(RunError, match="named twice"):
        compare_runs([Run.open(folder / "one"), str(folder / "one") + "/"])
