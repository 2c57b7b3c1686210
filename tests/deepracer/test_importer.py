"""Models from the DeepRacer world, taken over."""

import io
import json
import shutil
import tarfile
from itertools import product

import numpy as np
import pytest
from numpy.testing import assert_allclose
from rich.console import Console

from racer.assets.document import read_document
from racer.cli import main
from racer.deepracer.importer import import_deepracer
from racer.deepracer.metadata import metadata_as_json
from racer.deepracer.training_log import hyperparameters_as_json
from racer.envs import RacerEnv
from racer.errors import ConfigError, RewardError, TrackError
from racer.reward import RewardSource
from racer.training.config import RunConfig
from racer.training.train import run_training
from tests.helpers.track_files import NPY

REWARD = (
    "def reward_function(params):\n    return 1.0 if params['all_wheels_on_track'] else 0.001\n"
)
DISCRETE = [
    {"steering_angle": -30, "speed": 0.6, "index": 0},
    {"steering_angle": 0, "speed": 1.2, "index": 1},
    {"steering_angle": 30, "speed": 0.6, "index": 2},
]
CONTINUOUS = {"steering_angle": {"high": 30, "low": -25}, "speed": {"high": 4, "low": 1}}
METADATA = {
    "action_space": DISCRETE,
    "action_space_type": "discrete",
    "sensor": ["FRONT_FACING_CAMERA"],
    "neural_network": "DEEP_CONVOLUTIONAL_NETWORK_SHALLOW",
    "training_algorithm": "clipped_ppo",
    "version": "5",
}
HYPER = {
    "batch_size": 128,
    "beta_entropy": 0.02,
    "discount_factor": 0.995,
    "e_greedy_value": 0.05,
    "epsilon_steps": 10000,
    "exploration_type": "categorical",
    "loss_type": "huber",
    "lr": 0.0002,
    "num_episodes_between_training": 18,
    "num_epochs": 7,
    "stack_size": 1,
    "term_cond_avg_score": 100000,
    "term_cond_max_episodes": 100000,
}


@pytest.fixture
def model(tmp_path):
    """A folder with a model's three files; `model(metadata={...}, hyper={...})` changes keys."""

    def make(metadata=None, hyper=None, reward=REWARD):
        folder = tmp_path / "theirs"
        folder.mkdir(exist_ok=True)
        (folder / "model_metadata.json").write_text(json.dumps(METADATA | (metadata or {})))
        (folder / "hyperparameters.json").write_text(json.dumps(HYPER | (hyper or {})))
        (folder / "reward_function.py").write_text(reward)
        return folder

    return make


def taken(folder, out):
    found = import_deepracer(folder, "mine", out)
    return read_document(found.config, RunConfig), found.notes


def test_the_hyperparameters_become_ppo_s(model, tmp_path):
    config, notes = taken(model(), tmp_path / "out")
    ppo = config.ppo
    assert (ppo.batch_size, ppo.n_epochs, ppo.learning_rate) == (128, 7, 0.0002)
    assert (ppo.ent_coef, ppo.gamma, ppo.value_loss) == (0.02, 0.995, "huber")
    assert (ppo.clip_range, ppo.gae_lambda) == (0.2, 0.95)
    assert config.num_envs == 18
    assert ppo.n_steps == 192, "the least from 150 on with which batches of 128 fill"
    assert config.actions.choices == ((-30.0, 0.6), (0.0, 1.2), (30.0, 0.6))
    told = "\n".join(notes)
    for key in ("e_greedy_value", "epsilon_steps", "exploration_type", "term_cond_avg_score"):
        assert key in told


SAC = {
    "action_space": CONTINUOUS,
    "action_space_type": "continuous",
    "training_algorithm": "sac",
}


