"""`racer board check` and `submit`: one stable code for each refusal, and no trace of it."""

import json
import os
import re
import stat
import zipfile
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from racer.car.action_space import ActionSpace
from racer.cli import main
from racer.entries.package import TrainedOn, save_entry
from racer.entries.signing import public_key, read_key
from racer.sensors.config import StateConfig
from racer.sensors.state_sensor import STATE_SIZE

WEIGHTS = np.random.default_rng(0).normal(size=(STATE_SIZE, 2)).astype(np.float32)
DOCUMENT = Path(__file__).parents[2] / "docs" / "leaderboard.md"


def graph(*nodes, seen=(1, STATE_SIZE), **weights):
    """tanh(observation @ w), with other nodes before it."""
    usual = [
        helper.make_node("MatMul", ["observation", "w"], ["y"]),
        helper.make_node("Tanh", ["y"], ["action"]),
    ]
    whole = helper.make_model(
        helper.make_graph(
            list(nodes) or usual,
            "policy",
            [helper.make_tensor_value_info("observation", TensorProto.FLOAT, seen)],
            [helper.make_tensor_value_info("action", TensorProto.FLOAT, (1, 2))],
            [numpy_helper.from_array(v, name) for name, v in {"w": WEIGHTS, **weights}.items()],
        ),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=8,
    )
    return whole.SerializeToString()


def write(path, policy=None, **changes):
    fields = {
        "name": "swift",
        "author": "Ada",
        "env": "racer/TimeTrial-v0",
        "sensor": (StateConfig(),),
        "actions": ActionSpace(),
        "trained_on": TrainedOn(
            track="bowtie", config_sha256="a" * 64, reward_sha256="b" * 64, steps=1, seed=0
        ),
    }
    save_entry(path, graph() if policy is None else policy, **{**fields, **changes})
    return path


def repack(path, *more, change=lambda name, content: (name, content)):
    with zipfile.ZipFile(path) as zipped:
        members = [change(name, zipped.read(name)) for name in zipped.namelist()]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, content in [*members, *more]:
            zipped.writestr(name, content)


def linked(name, content):
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info, content


def node(operator, *ends, **attributes):
    return helper.make_node(operator, *ends, **attributes)


def outside():
    tensor = numpy_helper.from_array(WEIGHTS, "v")
    tensor.ClearField("raw_data")
    tensor.external_data.add(key="location", value="/etc/passwd")
    tensor.data_location = TensorProto.EXTERNAL
    return graph(
        node("Constant", [], ["v"], value=tensor),
        node("MatMul", ["observation", "v"], ["y"]),
        node("Tanh", ["y"], ["action"]),
    )


def growing():
    """60 kB that become 14 GB."""
    return graph(
        node("ReduceSum", ["observation"], ["sum"], keepdims=0),
        node("Add", ["column", "sum"], ["seen"]),
        node("Add", ["seen", "row"], ["large"]),
        node("ReduceMax", ["large"], ["most"], keepdims=0),
        node("Mul", ["most", "two"], ["action"]),
        column=np.zeros((60_000, 1), np.float32),
        row=np.zeros((1, 60_000), np.float32),
        two=np.zeros((1, 2), np.float32),
    )


def computing():
    """40 kB that multiply for minutes."""
    chain = [node("MatMul", [f"x{k}", f"x{k}"], [f"x{k + 1}"]) for k in range(300)]
    return graph(
        node("ReduceSum", ["observation"], ["sum"], keepdims=0),
        node("Add", ["column", "sum"], ["seen"]),
        node("Add", ["seen", "row"], ["x0"]),
        *chain,
        node("ReduceMax", ["x300"], ["most"], keepdims=0),
        node("Mul", ["most", "two"], ["action"]),
        column=np.zeros((2500, 1), np.float32),
        row=np.zeros((1, 2500), np.float32),
        two=np.zeros((1, 2), np.float32),
    )


CRAFTED = {
    "missing": lambda path: path.unlink(),
    "not_a_zip": lambda path: path.write_bytes(path.read_bytes()[:-30]),
    "broken": lambda path: path.write_bytes(path.read_bytes().replace(b"Tanh", b"Sinh")),
    "members": lambda path: repack(path, ("reward.py", b"")),
    "unsafe_name": lambda path: repack(path, ("../../x", b"")),
    "duplicate": lambda path: repack(path, ("policy.onnx", b"")),
    "not_a_file": lambda path: repack(path, change=linked),
    "too_big": lambda path: repack(path, change=lambda name, content: (name, bytes(70_000_000))),
    "manifest": lambda path: repack(path, change=lambda name, content: (name, b"{}")),
    "hash": lambda path: repack(
        path, change=lambda n, c: (n, c + b"x" if n == "policy.onnx" else c)
    ),
    "forged": lambda path: repack(path, ("signature.json", b"{}")),
    "graph": lambda path: write(path, b"random bytes"),
    "operator": lambda path: write(path, graph(node("Teleport", ["observation"], ["action"]))),
    "domain": lambda path: write(
        path, graph(node("Tanh", ["observation"], ["action"], domain="mine"))
    ),
    "control_flow": lambda path: write(path, graph(node("Loop", ["observation"], ["action"]))),
    "external_data": lambda path: write(path, outside()),
    "dynamic_shape": lambda path: write(path, graph(seen=("n", STATE_SIZE))),
    "signature": lambda path: write(path, graph(seen=(1, STATE_SIZE + 1))),
    "run": lambda path: write(
        path,
        graph(
            node("ReduceMax", ["observation"], ["most"], keepdims=0),
            node("Cast", ["most"], ["index"], to=TensorProto.INT64),
            node("Gather", ["w", "index"], ["row"], axis=0),
            node("Unsqueeze", ["row", "axes"], ["action"]),
            axes=np.zeros(1, np.int64),
            w=np.zeros((1, 2), np.float32),
        ),
    ),
    "action": lambda path: write(path, graph(node("MatMul", ["observation", "w"], ["action"]))),
    "hang": lambda path: write(path, computing()),
    "memory": lambda path: write(path, growing()),
}
"""How an entry comes to deserve each code; `tests/policy` has many more files for each."""


