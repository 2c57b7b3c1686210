"""The bench of a device measures what it says, and says so where there is none."""

import json

import pytest
from rich.console import Console

from racer.cli import main
from racer.errors import ConfigError
from racer.training import device_benchmark as bench
from racer.world import SUBSTEPS_PER_CONTROL

pytest.importorskip("warp", reason="needs racer's extra gpu")

WHATS = [
    "physics steps",
    "frames 160x120",
    "frames 80x60",
    "trained steps, state",
    "trained steps, camera",
]


@pytest.fixture
def quick(monkeypatch):
    """Figures that are known, instead of those of minutes."""

    def rate(config):
        if config.num_envs == 8192:
            raise RuntimeError("out of memory")
        return 1000.0 * config.num_envs * (5.0 if config.simulator == "device" else 1.0)

    def laps(config, seed):
        never = config.ppo.n_steps == 16 and config.num_envs < 512
        return {"first_lap_s": 1.5, "laps_s": None if never else 2.5, "steps": 65_536}

    monkeypatch.setattr(bench, "_simulation_rate", rate)
    monkeypatch.setattr(bench, "_trained_rate", rate)
    monkeypatch.setattr(bench, "time_to_clean_laps", laps)
    monkeypatch.setattr(
        bench, "training_memory", lambda config: {"env_bytes": 1_000, "rollout_bytes": 2_000}
    )


@pytest.mark.slow
def test_the_figures_have_their_keys_and_the_host_is_measured_beside(quick, capsys):
    main(["bench", "gpu", "--device", "cpu", "--cars", "256", "8192", "--json"])
    read = capsys.readouterr()
    figures = json.loads(read.out)
    assert [row["what"] for row in figures["rows"]] == 2 * WHATS
    first, last = figures["rows"][0], figures["rows"][-1]
    assert first["cars"] == 256
    assert first["device_per_s"] == pytest.approx(SUBSTEPS_PER_CONTROL * 256 * 5000.0)
    assert first["host_per_s"] == pytest.approx(SUBSTEPS_PER_CONTROL * 256 * 1000.0)
    assert (last["cars"], last["device_per_s"], last["host_per_s"]) == (8192, None, None)
    assert "trained steps, camera, 8,192 cars: out of memory" in read.err
    assert [(one["config"], one["simulator"], one["laps_s"]) for one in figures["clean_laps"]] == [
        *[("gpu-state", "device", None), ("gpu-state", "device", 2.5)],
        *[("gpu-camera", "device", None), ("gpu-camera", "device", 2.5)],
        *[("state", "host", 2.5), ("quick", "host", 2.5)],
    ]


@pytest.mark.slow
def test_the_tables_fit_a_terminal_of_80_columns(quick):
    console = Console(width=80, color_system=None)
    with console.capture() as capture:
        for table in bench.device_benchmark_tables(bench.benchmark_device([256, 8192], "cpu")):
            console.print(table)
    text = capture.get()
    assert "the processor, by Warp's kernels" in text
    assert "not yet" in text
    assert "0.02 GB" in text
    assert "…" not in text


def test_without_a_cuda_device_it_says_so(capsys, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(SystemExit) as stop:
        main(["bench", "gpu"])
    assert stop.value.code == 2
    said = capsys.readouterr().err
    assert "there is nothing to measure here: device cuda: torch sees no GPU here" in said
    assert "--device cpu runs the same kernels on the processor" in said


def test_a_number_of_cars_out_of_range_is_refused(quick):
    for cars in (1, 65_537):
        with pytest.raises(ConfigError, match=f"cars: got {cars}; allowed are 2 to 65536"):
            bench.benchmark_device([cars], "cpu")


def test_minibatches_grow_with_the_cars():
    few, many = (bench._for_cars("gpu-state", cars) for cars in (256, 65_536))
    for one in (few, many):
        assert one.num_envs * one.ppo.n_steps / one.ppo.batch_size == 8
    assert many.ppo.batch_size == 256 * few.ppo.batch_size


def test_a_car_drives_as_long_between_two_evaluations_however_many_there_are():
    for cars in (4_096, 65_536):
        one = bench._for_cars("gpu-camera", cars)
        assert one.evaluation.eval_freq / cars == 128
        assert one.total_timesteps / one.evaluation.eval_freq > 7


@pytest.mark.slow(minutes=1)
def test_what_is_measured_is_driven_and_trained(monkeypatch):
    monkeypatch.setattr(bench, "TIMED_S", 0.05)
    monkeypatch.setattr(bench, "STEPS_AT_ONCE", 2)
    monkeypatch.setattr(bench, "MINUTES", 0.01)
    monkeypatch.setattr(bench, "HOST_CONFIGS", {})
    figures = bench.benchmark_device([16], "cpu")
    assert all(row["device_per_s"] > 0 and row["host_per_s"] > 0 for row in figures["rows"])
    assert all(one["steps"] > 0 for one in figures["clean_laps"])
    state, camera = figures["memory"]
    # A frame is kept once a step, and three times more.
    assert camera["rollout_bytes"] - state["rollout_bytes"] == 17 * (80 * 60 - 4 * 26)
    assert camera["env_bytes"] - state["env_bytes"] > 2 * 80 * 60 - 2 * 4 * 26