def test_the_hyperparameters_of_sac_become_sac_s(model, tmp_path):
    hyper = {"sac_alpha": 0.15, "term_cond_max_episodes": 100}
    config, notes = taken(model(SAC, hyper), tmp_path / "out")
    sac = config.sac
    assert (config.algorithm, config.num_envs, config.total_timesteps) == ("sac", 18, 15_000)
    assert (sac.batch_size, sac.learning_rate, sac.gamma) == (128, 0.0002, 0.995)
    assert (sac.ent_coef, sac.learning_starts) == (0.15, 1_500)
    assert sac.buffer_size == 10_000, "a camera's frames are large"
    assert config.actions.kind == "continuous"
    told = "\n".join(notes)
    for key in ("num_epochs 7", "beta_entropy 0.02", "loss_type 'huber'"):
        assert f"{key} is not taken: it belongs to clipped_ppo" in told
    assert "sac.buffer_size, tau, train_freq and gradient_steps" in told
    lidar, _ = taken(model({**SAC, "sensor": ["LIDAR"]}, hyper), tmp_path / "lidar")
    assert lidar.sac.buffer_size == 200_000


def test_what_belongs_to_sac_is_not_taken_for_ppo(model, tmp_path):
    config, notes = taken(model(hyper={"sac_alpha": 0.15}), tmp_path / "out")
    assert config.algorithm == "ppo"
    assert "hyperparameters.json: sac_alpha 0.15 is not taken: it belongs to sac" in "\n".join(
        notes
    )


def test_a_run_of_sac_says_so_to_deepracer_s_tools(model, tmp_path):
    config, _ = taken(model(SAC), tmp_path / "out")
    written = hyperparameters_as_json(config)
    assert (written["sac_alpha"], written["lr"], written["batch_size"]) == (0.2, 0.0002, 128)
    assert "num_epochs" not in written
    described = metadata_as_json(config.actions, ["camera"], "shallow", config.algorithm)
    assert described["training_algorithm"] == "sac"
    for other in ("ppo", "tqc", "qrdqn", "recurrent_ppo"):
        assert metadata_as_json(config.actions, ["camera"], "shallow", other) == {
            **described,
            "training_algorithm": "clipped_ppo",
        }


def test_continuous_actions_keep_both_limits(model, tmp_path):
    files = model({"action_space": CONTINUOUS, "action_space_type": "continuous"})
    config, _ = taken(files, tmp_path / "out")
    assert config.actions.steering_deg == (-25.0, 30.0)
    assert config.actions.speed == (1.0, 4.0)


def test_every_sensor_and_network_has_its_counterpart(subtests, model, tmp_path):
    for (theirs, ours), (network, preset) in product(
        [
            (["FRONT_FACING_CAMERA"], ["camera"]),
            (["STEREO_CAMERAS", "LIDAR"], ["stereo", "lidar"]),
            (["LEFT_CAMERA", "SECTOR_LIDAR"], ["left_camera", "sector_lidar"]),
            (
                ["FRONT_FACING_CAMERA", "DISCRETIZED_SECTOR_LIDAR"],
                ["camera", "discretized_sector_lidar"],
            ),
        ],
        [
            ("DEEP_CONVOLUTIONAL_NETWORK_SHALLOW", "shallow"),
            ("DEEP_CONVOLUTIONAL_NETWORK", "standard"),
            ("DEEP_CONVOLUTIONAL_NETWORK_DEEP", "deep"),
        ],
    ):
        with subtests.test(theirs=theirs, ours=ours, network=network, preset=preset):
            folder = model({"sensor": theirs, "neural_network": network})
            config, _ = taken(folder, tmp_path / "-".join([*theirs, preset]))
            assert [sensor.name for sensor in config.sensor] == ours
            assert config.network.preset == preset


def test_a_lidar_s_figures_are_kept(model, tmp_path):
    figures = {"num_sectors": 4, "num_values_per_sector": 6, "clipping_dist": 1.5}
    files = model({"sensor": ["DISCRETIZED_SECTOR_LIDAR"], "lidar_config": figures})
    (lidar,) = taken(files, tmp_path / "out")[0].sensor
    assert lidar.model_dump(include={"sectors", "values", "clip"}) == {
        "sectors": 4,
        "values": 6,
        "clip": 1.5,
    }


