"""Converts a frozen TensorFlow graph (GraphDef) of a policy to ONNX, without TensorFlow.

It knows the few operators in the graphs of DeepRacer's models. The graph is untrusted: it is read
in bounded time and memory, and what it computes is run as an entry in the sandbox.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from racer.entries.protobuf import (
    FieldBudget,
    ProtobufError,
    message_fields,
    packed_numbers,
    read_message,
)
from racer.errors import EntryError
from racer.networks.network_config import ACTION_OUTPUT
from racer.networks.onnx_export import ONNX_OPSET

MAX_WEIGHTS = 64_000_000
"""Largest number of numbers in all constants of a graph together."""
MAX_FOLDED = 1_000_000
"""Largest size of a constant that is computed from others."""
_IR_VERSION = 10


# The messages of tensorflow/core/framework/*.proto that a frozen graph consists of.
_GRAPH = message_fields("""
    1 node messages
    2 library message
    3 version number
    4 versions message
""")
_NODE = message_fields("""
    1 name text
    2 op text
    3 input texts
    4 device text
    5 attr messages
    6 debug message
    7 experimental_type message
""")
_ATTRIBUTE = message_fields("""
    1 key text
    2 value message
""")
_VALUE = message_fields("""
    1 list message
    2 s message
    3 i number
    4 f float
    5 b number
    6 type number
    7 shape message
    8 tensor message
    9 placeholder text
    10 func message
""")
_LIST = message_fields("""
    2 s messages
    3 i numbers
    4 f floats
    5 b numbers
    6 type numbers
    7 shape messages
    8 tensor messages
    9 func messages
""")
_TENSOR = message_fields("""
    1 dtype number
    2 shape message
    3 version number
    4 content message
    5 float_val floats
    6 double_val doubles
    7 int_val numbers
    8 string_val messages
    10 int64_val numbers
    11 bool_val numbers
    13 half_val numbers
""")
_SHAPE = message_fields("""
    2 dim messages
    3 unknown_rank number
""")
_DIM = message_fields("""
    1 size number
    2 name text
""")
_TYPES: dict[int, Any] = {1: np.float32, 3: np.int32, 9: np.int64, 10: np.bool_}
"""Types of constants by their number in TensorFlow's DataType."""


class GraphTensor(NamedTuple):
    """A tensor that the ONNX graph computes.

    Attributes:
        name: Its name in the ONNX graph.
        shape: Its shape, with a batch of 1.
    """

    name: str
    shape: tuple[int, ...]


class _Node(NamedTuple):
    name: str
    operator: str
    inputs: list[str]
    attributes: dict[str, memoryview]


Tensor = np.ndarray | GraphTensor
"""A constant, or a tensor that depends on an observation."""


def frozen_graph_to_onnx(
    content: bytes,
    output: Sequence[str],
    inputs: Mapping[str, str],
    actions: int,
    is_discrete: bool,
) -> tuple[bytes, dict[str, tuple[int, ...]]]:
    """Return the ONNX graph of an entry, and the shape of one observation for each of its inputs.

    Its inputs are uint8 frames or float32 numbers, and its output `action` is an index or two
    numbers that are clipped to [-1, 1], as an entry's must be.

    Args:
        content: The GraphDef.
        output: Ends of the name of the output, of which one must occur.
        inputs: Name of each input in the ONNX graph, by the last part of its name in this one.
        actions: Number of values that the output must have: one a choice, or two.
        is_discrete: Whether the output is a value for each choice.

    Raises:
        EntryError: With the code `graph` if it cannot be read, `operator` if it has an operator
            that is not known, or `signature` if it has not the inputs and the output.
    """
    try:
        return _Converter(_nodes(content), inputs).entry_graph(output, actions, is_discrete)
    except ProtobufError as problem:
        raise EntryError(
            f"model.pb cannot be read as a frozen TensorFlow graph: {problem}; export the model "
            "for the car again",
            "graph",
        ) from problem
    except (ValueError, IndexError, KeyError, TypeError, OverflowError) as problem:
        raise EntryError(f"model.pb does not fit together: {problem!r:.200}", "graph") from problem