@pytest.fixture
def entry(tmp_path, monkeypatch):
    monkeypatch.setenv("RACER_BOARD", str(tmp_path / "board"))
    return write(tmp_path / "swift.entry.zip")


def refused(*words):
    with pytest.raises(SystemExit) as stop:
        main([str(word) for word in words])
    assert stop.value.code == 2


def test_a_good_entry_is_accepted_with_its_facts(entry, capsys):
    main(["board", "check", str(entry), "--json"])
    said = json.loads(capsys.readouterr().out)
    assert said["code"] == "ok"
    assert (said["name"], said["author"], said["signer"]) == ("swift", "Ada", None)
    assert said["sensors"] == ["state"]
    assert said["box"] in ("namespaces", "limits only")
    assert 0 < said["answer_ms"] < 1000 / 15


def test_a_good_entry_is_accepted_in_words(entry, capsys):
    main(["board", "check", str(entry)])
    said = capsys.readouterr().out
    assert "accepted: swift by Ada" in said
    assert "signed: by nobody" in said
    assert re.search("box: (namespaces|limits only)", said)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    "code",
    [pytest.param(code, marks=[pytest.mark.slow] if code == "hang" else []) for code in CRAFTED],
)
def test_a_crafted_file_is_refused_by_its_code_and_leaves_no_trace(entry, capsys, code):
    CRAFTED[code](entry)
    before = sum(os.times()[:4])
    refused("board", "check", entry, "--json")
    assert sum(os.times()[:4]) - before < 60, "processor time"
    output = capsys.readouterr()
    said = json.loads(output.out)
    assert said["code"] == code
    assert said["message"] in output.err
    refused("board", "submit", entry)
    assert {path.name for path in entry.parent.iterdir()} <= {entry.name}


def test_a_refusal_in_words_names_the_code(entry, capsys):
    CRAFTED["members"](entry)
    refused("board", "check", entry)
    output = capsys.readouterr()
    assert output.out == "refused: members\n"
    assert "reward.py" in output.err


def test_the_document_lists_every_code_and_no_other():
    table = DOCUMENT.read_text().split("### Codes")[1].split("\n## ")[0]
    listed = re.findall(r"^\| `([a-z_]+)` \|", table, re.MULTILINE)
    assert len(listed) == len(set(listed))
    own = {"unreadable", "encrypted", "compression", "env", "slow", "crash", "box", "key", "type"}
    assert set(listed) == {"ok", "unwritable", *CRAFTED, *own}


def test_a_key_signs_an_entry_that_then_shows_its_signer(entry, tmp_path, capsys):
    key = tmp_path / "my.key"
    main(["board", "keygen", "--out", str(key)])
    public = capsys.readouterr().out.split()[-1]
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    write(entry, key=read_key(key))
    main(["board", "check", str(entry)])
    assert f"signed: {public}" in capsys.readouterr().out
    refused("board", "keygen", "--out", key)
    assert "never overwritten" in capsys.readouterr().err


def test_an_export_signs_with_the_key_it_is_given(tmp_path, monkeypatch, capsys):
    given = []
    monkeypatch.setattr("racer.training.export.export_run", lambda *rest: given.append(rest) or "0")
    key = tmp_path / "my.key"
    main(["board", "keygen", "--out", str(key)])
    public = capsys.readouterr().out.split()[-1]
    main(["export", str(tmp_path), "--key", str(key)])
    main(["export", str(tmp_path)])
    assert [one[3] and public_key(one[3]) for one in given] == [public, None]
    refused("export", tmp_path, "--key", tmp_path / "no.key")
    assert "racer board keygen" in capsys.readouterr().err


def test_a_boxed_submission_stands_on_the_board(entry, tmp_path, capsys):
    season = tmp_path / "short.yaml"
    season.write_text("name: short\ntrack: oval\nlaps: 1\ntime_limit: 3\n")
    main(["board", "submit", str(entry), "--season", str(season), "--json"])
    row = json.loads(capsys.readouterr().out)
    assert row["name"] == "swift"
    assert row["rank"] == 1
