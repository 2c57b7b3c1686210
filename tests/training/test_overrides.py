"""The command line and Python change a config alike."""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import racer
from racer import assets
from racer.assets.document import read_document
from racer.assets.overrides import with_overrides
from racer.cli.app import run
from racer.cli.options import config_fields, format_value
from racer.errors import ConfigError, RacerError
from racer.reward.reward_file import RewardSource
from racer.sensors.config import LidarConfig
from racer.training.config import RunConfig
from racer.training.run_dir import Run

CONFIGS = ("state", "quick", "head_to_bot")
NAMES = {
    "track": st.lists(st.sampled_from(["oval", "hairpin", "generated:3"]), min_size=1).map(tuple),
    "evaluation.track": st.sampled_from([("oval",), ("snake", "comb")]),
    "reward": st.sampled_from(["progress", "centerline"]),
    "device": st.sampled_from(["cpu", "auto"]),
    "network.filters": st.just(((8, 4, 2), (16, 3, 1))),
    "actions.choices": st.just(((-30.0, 1.0), (0.0, 2.5))),
    "race.obstacles.places": st.just(((0.25, "left"), (0.5, "right"))),
}
"""Fields whose values a type alone does not tell; `None` for those without an option."""
WITHOUT_OPTION = {"network.filters", "actions.choices", "race.obstacles.places"}
"""Lists of lists, which the command line cannot spell; Python can."""


def values(kind: Any, metadata: list[Any], low: Any = -1e3, high: Any = 1e3) -> Any:
    """Values that a field of a type may have, by its limits."""
    for one in metadata:
        low = max(low, getattr(one, "ge", low), getattr(one, "gt", low - 1e-3) + 1e-3)
        high = min(high, getattr(one, "le", high), getattr(one, "lt", high + 1e-3) - 1e-3)
    if get_origin(kind) is Literal:
        return st.sampled_from(get_args(kind))
    if kind is bool:
        return st.booleans()
    if kind is int:
        return st.integers(int(low), int(high))
    if kind is float:
        return st.floats(low, high)
    if get_origin(kind) is tuple:
        item, last = get_args(kind)
        if last is Ellipsis:
            return st.lists(st.integers(1, 64), min_size=1, max_size=3).map(tuple)
        return st.tuples(values(item, metadata, -1.0, 1.0), values(last, metadata, -1.0, 1.0))
    known = [one for one in get_args(kind) if one is not type(None)]
    return values(known[0], metadata) if known else st.nothing()


def changes(config: RunConfig) -> st.SearchStrategy[dict[str, Any]]:
    """Some fields of every section, with values that are valid one by one."""
    found = {}
    for field in config_fields(config):
        place = ".".join(map(str, field.place))
        metadata = _metadata(config, field.place)
        found[place] = NAMES.get(place, values(field.kind, metadata))
    wanted = st.lists(st.sampled_from(sorted(found)), min_size=1, max_size=6, unique=True)
    return wanted.flatmap(lambda names: st.fixed_dictionaries({n: found[n] for n in names}))


def _metadata(config: Any, place: tuple[str | int, ...]) -> list[Any]:
    for part in place[:-1]:
        config = config[part] if isinstance(part, int) else getattr(config, part)
    return type(config).model_fields[place[-1]].metadata


def nested(flat: dict[str, Any]) -> dict[str, Any]:
    """Dotted names as mappings within mappings; those of a list's items stay dotted."""
    tree: dict[str, Any] = {}
    for place, value in flat.items():
        if any(part.isdecimal() for part in place.split(".")):
            tree[place] = value
            continue
        there = tree
        *path, name = place.split(".")
        for part in path:
            there = there.setdefault(part, {})
        there[name] = value
    return tree


def words(flat: dict[str, Any]) -> list[str]:
    """The options that say the same."""
    spelt = []
    for place, value in flat.items():
        option = "--" + place.replace("_", "-")
        if isinstance(value, bool):
            head, _, tail = option.rpartition(".")
            spelt.append(option if value else f"{head}.no-{tail}" if head else f"--no-{tail[2:]}")
        else:
            spelt += [option, *format_value(value).split()]
    return spelt


