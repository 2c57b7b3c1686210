"""Models that DeepRacer trained, as entries; the graphs here are laid out as rl_coach's are."""

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from racer.cli import main
from racer.entries.car_import import import_car
from racer.entries.onnx_policy import OnnxPolicy
from racer.entries.package import read_entry
from racer.errors import ConfigError, EntryError

proto = pytest.importorskip("tensorboard.compat.proto.graph_pb2", exc_type=ImportError)
values: Any = pytest.importorskip("tensorboard.compat.proto.attr_value_pb2", exc_type=ImportError)
HEAD = "main_level/agent/main/online"
FRONT = f"{HEAD}/network_0/FRONT_FACING_CAMERA/FRONT_FACING_CAMERA"
POLICY = f"{HEAD}/network_1/ppo_head_0/policy"
FLOAT, INT32 = 1, 3
METADATA = {
    "action_space": [{"steering_angle": angle, "speed": 1.0} for angle in (-30, 0, 30)],
    "action_space_type": "discrete",
    "sensor": ["FRONT_FACING_CAMERA"],
    "neural_network": "DEEP_CONVOLUTIONAL_NETWORK_SHALLOW",
    "version": "5",
}


class Graph:
    """A GraphDef under construction."""

    def __init__(self) -> None:
        self.graph: Any = proto.GraphDef()  # pyright: ignore[reportAttributeAccessIssue]
        self.rng = np.random.default_rng(0)

    def node(self, name: str, operator: str, inputs: Any = (), **attributes: Any) -> str:
        node = self.graph.node.add(name=name, op=operator)
        node.input.extend(inputs)
        for key, value in attributes.items():
            if isinstance(value, bytes):
                node.attr[key].s = value
            elif isinstance(value, bool):
                node.attr[key].b = value
            elif isinstance(value, list):
                node.attr[key].list.i.extend(value)
            elif key in ("T", "dtype", "Tshape", "Index", "out_type", "Tidx"):
                node.attr[key].type = value
            else:
                node.attr[key].i = value
        return name

    def placeholder(self, name: str, *shape: int) -> str:
        self.node(name, "Placeholder", dtype=FLOAT)
        for size in (-1, *shape):
            self.graph.node[-1].attr["shape"].shape.dim.add(size=size)
        return name

    def constant(self, name: str, array: Any, kind: int = FLOAT) -> str:
        """A frozen variable: a constant, and the node that reads it."""
        array = np.asarray(array, np.float32 if kind == FLOAT else np.int32)
        self.node(name, "Const", dtype=kind)
        tensor = self.graph.node[-1].attr["value"].tensor
        tensor.dtype = kind
        for size in array.shape:
            tensor.tensor_shape.dim.add(size=size)
        if array.size == 1:  # as TensorFlow writes a single number
            (tensor.float_val if kind == FLOAT else tensor.int_val).append(array.item())
        else:
            tensor.tensor_content = array.tobytes()
        return self.node(f"{name}/read", "Identity", [name], T=kind)

    def drawn(self, *shape: int) -> np.ndarray:
        return self.rng.normal(size=shape) * np.sqrt(2 / np.prod(shape[:-1]))

    def convolution(self, name: str, x: str, kernel: int, stride: int, planes: Any, pad: bytes):
        weights = self.constant(f"{name}/kernel", self.drawn(kernel, kernel, *planes))
        x = self.node(
            f"{name}/Conv2D",
            "Conv2D",
            [x, weights],
            T=FLOAT,
            strides=[1, stride, stride, 1],
            padding=pad,
            data_format=b"NHWC",
            dilations=[1, 1, 1, 1],
        )
        bias = self.constant(f"{name}/bias", 0.02 * self.drawn(1, planes[1])[0])
        x = self.node(f"{name}/BiasAdd", "BiasAdd", [x, bias], T=FLOAT, data_format=b"NHWC")
        return self.node(f"{name}_activation", "Relu", [x], T=FLOAT)

    def dense(self, name: str, x: str, rows: int, columns: int) -> str:
        weights = self.constant(f"{name}/kernel", self.drawn(rows, columns))
        x = self.node(f"{name}/MatMul", "MatMul", [x, weights], T=FLOAT)
        bias = self.constant(f"{name}/bias", 0.02 * self.drawn(1, columns)[0])
        return self.node(f"{name}/BiasAdd", "BiasAdd", [x, bias], T=FLOAT)

    def flattened(self, name: str, x: str) -> str:
        """The nodes of `tf.layers.flatten`, which reads the batch's size from the shape."""
        shape = self.node(f"{name}/Shape", "Shape", [x], T=FLOAT, out_type=INT32)
        ends = [self.constant(f"{name}/{k}", [k % 2], INT32) for k in (0, 1, 3)]
        size = self.node(
            f"{name}/strided_slice", "StridedSlice", [shape, *ends], shrink_axis_mask=1, T=INT32
        )
        rest = self.constant(f"{name}/rest", -1, INT32)
        packed = self.node(f"{name}/shape", "Pack", [size, rest], T=INT32, N=2, axis=0)
        return self.node(f"{name}/Reshape", "Reshape", [x, packed], T=FLOAT, Tshape=INT32)

    def embedder(self, x: str, name: str, pad: bytes) -> str:
        x = self.node(f"{name}/truediv", "RealDiv", [x, self.constant(f"{name}/255", 255.0)], T=1)
        x = self.node(f"{name}/sub", "Sub", [x, self.constant(f"{name}/0", 0.0)], T=FLOAT)
        x = self.convolution(f"{name}/Conv2d_0", x, 7, 4, (1, 4), pad)
        x = self.convolution(f"{name}/Conv2d_2", x, 4, 2, (4, 8), pad)
        return self.flattened(f"{name}/Flatten/flatten", x)

    def head(self, x: str, width: int, outputs: int) -> str:
        """The middleware, the rescaling of the head's gradients, and the head."""
        name = f"{HEAD}/network_1"
        x = self.dense(f"{name}/middleware_fc_embedder/Dense_0", x, width, 16)
        x = self.node(f"{name}/activation", "Relu", [x], T=FLOAT)
        stopped = self.node(f"{name}/StopGradient", "StopGradient", [x], T=FLOAT)
        rescale = self.constant(f"{name}/rescalers", 1.0)
        one = self.constant(f"{name}/one", 1.0)
        rest = self.node(f"{name}/sub", "Sub", [one, rescale], T=FLOAT)
        kept = self.node(f"{name}/mul", "Mul", [rest, stopped], T=FLOAT)
        passed = self.node(f"{name}/mul_1", "Mul", [rescale, x], T=FLOAT)
        x = self.node(f"{name}/add", "Add", [kept, passed], T=FLOAT)
        return self.dense(f"{name}/ppo_head_0/policy_fc", x, 16, outputs)