def _nodes(content: bytes) -> dict[str, _Node]:
    """Return the graph's nodes by name."""
    budget = FieldBudget()
    graph = read_message(memoryview(content), _GRAPH, budget)
    found: dict[str, _Node] = {}
    for part in graph.get("node", ()):
        node = read_message(part, _NODE, budget)
        attributes = {}
        for one in node.get("attr", ()):
            pair = read_message(one, _ATTRIBUTE, budget)
            attributes[pair.get("key", "")] = pair.get("value", memoryview(b""))
        name = node.get("name", "")
        found[name] = _Node(name, node.get("op", ""), node.get("input", []), attributes)
    if not found:
        raise ProtobufError("it has no nodes")
    return found


def _value(node: _Node, key: str) -> dict[str, Any]:
    """Return a node's attribute; empty if it has none of that name."""
    return read_message(node.attributes.get(key, memoryview(b"")), _VALUE, FieldBudget())


def _text(node: _Node, key: str, default: str = "") -> str:
    return bytes(_value(node, key).get("s", default.encode())).decode()


def _numbers(node: _Node, key: str, default: list[int]) -> list[int]:
    if "list" not in (value := _value(node, key)):
        return default
    return packed_numbers(read_message(value["list"], _LIST, FieldBudget()).get("i", []))


def _sizes(content: memoryview) -> list[int]:
    """Return a TensorShape's sizes; -1 is one that is not fixed."""
    budget = FieldBudget()
    shape = read_message(content, _SHAPE, budget)
    if shape.get("unknown_rank"):
        raise ProtobufError("a shape is not given")
    sizes = [read_message(dim, _DIM, budget).get("size", 0) for dim in shape.get("dim", ())]
    return packed_numbers(sizes)