@pytest.mark.slow
@pytest.mark.ci
def test_what_was_taken_over_trains_unchanged(model, tmp_path):
    files = model({"sensor": ["LIDAR"]}, {"num_episodes_between_training": 5, "batch_size": 64})
    config, _ = taken(files, tmp_path / "out")
    (files / "reward_function.py").unlink()
    short = {"evaluation": config.evaluation.model_copy(update={"laps": 1, "time_limit": 1.0})}
    watch = run_training(
        config.model_copy(
            update={"total_timesteps": 750, "device": "cpu", "torch_threads": 1} | short
        ),
        tmp_path / "run",
        Console(file=io.StringIO()),
    )
    assert watch.best is not None


def test_a_track_is_copied_and_named_in_the_config(model, tmp_path):
    folder = model()
    (folder / "reinvent.npy").write_bytes(NPY["pairs and one after the other"].content)
    found = import_deepracer(folder, "mine", tmp_path / "out")
    assert "track: mine.npy\n" in found.config.read_text()
    assert (tmp_path / "out" / "mine.npy").read_bytes() == (folder / "reinvent.npy").read_bytes()
    env = RacerEnv(**(read_document(found.config, RunConfig).env | {"reward": None}))
    rows = NPY["pairs and one after the other"].centre
    assert_allclose(env.vector.tracks[0].centre, rows)
    env.close()
    (folder / "second.npy").write_bytes(b"")
    with pytest.raises(ConfigError, match=r"one track only; got reinvent\.npy, second\.npy"):
        import_deepracer(folder, "other", tmp_path / "out")


def test_a_track_that_cannot_be_driven_is_refused_before_anything_is_written(model, tmp_path):
    folder = model()
    rows = np.load(io.BytesIO(NPY["one row twice"].content))
    np.save(folder / "straight.npy", rows[:40])
    with pytest.raises(TrackError, match=r"straight\.npy: its line is open"):
        import_deepracer(folder, "mine", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_is_refused_with_file_key_got_and_allowed(subtests, model, tmp_path):
    for metadata, hyper, said in [
        (
            {"training_algorithm": "sac"},
            {},
            r"metadata.json: training_algorithm: 'sac' learns continuous .* is 'discrete'",
        ),
        ({}, {"sac_alpha": "auto"}, r"hyperparameters.json: sac_alpha: .*number.*got 'auto'"),
        ({"training_algorithm": "dqn"}, {}, r"training_algorithm: .*'clipped_ppo' or 'sac'.*'dqn'"),
        ({"sensor": ["SONAR"]}, {}, r"metadata.json: sensor.0: .*'LIDAR'.*; got 'SONAR'"),
        ({"neural_network": "BIG"}, {}, r"neural_network: .*got 'BIG'"),
        ({"action_space": DISCRETE[:1]}, {}, r"action_space: 2-30 actions are allowed; got 1"),
        ({"action_space": CONTINUOUS}, {}, r"action_space: the limits .*'discrete'"),
        ({"action_space": 7}, {}, r"action_space: .*list of actions.*got 7"),
        (
            {"action_space": [{"steering_angle": 0, "speed": 9}, DISCRETE[0]]},
            {},
            r"action_space.0.speed: .*less than or equal to 4; got 9",
        ),
        (
            {
                "action_space": CONTINUOUS | {"speed": {"low": 3, "high": 1}},
                "action_space_type": "continuous",
            },
            {},
            r"action_space.speed: low must be below high; got 3 and 1",
        ),
        ({}, {"lr": "fast"}, r"hyperparameters.json: lr: .*number.*got 'fast'"),
        ({}, {"batch_size": 1}, r"hyperparameters.json: batch_size: .*equal to 2; got 1"),
        ({}, {"loss_type": "hinge"}, r"loss_type: .*'huber'.*got 'hinge'"),
        ({}, {"discount_factor": 1.2}, r"discount_factor: .*less than or equal to 1; got 1.2"),
    ]:
        with subtests.test(metadata=metadata, hyper=hyper, said=said):
            with pytest.raises(ConfigError, match=said) as caught:
                import_deepracer(model(metadata, hyper), "mine", tmp_path / "out")
            assert len(str(caught.value).splitlines()) == 1, "one sentence"
            assert not (tmp_path / "out").exists()


def test_a_file_that_is_no_json_names_its_line(model, tmp_path):
    folder = model()
    (folder / "hyperparameters.json").write_text('{\n"lr": 1,,\n}')
    with pytest.raises(ConfigError, match=r"hyperparameters\.json:2: not valid JSON"):
        import_deepracer(folder, "mine", tmp_path / "out")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_files_that_notepad_saved_are_taken(model, tmp_path, encoding):
    folder = model()
    plain, _ = taken(folder, tmp_path / "plain")
    for name in ("model_metadata.json", "hyperparameters.json"):
        (folder / name).write_text((folder / name).read_text(), encoding=encoding)
    marked, _ = taken(folder, tmp_path / "marked")
    assert marked.actions == plain.actions
    assert marked.ppo == plain.ppo


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("hyperparameters.json", '{"lr": 1e-3, "lr": 1e-4}', "'lr' occurs twice, with 0.001 and"),
        (
            "model_metadata.json",
            '{"action_space": [{"steering_angle": 1, "speed": 1, "speed": 2}]}',
            "'speed' occurs twice, with 1 and 2",
        ),
        ("hyperparameters.json", '{"a": ' * 100_000, "not valid JSON: it is nested too deeply"),
        ("hyperparameters.json", b"\xff\xfe\x00", "cannot be read"),
    ],
)
def test_json_that_says_a_thing_twice_or_is_no_text_is_refused(model, tmp_path, name, text, said):
    folder = model()
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError, match=f"{name}: .*{said}"):
        import_deepracer(folder, "mine", tmp_path / "out")