def front_graph(pad: bytes = b"VALID", outputs: int = 3) -> Graph:
    graph = Graph()
    x = graph.embedder(graph.placeholder(FRONT, 120, 160, 1), f"{HEAD}/network_1/front", pad)
    width = 13 * 18 * 8 if pad == b"VALID" else 15 * 20 * 8
    graph.node(POLICY, "Softmax", [graph.head(x, width, outputs)], T=FLOAT)
    return graph


def archive(path: Path, graph: bytes, **metadata: Any) -> Path:
    members = {
        "agent/model.pb": graph,
        "model_metadata.json": json.dumps(METADATA | metadata).encode(),
    }
    with tarfile.open(path, "w:gz") as opened:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            opened.addfile(info, io.BytesIO(content))
    return path


def in_openvino(graph: bytes, seen: dict[str, np.ndarray], tmp_path: Path) -> np.ndarray:
    openvino = pytest.importorskip("openvino")
    (tmp_path / "model.pb").write_bytes(graph)
    core = openvino.Core()
    model = core.read_model(tmp_path / "model.pb")
    named = {f"{name}:0": values for name, values in seen.items()}
    model.reshape({name: list(values.shape) for name, values in named.items()})
    exact = {"INFERENCE_PRECISION_HINT": "f32"}
    return core.compile_model(model, "CPU", exact)(named)[0]


@pytest.mark.needs("openvino")
@pytest.mark.parametrize("pad", [b"VALID", b"SAME"])
def test_an_imported_model_acts_as_the_car_s_engine_computes(pad, tmp_path):
    graph = front_graph(pad).graph.SerializeToString()
    path = archive(tmp_path / "theirs.tar.gz", graph)
    main(["import-car", str(path), "--out", str(tmp_path / "theirs.entry.zip")])
    entry = read_entry(tmp_path / "theirs.entry.zip")
    assert entry.manifest.actions.choices == ((-30.0, 1.0), (0.0, 1.0), (30.0, 1.0))
    assert (entry.manifest.sensor[0].kind, entry.manifest.name) == ("camera", "theirs")
    policy = OnnxPolicy(entry)
    blocks = np.random.default_rng(1).integers(0, 256, (60, 4, 5, 1), dtype=np.uint8)
    frames = blocks.repeat(30, axis=1).repeat(32, axis=2)
    wanted = in_openvino(graph, {FRONT: frames.astype(np.float32)}, tmp_path)
    best = np.sort(wanted, axis=1)
    clear = best[:, -1] - best[:, -2] > 1e-5
    got = np.array([policy(frame[None])[0] for frame in frames])
    assert (got == wanted.argmax(axis=1))[clear].all()
    assert clear.sum() > 50 and len(set(got.tolist())) > 1, "the model decides differently on them"


