"""The bench measures what it says and prints it under documented keys."""

import json
from dataclasses import replace

import pytest
from rich.console import Console

from racer.benchmark import simulator as benchmark
from racer.benchmark.peers import PEER_ENVS, PeerEnv
from racer.cli import main

PEER = PeerEnv("CartPole", "CartPole-v1", "gymnasium", "a pole", ("camera 160x120", 2))


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(benchmark, "TIMED_ROUNDS", 1)
    monkeypatch.setattr(benchmark, "ROUND_DURATION_S", 0.01)
    monkeypatch.setattr(benchmark, "keep_to_one_core", lambda: None)
    # Box2D does not survive being loaded beside torch.
    monkeypatch.setattr(benchmark, "PEER_ENVS", (PEER, replace(PEER, package="no_such_package")))


def test_the_scenes_are_those_of_the_documented_table():
    assert [(scene, cars) for scene, cars, _ in benchmark.BENCHMARK_ENVS] == [
        ("state, no reward", 64),
        ("state, no reward", 512),
        ("state, no reward", 4096),
        ("state, gymnasium.make", 1),
        ("state", 64),
        ("state, Python reward", 64),
        ("state, walls", 64),
        ("state, 3 bots", 64),
        ("state, sim2real", 64),
        ("lidar, walls", 64),
        ("camera 160x120", 64),
        ("camera, 6 boxes", 64),
        ("camera, walls", 64),
        ("camera, sim2real", 64),
    ]


@pytest.mark.needs("pybullet")
def test_the_figures_have_their_keys_and_fit_together(monkeypatch, capsys):
    fewer = [(scene, max(cars // 32, 1), given) for scene, cars, given in benchmark.BENCHMARK_ENVS]
    monkeypatch.setattr(benchmark, "BENCHMARK_ENVS", fewer)
    main(["bench", "--json"])
    figures = json.loads(capsys.readouterr().out)
    assert [(row["scene"], row["cars"]) for row in figures["rows"]] == [one[:2] for one in fewer]
    for row in figures["rows"]:
        took = 1e6 / row["steps_per_s"]
        assert row["x_floor"] == pytest.approx(took / figures["floor_us_per_step"])
        assert row["x_real_time"] == pytest.approx(row["steps_per_s"] / 15)
        took = 1e6 / row["bullet_steps_per_s"]
        assert row["bullet_x_floor"] == pytest.approx(took / figures["floor_us_per_step"])
    (peer,) = figures["peers"]
    assert set(peer) == {"name", "simulates", "steps_per_s", "scene", "cars", "ratio"}
    rates = {(row["scene"], row["cars"]): row["steps_per_s"] for row in figures["rows"]}
    assert peer["name"] == "CartPole"
    assert peer["ratio"] == rates["camera 160x120", 2] / peer["steps_per_s"]


def test_a_peer_is_compared_with_a_scene_that_is_measured():
    scenes = {(scene, cars) for scene, cars, _ in benchmark.BENCHMARK_ENVS}
    assert {one.scene for one in PEER_ENVS} <= scenes


def test_without_pybullet_the_races_without_solids_are_measured(monkeypatch, capsys):
    monkeypatch.setattr(benchmark, "has_pybullet", lambda: False)
    few = benchmark.BENCHMARK_ENVS[3:8] + benchmark.BENCHMARK_ENVS[10:12]
    monkeypatch.setattr(benchmark, "BENCHMARK_ENVS", few)
    figures = benchmark.benchmark_simulator()
    scenes = ["state, gymnasium.make", "state", "state, Python reward", "camera 160x120"]
    assert [row["scene"] for row in figures["rows"]] == scenes
    assert figures["floor_us_per_step"] is figures["rows"][0]["bullet_steps_per_s"] is None
    assert figures["rows"][0]["steps_per_s"] > 0.0
    Console().print(benchmark.benchmark_table(figures))
    said = capsys.readouterr().out
    assert "Bullet's floor: not measured, because PyBullet is not installed" in said
    assert "2 cars: - x that" in said  # That scene is not among the few.


@pytest.mark.slow
def test_the_table_shows_every_row(capsys):
    main(["bench"])
    said = capsys.readouterr().out
    assert "Bullet's floor" in said
    assert said.count("camera") >= 2