@pytest.mark.parametrize("gone", ["reward_function.py", "model_metadata.json"])
def test_a_missing_file_is_named(model, tmp_path, gone):
    folder = model()
    (folder / gone).unlink()
    with pytest.raises(ConfigError, match=f"has no {gone}"):
        import_deepracer(folder, "mine", tmp_path / "out")


def test_a_reward_that_is_no_python_names_its_line(model, tmp_path):
    with pytest.raises(RewardError, match=r"reward_function\.py:1"):
        import_deepracer(model(reward="def reward_function(params)\n"), "mine", tmp_path / "out")


@pytest.mark.parametrize("there", ["mine.yaml", "mine.py", "helper.py"])
def test_nothing_is_written_over(model, tmp_path, there):
    folder = model(reward="import helper\n" + REWARD)
    (folder / "helper.py").write_text("")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / there).write_text("mine")
    with pytest.raises(ConfigError, match=f"{there} exists already"):
        import_deepracer(folder, "mine", tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == [there]
    assert (tmp_path / "out" / there).read_text() == "mine"


def test_an_import_can_be_moved(model, tmp_path):
    folder = model(reward="from helper import ONE\n" + REWARD)
    (folder / "helper.py").write_text("ONE = 1\n")
    found = import_deepracer(folder, "mine", tmp_path / "out")
    assert str(tmp_path) not in found.config.read_text()
    shutil.move(tmp_path / "out", tmp_path / "moved")
    shutil.rmtree(folder)
    config = read_document(tmp_path / "moved" / "mine.yaml", RunConfig)
    assert config.reward == str(tmp_path / "moved" / "mine.py")
    assert RewardSource.find(config.reward or "").functions(1)


def packed(folder, path, inside=""):
    """The folder as an archive, with everything in the folder `inside` of it."""
    base, kind = str(path).split(".", 1)
    shutil.make_archive(base, {"tar.gz": "gztar", "tar": "tar", "zip": "zip"}[kind], folder, inside)
    return path


@pytest.mark.parametrize("kind", ["tar.gz", "tar", "zip"])
@pytest.mark.parametrize("inside", [".", "theirs"])
def test_an_archive_is_a_folder(model, tmp_path, kind, inside):
    folder = model()
    (folder / "model").mkdir()
    (folder / "model_metadata.json").rename(folder / "model" / "model_metadata.json")
    root = folder if inside == "." else folder.parent
    archive = packed(root, tmp_path / f"archive.{kind}", inside)
    found = import_deepracer(archive, "mine", tmp_path / "out")
    assert found.config.read_text().startswith(
        f"# Imported from the DeepRacer files in {archive.name}"
    )
    assert read_document(found.config, RunConfig).ppo.batch_size == 128


def test_a_mistake_in_an_archive_names_the_archive(model, tmp_path):
    archive = packed(model({"sensor": ["SONAR"]}), tmp_path / "their.tar.gz", ".")
    with pytest.raises(ConfigError, match=r"their\.tar\.gz/model_metadata\.json: sensor\.0"):
        import_deepracer(archive, "mine", tmp_path / "out")


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"not an archive", "cannot be read as .tar.gz or .zip"), (None, "no such folder or archive")],
)
def test_what_is_no_archive_is_refused(tmp_path, content, said):
    path = tmp_path / "model.tar.gz"
    if content:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=said) as caught:
        import_deepracer(path, "mine", tmp_path / "out")
    assert len(str(caught.value).splitlines()) == 1, "one sentence"


