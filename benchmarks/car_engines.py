"""Compare the archive of a run for a DeepRacer car with its entry, in the engines of cars.

    python benchmarks/car_engines.py RUN

OpenVINO reads the graph, and TensorFlow and TensorFlow Lite too, where `tensorflow` is installed.
"""

from __future__ import annotations

import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
import onnxruntime

from racer.deepracer.car_archive import CAR_OUTPUT, MODEL_FILE, car_input_name
from racer.entries.package import Entry
from racer.envs import RacerVectorEnv
from racer.training.car_export import export_car
from racer.training.export import entry_of_run

CARS, STEPS = 20, 50
FRONT = car_input_name("FRONT_FACING_CAMERA")
Engine = Callable[[np.ndarray], np.ndarray]
"""Returns the probabilities (n,) of a float32 frame (1, 120, 160, 1)."""


def seen_frames(entry: Entry) -> np.ndarray:
    """Return frames (CARS x STEPS, 120, 160, 1) of cars that take random actions on `bowtie`."""
    about = entry.manifest
    cars = RacerVectorEnv(CARS, track="bowtie", sensor=about.sensor, actions=about.actions)
    rng, frames = np.random.default_rng(0), [cars.reset(seed=0)[0].copy()]
    for _ in range(STEPS - 1):
        actions = rng.integers(0, len(about.actions.choices), CARS)
        frames.append(cars.step(actions)[0].copy())
    cars.close()
    return np.concatenate(frames)


def reference(entry: Entry) -> Engine:
    """Return the entry's graph in onnxruntime, with what it takes the argmax of as output."""
    model = onnx.load_model_from_string(entry.policy)
    (last,) = (node for node in model.graph.node if node.op_type == "ArgMax")
    model.graph.output.append(onnx.ValueInfoProto(name=last.input[0]))
    session: Any = onnxruntime.InferenceSession(model.SerializeToString())

    def run(frame: np.ndarray) -> np.ndarray:
        values = session.run([last.input[0]], {"observation": frame.astype(np.uint8)})[0][0]
        powers = np.exp(values - values.max())
        return powers / powers.sum()

    return run


def engines(model: Path) -> Iterator[tuple[str, Engine]]:
    """Yield the name of each engine that is installed, and the graph in it."""
    import openvino

    core = openvino.Core()
    read = core.read_model(model)
    read.reshape([1, 120, 160, 1])
    for name, options in (
        ("float32", {"INFERENCE_PRECISION_HINT": "f32"}),
        ("precision of its choice", {}),
    ):
        compiled = core.compile_model(read, "CPU", options)
        yield f"OpenVINO, {name}", lambda frame, compiled=compiled: compiled([frame])[0][0]
    try:
        import tensorflow  # pyright: ignore[reportMissingImports]
    except ImportError:
        return
    tf: Any = tensorflow
    graph = tf.compat.v1.GraphDef.FromString(model.read_bytes())
    with tf.Graph().as_default():
        tf.import_graph_def(graph, name="")
        session = tf.compat.v1.Session()
    run = f"{CAR_OUTPUT}:0"
    yield f"TensorFlow {tf.__version__}", lambda frame: session.run(run, {f"{FRONT}:0": frame})[0]
    for name, types in (("as the car does", []), ("to float16", [tf.float16])):
        converter = tf.compat.v1.lite.TFLiteConverter.from_frozen_graph(
            str(model), [FRONT], [CAR_OUTPUT], {FRONT: [1, 120, 160, 1]}
        )
        if types:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.target_spec.supported_types = types
        lite = tf.lite.Interpreter(model_content=converter.convert(), num_threads=1)
        lite.allocate_tensors()
        yield f"TensorFlow Lite, converted {name}", lambda frame, lite=lite: lite_run(lite, frame)


def lite_run(lite: Any, frame: np.ndarray) -> np.ndarray:
    """Return the probabilities that TensorFlow Lite computes."""
    lite.set_tensor(lite.get_input_details()[0]["index"], frame)
    lite.invoke()
    return lite.get_tensor(lite.get_output_details()[0]["index"])[0]


def main(run: Path) -> None:
    """Print each engine's largest difference of a probability, and how often it acts the same."""
    entry = entry_of_run(run)
    frames = seen_frames(entry)[:, None].astype(np.float32)
    exact = reference(entry)
    wanted = np.array([exact(frame) for frame in frames])
    with TemporaryDirectory() as place:
        export_car(run, Path(place) / "car.tar.gz")
        with tarfile.open(Path(place) / "car.tar.gz") as archive:
            archive.extractall(place)
        for name, engine in engines(Path(place) / MODEL_FILE):
            got = np.array([engine(frame) for frame in frames])
            same = int((got.argmax(axis=1) == wanted.argmax(axis=1)).sum())
            print(f"{name}: {np.abs(got - wanted).max():.2g}, {same} of {len(frames)} the same")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