def written(folder: Path, config: RunConfig) -> bytes:
    """What a run of that config writes as its config.yaml."""
    Run.create(folder, config, RewardSource.find(config.reward or ""), {})
    return (folder / "config.yaml").read_bytes()


@pytest.fixture(scope="module")
def begun():
    """The configs of trainings that are only begun, by the command line and by Python."""
    with pytest.MonkeyPatch.context() as patch:
        configs: list[RunConfig] = []
        patch.setattr("racer.cli.train._train", lambda config, *_: configs.append(config))
        patch.setattr(
            "racer.training.train.run_training",
            lambda config, *_, **__: configs.append(config) or _Nothing(),
        )
        yield configs


class _Nothing:
    run = None


def outcome(begun: list[RunConfig], begin: Callable[[], Any]) -> RunConfig | None:
    """The config with which a training begins; None where it is refused."""
    begun.clear()
    with contextlib.suppress(RacerError):
        begin()
    return begun[0] if begun else None


@given(data=st.data(), name=st.sampled_from(CONFIGS))
@settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_options_dotted_names_and_mappings_give_one_config_yaml(
    data, name, begun, tmp_path_factory
):
    base = read_document(assets.find_file(name, "configs"), RunConfig)
    flat = data.draw(changes(base))
    spelt = {place: value for place, value in flat.items() if place not in WITHOUT_OPTION}
    dotted = outcome(begun, lambda: racer.train(name, **flat))
    mapped = outcome(begun, lambda: racer.train(name, **nested(flat)))
    ways = [dotted, mapped]
    if spelt == flat:
        ways.append(outcome(begun, lambda: run(["train", name, *words(flat)])))
    if dotted is None:
        assert ways == [None] * len(ways)
        return
    folder = tmp_path_factory.mktemp("runs")
    texts = {written(folder / str(k), config) for k, config in enumerate(ways) if config}
    assert None not in ways
    assert len(texts) == 1


def test_a_place_that_there_is_not_is_named(subtests):
    for change, said in [
        ({"ppo": {"learnig_rate": 1e-4}}, "unknown key 'ppo.learnig_rate'; did you mean"),
        ({"ppo.learnig_rate": 1e-4}, "unknown key 'ppo.learnig_rate'; did you mean"),
        ({"poo.gamma": 0.9}, "unknown key 'poo'; did you mean 'ppo'"),
        ({"sensor.3.width": 80}, "'3' is none of the 2 items"),
        ({"total_timesteps.x": 1}, "total_timesteps is 1500000 and has no fields"),
    ]:
        with (
            subtests.test(change=change, said=said),
            pytest.raises(ConfigError, match=said),
        ):
            racer.train("object_avoidance", **change)


def test_a_section_keeps_what_a_mapping_does_not_name():
    base = read_document(assets.find_file("head_to_bot", "configs"), RunConfig)
    config = with_overrides(base, {"race": {"walls": True}, "ppo": {"learning_rate": 1e-4}}, "test")
    assert config.race == base.race.model_copy(update={"walls": True})
    assert config.ppo == base.ppo.model_copy(update={"learning_rate": 1e-4})


def test_a_mapping_changes_the_only_sensor_or_takes_its_place():
    base = read_document(assets.find_file("quick", "configs"), RunConfig)
    wider = with_overrides(base, {"sensor": {"width": 96}}, "test")
    assert wider.sensor == (base.sensor[0].model_copy(update={"width": 96}),)
    lidar = with_overrides(base, {"sensor": {"kind": "lidar", "beams": 8}}, "test")
    assert lidar.sensor == (LidarConfig(beams=8),)
    assert with_overrides(base, {"sensor.0": {"kind": "lidar", "beams": 8}}, "test") == lidar
    assert with_overrides(base, {"sensor": "state"}, "test").sensor[0].kind == "state"


def test_a_name_takes_a_section_s_place():
    base = read_document(assets.find_file("head_to_bot", "configs"), RunConfig)
    config = with_overrides(base, {"network": "deep", "race": "object_avoidance"}, "test")
    assert config.network.model_dump(exclude_defaults=True) == {"preset": "deep"}
    assert config.race.model_dump(exclude_defaults=True) == {"kind": "object_avoidance"}