class _Converter:
    """Evaluates a graph's nodes from its output back: to constants, or to nodes of an ONNX graph.

    Args:
        nodes: The graph's nodes by name.
        names: Name of each input in the ONNX graph, by the last part of its name.
    """

    def __init__(self, nodes: dict[str, _Node], names: Mapping[str, str]) -> None:
        self._graph, self._names = nodes, names
        self._done: dict[str, Tensor] = {}
        self._weights_left = MAX_WEIGHTS
        self._onnx: list[Any] = []
        self._constants: list[Any] = []
        self._inputs: dict[str, tuple[int, ...]] = {}
        self._operators: dict[str, Callable[[_Node, list[Tensor]], Tensor]] = {
            "Placeholder": self._placeholder,
            "PlaceholderWithDefault": lambda node, x: x[0],
            "Const": self._constant,
            **dict.fromkeys(("Identity", "StopGradient"), lambda node, x: x[0]),
            "Add": self._elementwise("Add", np.add),
            "AddV2": self._elementwise("Add", np.add),
            "Sub": self._elementwise("Sub", np.subtract),
            "Mul": self._elementwise("Mul", np.multiply),
            "RealDiv": self._elementwise("Div", np.divide),
            "Maximum": self._elementwise("Max", np.maximum),
            "Minimum": self._elementwise("Min", np.minimum),
            "BiasAdd": self._bias,
            **{
                name: lambda node, x, name=name: self._emit(name, x, x[0].shape)
                for name in ("Relu", "Tanh", "Sigmoid", "Elu")
            },
            "Softmax": lambda node, x: self._emit("Softmax", x, x[0].shape, axis=-1),
            "Conv2D": self._convolution,
            "AvgPool": self._average,
            "MatMul": self._product,
            "Shape": lambda node, x: np.array(x[0].shape, dtype=np.int64),
            "StridedSlice": self._slice,
            "Pack": lambda node, x: np.stack([self._fixed(one) for one in x]),
            "Prod": lambda node, x: np.asarray(np.prod(self._fixed(x[0]))),
            "Reshape": self._reshape,
            "ConcatV2": self._concatenation,
        }

    def entry_graph(
        self, output: Sequence[str], actions: int, is_discrete: bool
    ) -> tuple[bytes, dict[str, tuple[int, ...]]]:
        """Return the ONNX graph and the shapes of its inputs; see `frozen_graph_to_onnx`."""
        from onnx import TensorProto, helper

        ends = [name for name in self._graph if name.endswith(tuple(output))]
        if len(ends) != 1:
            raise EntryError(
                f"model.pb has {len(ends)} outputs that end in {' or '.join(output)}; a model of a "
                "DeepRacer car has one: give the archive that the console exports for the car",
                "signature",
            )
        last = self._evaluate(ends[0])
        missing = [sensor for sensor, name in self._names.items() if name not in self._inputs]
        if isinstance(last, np.ndarray) or missing:
            raise EntryError(
                f"model.pb does not use its input {', '.join(missing) or 'at all'}: check `sensor` "
                "in model_metadata.json",
                "signature",
            )
        if last.shape != (1, actions):
            what = "actions" if is_discrete else "limits of actions"
            raise EntryError(
                f"model.pb gives {math.prod(last.shape)} values, and model_metadata.json has "
                f"{actions} {what}: take both from the same model",
                "signature",
            )
        if is_discrete:
            last = self._emit("ArgMax", [last], (1,), axis=1, keepdims=0)
            kind, shape = TensorProto.INT64, (1,)
        else:
            last = self._emit("Clip", [last, np.float32(-1), np.float32(1)], last.shape)
            kind, shape = TensorProto.FLOAT, last.shape
        self._onnx.append(helper.make_node("Identity", [last.name], [ACTION_OUTPUT]))
        model = helper.make_model(
            helper.make_graph(
                self._onnx,
                "policy",
                [
                    helper.make_tensor_value_info(
                        name,
                        TensorProto.UINT8 if len(size) == 3 else TensorProto.FLOAT,
                        (1, *size),
                    )
                    for name, size in self._inputs.items()
                ],
                [helper.make_tensor_value_info(ACTION_OUTPUT, kind, shape)],
                self._constants,
            ),
            opset_imports=[helper.make_opsetid("", ONNX_OPSET)],
            ir_version=_IR_VERSION,
        )
        return model.SerializeToString(deterministic=True), self._inputs

    def _evaluate(self, wanted: str) -> Tensor:
        """Return a node's value; what it depends on is evaluated before it, without recursion."""
        waiting, open_nodes = [wanted], set()
        while waiting:
            name = waiting[-1]
            if name in self._done:
                waiting.pop()
                continue
            node = self._graph.get(name)
            if node is None:
                raise ProtobufError(f"a node reads {name!r:.80}, which is not in the graph")
            sources = [one.removesuffix(":0") for one in node.inputs if not one.startswith("^")]
            if any(":" in one for one in sources):
                raise self._unknown(node)
            missing = [one for one in sources if one not in self._done]
            if missing and name in open_nodes:
                raise ProtobufError(f"the node {name!r:.80} depends on itself")
            if missing:
                open_nodes.add(name)
                waiting += missing
                continue
            operator = self._operators.get(node.operator)
            if operator is None:
                raise self._unknown(node)
            self._done[name] = operator(node, [self._done[one] for one in sources])
            open_nodes.discard(name)
            waiting.pop()
        return self._done[wanted]

    def _unknown(self, node: _Node) -> EntryError:
        return EntryError(
            f"model.pb has the operator {node.operator!r:.80} in {node.name!r:.120}; known are "
            f"{', '.join(sorted(self._operators))}: only models with the usual layers can be "
            "imported",
            "operator",
        )

    def _emit(
        self, operator: str, inputs: Sequence[Any], shape: tuple[int, ...], **attributes: Any
    ) -> GraphTensor:
        """Add a node to the ONNX graph and return its output, of this shape."""
        from onnx import helper

        name = f"t{len(self._onnx)}"
        names = [self._name(one) for one in inputs]
        self._onnx.append(helper.make_node(operator, names, [name], **attributes))
        return GraphTensor(name, shape)

    def _name(self, value: Any) -> str:
        """Return the name of a tensor in the ONNX graph; a constant becomes a weight of it."""
        from onnx import numpy_helper

        if isinstance(value, GraphTensor):
            return value.name
        name = f"w{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def _fixed(self, value: Tensor) -> np.ndarray:
        """Return a value that must be a constant."""
        if isinstance(value, GraphTensor):
            raise ProtobufError("a shape or a weight depends on what the car sees")
        return value

    def _placeholder(self, node: _Node, inputs: list[Tensor]) -> Tensor:
        sensor = node.name.rpartition("/")[2]
        if sensor not in self._names:
            raise EntryError(
                f"model.pb has an input {node.name!r:.120}, and model_metadata.json lists the "
                f"sensors {', '.join(self._names)}: correct `sensor` there",
                "signature",
            )
        size = tuple(_sizes(_value(node, "shape").get("shape", memoryview(b""))))[1:]
        if len(size) not in (1, 3) or min(size) < 1 or math.prod(size) > MAX_FOLDED:
            raise ProtobufError(f"the input {sensor} has the shape {size!r:.80}")
        self._inputs[self._names[sensor]] = size
        given = GraphTensor(self._names[sensor], (1, *size))
        if len(size) == 1:
            return self._emit("Identity", [given], given.shape)
        return self._emit("Cast", [given], given.shape, to=1)  # FLOAT

    def _constant(self, node: _Node, inputs: list[Tensor]) -> Tensor:
        tensor = read_message(_value(node, "value")["tensor"], _TENSOR, FieldBudget())
        kind = _TYPES.get(tensor.get("dtype", 0))
        if kind is None:
            raise ProtobufError(f"the constant {node.name!r:.80} has a type that is not known")
        shape = _sizes(tensor.get("shape", memoryview(b"")))
        count = math.prod(shape)
        self._weights_left -= max(count, 0)
        if min(shape, default=0) < 0 or self._weights_left < 0:
            raise ProtobufError(f"its constants have more than {MAX_WEIGHTS:,} numbers")
        if "content" in tensor:
            return np.frombuffer(tensor["content"], kind).reshape(shape).copy()
        given: Any = np.frombuffer(b"".join(tensor.get("float_val", ())), np.float32)
        if kind is not np.float32:
            key = {np.int32: "int_val", np.int64: "int64_val", np.bool_: "bool_val"}[kind]
            given = np.array(packed_numbers(tensor.get(key, [])), kind)
        if len(given) == 0:
            return np.zeros(shape, kind)
        # The last number given is repeated.
        rest = np.full(max(count - len(given), 0), given[-1], kind)
        return np.concatenate([given.astype(kind), rest]).reshape(shape)

    def _elementwise(
        self, operator: str, in_numpy: Callable[..., np.ndarray]
    ) -> Callable[[_Node, list[Tensor]], Tensor]:
        def apply(node: _Node, inputs: list[Tensor]) -> Tensor:
            first, second = inputs
            shape = np.broadcast_shapes(first.shape, second.shape)
            if isinstance(first, np.ndarray) and isinstance(second, np.ndarray):
                if math.prod(shape) > MAX_FOLDED:
                    raise ProtobufError("it computes a constant that is too large")
                return in_numpy(first, second).astype(first.dtype)
            return self._emit(operator, inputs, shape)

        return apply

    def _bias(self, node: _Node, inputs: list[Tensor]) -> Tensor:
        self._must_be_nhwc(node)
        return self._elementwise("Add", np.add)(node, inputs)

    def _must_be_nhwc(self, node: _Node) -> None:
        if _text(node, "data_format", "NHWC") != "NHWC":
            raise ProtobufError("its images are not NHWC")

    def _transposed(self, value: Tensor, *order: int) -> GraphTensor:
        shape = tuple(value.shape[axis] for axis in order)
        return self._emit("Transpose", [value], shape, perm=list(order))

    def _windowed(
        self,
        node: _Node,
        operator: str,
        x: Tensor,
        size: tuple[int, int],
        planes: int,
        *weights: Any,
    ) -> Tensor:
        """Add an operator that moves a window over an image."""
        self._must_be_nhwc(node)
        _, down, along, _ = _numbers(node, "strides", [1, 1, 1, 1])
        padding = _text(node, "padding")
        if (
            padding not in ("VALID", "SAME")
            or min(down, along) < 1
            or set(_numbers(node, "dilations", [1, 1, 1, 1])) != {1}
        ):
            raise ProtobufError(f"the layer {node.name!r:.80} is padded or dilated in its own way")
        _, height, width, _ = x.shape
        if padding == "VALID":
            rows, columns = (height - size[0]) // down + 1, (width - size[1]) // along + 1
        else:
            rows, columns = -(-height // down), -(-width // along)
        if min(rows, columns) < 1:
            raise ProtobufError(f"the layer {node.name!r:.80} is larger than its image")
        pads = {"auto_pad": "VALID" if padding == "VALID" else "SAME_UPPER"}
        moved = self._emit(
            operator,
            [self._transposed(x, 0, 3, 1, 2), *weights],
            (1, planes, rows, columns),
            kernel_shape=list(size),
            strides=[down, along],
            **pads,
        )
        return self._transposed(moved, 0, 2, 3, 1)

    def _convolution(self, node: _Node, inputs: list[Tensor]) -> Tensor:
        kernel = self._fixed(inputs[1])
        rows, columns, _, planes = kernel.shape  # HWIO
        weights = kernel.transpose(3, 2, 0, 1)
        return self._windowed(node, "Conv", inputs[0], (rows, columns), planes, weights)

    def _average(self, node: _Node, inputs: list[Tensor]) -> Tensor:
        _, rows, columns, _ = _numbers(node, "ksize", [1, 1, 1, 1])
        planes = inputs[0].shape[3]
        return self._windowed(node, "AveragePool", inputs[0], (rows, columns), planes)

    def _product(self, node: _Node, inputs: list[Tensor]) -> Tensor:
        if _value(node, "transpose_a").get("b"):
            raise ProtobufError(f"the layer {node.name!r:.80} transposes what it is given")
        weights = self._fixed(inputs[1])
        weights = weights.T if _value(node, "transpose_b").get("b") else weights
        (rows, inside), (outside, columns) = inputs[0].shape, weights.shape
        if inside != outside:
            raise ProtobufError(
                f"the layer {node.name!r:.80} takes {outside} numbers, not {inside}"
            )
        return self._emit("MatMul", [inputs[0], weights], (rows, columns))

    def _slice(self, node: _Node, inputs: list[Tensor]) -> Tensor:
        """Return one number of a shape, or a range of it: what `tf.layers.flatten` needs."""
        values, begin, end, step = (self._fixed(one) for one in inputs)
        at, until, by = int(begin[0]), int(end[0]), int(step[0])
        if _value(node, "shrink_axis_mask").get("i"):
            return np.asarray(values[at])
        first = None if _value(node, "begin_mask").get("i") else at
        last = None if _value(node, "end_mask").get("i") else until
        return values[first:last:by]

    def _reshape(self, node: _Node, inputs: list[Tensor]) -> Tensor:
        sizes = [int(size) for size in self._fixed(inputs[1]).reshape(-1)]
        if isinstance(inputs[0], np.ndarray):
            return inputs[0].reshape(sizes)
        count = math.prod(inputs[0].shape)
        if -1 in sizes:
            rest = -math.prod(sizes)
            sizes[sizes.index(-1)] = count // rest
        if math.prod(sizes) != count or min(sizes) < 1:
            raise ProtobufError(f"{node.name!r:.80} cannot give {count} numbers the shape {sizes}")
        return self._emit("Reshape", [inputs[0], np.array(sizes, np.int64)], tuple(sizes))

    def _concatenation(self, node: _Node, inputs: list[Tensor]) -> Tensor:
        *parts, axis_given = inputs
        axis = int(self._fixed(axis_given))
        if all(isinstance(part, np.ndarray) for part in parts):
            return np.concatenate([self._fixed(part) for part in parts], axis)
        shape = list(parts[0].shape)
        shape[axis] = sum(part.shape[axis] for part in parts)
        return self._emit("Concat", parts, tuple(shape), axis=axis)