def test_a_member_outside_of_an_archive_is_refused(tmp_path):
    path = tmp_path / "model.tar"
    with tarfile.open(path, "w") as archive:
        member = tarfile.TarInfo("../escaped.py")
        member.size = 1
        archive.addfile(member, io.BytesIO(b"1"))
    with pytest.raises(ConfigError, match="points outside the archive"):
        import_deepracer(path, "mine", tmp_path / "out")
    assert not (tmp_path.parent / "escaped.py").exists()


def both_configs(imported):
    """Return the imported config and the faster one."""
    assert imported.faster.name == "mine-faster.yaml"
    return [read_document(path, RunConfig) for path in (imported.config, imported.faster)]


def frames(config):
    """Return the frames of a config's cameras."""
    fields = [sensor.model_dump() for sensor in config.sensor]
    return [(one["width"], one["height"]) for one in fields if "width" in one]


def test_the_faster_config_keeps_all_but_frames_and_minibatches(model, tmp_path):
    imported = import_deepracer(model(), "mine", tmp_path / "out")
    own, faster = both_configs(imported)
    assert (frames(own), frames(faster)) == ([(160, 120)], [(80, 60)])
    assert (own.ppo.batch_size, faster.ppo.batch_size) == (128, 256)
    left = {"sensor": ..., "ppo": {"batch_size", "n_steps"}}
    assert own.model_dump(exclude=left) == faster.model_dump(exclude=left)
    assert faster.num_envs * faster.ppo.n_steps % 256 == 0


def test_a_model_without_a_camera_gets_no_faster_config(model, tmp_path):
    imported = import_deepracer(model({"sensor": ["SECTOR_LIDAR"]}), "mine", tmp_path / "out")
    assert imported.faster is None
    assert not (tmp_path / "out" / "mine-faster.yaml").exists()


def test_a_model_with_a_camera_and_a_lidar_gets_smaller_frames_alone(model, tmp_path):
    theirs = model(
        {"sensor": ["STEREO_CAMERAS", "SECTOR_LIDAR"], "training_algorithm": "sac"}
        | {"action_space": CONTINUOUS, "action_space_type": "continuous"}
    )
    imported = import_deepracer(theirs, "mine", tmp_path / "out")
    own, faster = both_configs(imported)
    assert frames(faster) == [(80, 60)]
    assert own.sensor[1] == faster.sensor[1]
    assert own.sac == faster.sac


@pytest.mark.parametrize(("own", "says_faster"), [(150.0, True), (2000.0, False)])
def test_the_command_says_how_long_the_plan_takes(
    model, tmp_path, capsys, monkeypatch, own, says_faster
):
    rates = iter([own, 1234.0])
    monkeypatch.setattr("racer.training.training_rate.training_rate", lambda _: next(rates))
    main(["import-deepracer", str(model()), "--out", str(tmp_path), "--name", "mine"])
    said = capsys.readouterr().out
    if says_faster:
        assert "rate: 150 steps/s on this machine: 1,000,000 steps take 1 h 51 min" in said
        assert "it ends after 60 minutes, some 540,000 steps" in said
        assert "rate: 1,234 steps/s on this machine: 1,000,000 steps take 13 min 30 s\n" in said
        assert f"next: racer train {tmp_path / 'mine-faster.yaml'}" in said
    else:
        assert "rate: 2,000 steps/s" in said and "faster" not in said
        assert f"next: racer train {tmp_path / 'mine.yaml'}" in said