@pytest.mark.needs("openvino")
def test_several_sensors_and_continuous_actions_are_imported(tmp_path):
    graph = Graph()
    camera = f"{HEAD}/network_0/LEFT_CAMERA/LEFT_CAMERA"
    lidar = f"{HEAD}/network_0/SECTOR_LIDAR/SECTOR_LIDAR"
    seen = graph.embedder(graph.placeholder(camera, 120, 160, 1), "left", b"VALID")
    near = graph.dense("near", graph.placeholder(lidar, 8), 8, 4)
    axis = graph.constant("axis", 1, INT32)
    x = graph.node("concat", "ConcatV2", [seen, near, axis], T=FLOAT, N=2, Tidx=INT32)
    graph.node(POLICY, "Identity", [graph.head(x, 13 * 18 * 8 + 4, 2)], T=FLOAT)
    content = graph.graph.SerializeToString()
    limits = {"steering_angle": {"high": 30, "low": -30}, "speed": {"high": 2, "low": 0.5}}
    path = archive(
        tmp_path / "two.tar.gz",
        content,
        sensor=["LEFT_CAMERA", "SECTOR_LIDAR"],
        action_space=limits,
        action_space_type="continuous",
    )
    import_car(path, tmp_path / "two.entry.zip", "two")
    policy = OnnxPolicy(read_entry(tmp_path / "two.entry.zip"))
    rng = np.random.default_rng(2)
    for _ in range(5):
        frame = rng.integers(0, 256, (1, 120, 160, 1), dtype=np.uint8)
        sectors = rng.integers(0, 2, (1, 8)).astype(np.float32)
        inputs = {camera: frame.astype(np.float32), lidar: sectors}
        wanted = in_openvino(content, inputs, tmp_path).clip(-1, 1)
        got = policy({"left_camera": frame, "sector_lidar": sectors})
        np.testing.assert_allclose(got, wanted, atol=1e-5)


def refused(path: Path, tmp_path: Path) -> str:
    with pytest.raises((EntryError, ConfigError)) as found:
        import_car(path, tmp_path / "out.entry.zip", "theirs")
    assert not (tmp_path / "out.entry.zip").exists()
    return str(found.value)


def test_what_cannot_be_imported_is_refused_with_what_to_do(tmp_path):
    good = front_graph().graph.SerializeToString()

    strange = front_graph()
    strange.graph.node[-1].op = "Multinomial"
    told = refused(archive(tmp_path / "a.tar.gz", strange.graph.SerializeToString()), tmp_path)
    assert "the operator 'Multinomial' in 'main_level/" in told and "Softmax" in told

    told = refused(archive(tmp_path / "b.tar.gz", good, sensor=["LEFT_CAMERA"]), tmp_path)
    assert "correct `sensor` there" in told

    two = [{"steering_angle": angle, "speed": 1.0} for angle in (-30, 30)]
    told = refused(archive(tmp_path / "c.tar.gz", good, action_space=two), tmp_path)
    assert "3 values" in told and "2 actions" in told

    told = refused(tmp_path / "none.tar.gz", tmp_path)
    assert "give one with agent/model.pb and model_metadata.json" in told

    assert "cannot be read" in refused(archive(tmp_path / "d.tar.gz", good[:-7]), tmp_path)
    with tarfile.open(tmp_path / "e.tar.gz", "w:gz"):
        pass
    assert "has no model_metadata.json; give the archive" in refused(
        tmp_path / "e.tar.gz", tmp_path
    )


def test_a_hostile_graph_ends_in_an_error(tmp_path):
    circle = front_graph()
    circle.graph.node[-1].input[0] = POLICY
    told = refused(archive(tmp_path / "a.tar.gz", circle.graph.SerializeToString()), tmp_path)
    assert "depends on itself" in told

    huge = front_graph()
    for node in huge.graph.node:
        if node.name.endswith("policy_fc/bias"):
            tensor = node.attr["value"].tensor
            tensor.ClearField("tensor_content")
            tensor.float_val.append(0.5)
            tensor.tensor_shape.dim[0].size = 10**12
    told = refused(archive(tmp_path / "b.tar.gz", huge.graph.SerializeToString()), tmp_path)
    assert "its constants have more than 64,000,000 numbers" in told


@pytest.mark.slow
def test_an_imported_model_races(tmp_path, capsys):
    path = archive(tmp_path / "theirs.tar.gz", front_graph().graph.SerializeToString())
    main(["import-car", str(path), "--out", str(tmp_path / "theirs.entry.zip")])
    main(["race", str(tmp_path / "theirs.entry.zip"), "--track", "bowtie", "--laps", "1"])
    assert "theirs" in capsys.readouterr().out
