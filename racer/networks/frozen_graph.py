"""Writes a policy as a frozen TensorFlow graph (GraphDef), without TensorFlow.

Only the protobuf messages are needed, which TensorBoard brings along.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import torch
    from torch import nn

    from racer.networks.modules import DeterministicActor

GRAPH_VERSION = 1087
"""TensorFlow's number for the graph's format, that of TensorFlow 2.5; its operators here are all
older."""
LAYERS = "main_level/agent/main/online/network_1"
"""Prefix of the names of the layers, as in the graphs that rl_coach freezes."""


class PlaceholderInput(NamedTuple):
    """An input of a frozen graph.

    Attributes:
        name: Its name in the graph.
        shape: Its shape without the batch: (H, W, C) of an image, or (k,) of numbers.
    """

    name: str
    shape: tuple[int, ...]


def actor_to_graph_def(
    actor: DeterministicActor,
    shapes: Mapping[str, tuple[int, ...]],
    inputs: Mapping[str, PlaceholderInput],
    output: str,
) -> bytes:
    """Return the bytes of a frozen graph that computes an actor's output.

    Inputs are float32 with a batch axis of any size; images are NHWC, 0 to 255. The output is
    float32: softmax over the choices of a discrete actor (batch, n), or the actions of a continuous
    one (batch, 2), which its reader clips to [-1, 1]. Batch norm is merged with the convolutions.

    Args:
        actor: The policy, not a recurrent one.
        shapes: Shape of one observation of each of the policy's sensors.
        inputs: The graph's input for each sensor. An image may be a whole number of times as wide
            and high as the policy's; then the mean of each block of pixels is taken.
        output: Name of the graph's output.

    Raises:
        ValueError: An input's shape does not fit the policy's, or the policy is recurrent.
    """
    if actor.lstm is not None:
        raise ValueError("a recurrent policy remembers, and a frozen graph does not")
    graph = _GraphWriter()
    seen = []
    for name, encoder in zip(actor.names, actor.sensors):
        given = inputs[name]
        layers, shape = f"{LAYERS}/{given.name.rpartition('/')[2]}", shapes[name]
        x = graph.placeholder(given)
        if len(shape) == 3:
            x = graph.smaller_frame(x, given.shape, shape, layers)
            x = graph.binary("Mul", x, np.float32(1 / 255), f"{layers}/scale")
        seen.append(graph.modules(_flat_modules(encoder), x, shape, layers))
    x = graph.side_by_side(seen, f"{LAYERS}/concat") if len(seen) > 1 else seen[0]
    x = graph.modules(_flat_modules(actor.head), x, None, f"{LAYERS}/middleware_fc_embedder")
    last = _with_mean_quantiles(_flat_modules(actor.action))
    head = output.rpartition("/")[0]
    if actor.kind == "discrete":
        x = graph.modules(last, x, None, f"{head}/policy_fc")
        graph.node(output, "Softmax", [x], T=graph.float32)
    else:
        graph.modules(last, x, None, f"{head}/policy_fc", output)
    return graph.content()


def _flat_modules(module: nn.Module) -> list[nn.Module]:
    """Return the layers of nested Sequentials in their order."""
    from torch import nn

    if isinstance(module, nn.Sequential):
        return [layer for part in module for layer in _flat_modules(part)]
    return [module]


def _with_mean_quantiles(modules: list[nn.Module]) -> list[nn.Module]:
    """Return the last layers with the mean over quantiles merged into the layer before it."""
    import torch
    from torch import nn

    from racer.networks.modules import MeanQuantiles

    if not isinstance(modules[-1], MeanQuantiles):
        return modules
    linear, quantiles = modules[-2], modules[-1].n_quantiles
    assert isinstance(linear, nn.Linear)
    actions = linear.out_features // quantiles
    merged = nn.Linear(linear.in_features, actions, device="meta").to_empty(device="cpu")
    with torch.no_grad():
        merged.weight.copy_(linear.weight.view(quantiles, actions, -1).mean(dim=0))
        merged.bias.copy_(linear.bias.view(quantiles, actions).mean(dim=0))
    return [*modules[:-2], merged]


def _array(tensor: torch.Tensor | Any) -> np.ndarray:
    return tensor.detach().cpu().numpy()


class _GraphWriter:
    """Adds nodes to a GraphDef; each method returns the name of the node that it adds last."""

    def __init__(self) -> None:
        from tensorboard.compat.proto import (
            attr_value_pb2,
            graph_pb2,
            tensor_pb2,
            tensor_shape_pb2,
            types_pb2,
        )

        # The messages are made when these modules are imported, so a type checker misses them.
        values: Any = attr_value_pb2
        graphs: Any = graph_pb2
        self._types: Any = types_pb2
        self._shape, self._tensor = tensor_shape_pb2, tensor_pb2
        self._value = values.AttrValue
        self._graph = graphs.GraphDef()
        self._graph.versions.producer = GRAPH_VERSION
        self.float32 = self._value(type=self._types.DT_FLOAT)

    def content(self) -> bytes:
        """Return the graph's bytes; the same nodes give the same bytes."""
        return self._graph.SerializeToString(deterministic=True)

    def node(self, name: str, operator: str, inputs: Sequence[str] = (), **attributes: Any) -> str:
        """Add a node with values of attributes as protobuf messages."""
        node = self._graph.node.add(name=name, op=operator)
        node.input.extend(inputs)
        for key, value in attributes.items():
            node.attr[key].CopyFrom(value)
        return name

    def placeholder(self, given: PlaceholderInput) -> str:
        shape = self._value(shape=self._sizes([-1, *given.shape]))
        return self.node(given.name, "Placeholder", dtype=self.float32, shape=shape)

    def constant(self, name: str, values: np.ndarray | np.float32) -> str:
        array = np.ascontiguousarray(values)
        if np.ndim(values) == 0:  # ascontiguousarray makes it a vector
            array = array.reshape(())
        kind = self._types.DT_FLOAT if array.dtype == np.float32 else self._types.DT_INT32
        tensor = self._tensor.TensorProto(
            dtype=kind, tensor_shape=self._sizes(array.shape), tensor_content=array.tobytes()
        )
        return self.node(
            name, "Const", dtype=self._value(type=kind), value=self._value(tensor=tensor)
        )

    def binary(
        self, operator: str, x: str, values: np.ndarray | np.float32, name: str, own: str = ""
    ) -> str:
        """Add an operator of a node and a constant; `own` is its name, if it has its own."""
        return self.node(
            own or f"{name}/{operator}",
            operator,
            [x, self.constant(f"{name}/{operator}/y", values)],
            T=self.float32,
        )

    def smaller_frame(
        self, x: str, given: tuple[int, ...], shape: tuple[int, ...], name: str
    ) -> str:
        """Add the mean of blocks of pixels, if the policy's frame is smaller than the input."""
        (height, width, planes), (rows, columns, _) = given, shape
        factors = height // rows, width // columns
        if (rows * factors[0], columns * factors[1], planes) != (height, width, shape[2]):
            raise ValueError(f"an image {given} cannot be divided into blocks for {shape}")
        if factors == (1, 1):
            return x
        block = self._list([1, *factors, 1])
        return self.node(
            f"{name}/resize",
            "AvgPool",
            [x],
            T=self.float32,
            ksize=block,
            strides=block,
            padding=self._value(s=b"VALID"),
            data_format=self._value(s=b"NHWC"),
        )

    def side_by_side(self, parts: Sequence[str], name: str) -> str:
        axis = self.constant(f"{name}/axis", np.array(1, dtype=np.int32))
        return self.node(
            name,
            "ConcatV2",
            [*parts, axis],
            T=self.float32,
            N=self._value(i=len(parts)),
            Tidx=self._value(type=self._types.DT_INT32),
        )

    def modules(
        self,
        modules: Sequence[nn.Module],
        x: str,
        shape: tuple[int, ...] | None,
        name: str,
        output: str = "",
    ) -> str:
        """Add layers one after another.

        Args:
            modules: The layers.
            x: Name of the node that they read.
            shape: Shape of an image that they read, (H, W, C); None, or any other, for numbers.
            name: Prefix of their names.
            output: Name of the last node; made up if it is empty.
        """
        from torch import nn

        from racer.networks.modules import NormalizeObs

        image = shape if shape is not None and len(shape) == 3 else None
        modules = [one for one in modules if not isinstance(one, nn.Dropout)]
        flattened: tuple[int, ...] | None = None
        for number, module in enumerate(modules):
            layer = f"{name}/{type(module).__name__}_{number}"
            own = output if number == len(modules) - 1 else ""
            if isinstance(module, nn.Conv2d):
                after = modules[number + 1] if number + 1 < len(modules) else None
                assert image is not None
                norm = after if isinstance(after, nn.BatchNorm2d) else None
                x, image = self._convolution(module, norm, x, image, layer)
            elif isinstance(module, nn.BatchNorm2d):
                continue  # part of the convolution before it
            elif isinstance(module, nn.Flatten):
                if image is not None:
                    sizes = np.array([-1, int(np.prod(image))], dtype=np.int32)
                    kind = self._value(type=self._types.DT_INT32)
                    shape_name = self.constant(f"{layer}/shape", sizes)
                    x = self.node(
                        f"{layer}/Reshape", "Reshape", [x, shape_name], T=self.float32, Tshape=kind
                    )
                    flattened, image = image, None
            elif isinstance(module, nn.Linear):
                x, flattened = self._dense(module, x, flattened, layer, own), None
            elif isinstance(module, NormalizeObs):
                x = self._normalized(module, x, layer)
            elif isinstance(module, nn.ReLU | nn.Tanh):
                operator = "Relu" if isinstance(module, nn.ReLU) else "Tanh"
                x = self.node(own or layer, operator, [x], T=self.float32)
            else:
                raise ValueError(f"a frozen graph has no layer for {type(module).__name__}")
        return x

    def _convolution(
        self,
        module: nn.Conv2d,
        norm: nn.BatchNorm2d | None,
        x: str,
        image: tuple[int, ...],
        name: str,
    ) -> tuple[str, tuple[int, ...]]:
        """Add a convolution and the batch norm after it; return the shape of its output too."""
        kernel, bias = _array(module.weight).astype(np.float64), _array(module.bias)
        if norm is not None:
            scale = _array(norm.weight) / np.sqrt(_array(norm.running_var) + norm.eps)
            kernel = kernel * scale[:, None, None, None]
            bias = (bias - _array(norm.running_mean)) * scale + _array(norm.bias)
        kernel = kernel.transpose(2, 3, 1, 0).astype(np.float32)  # OIHW to HWIO
        (rows, columns), (down, along) = module.kernel_size, module.stride
        weights = self.constant(f"{name}/kernel", kernel)
        nhwc = self._value(s=b"NHWC")
        x = self.node(
            f"{name}/Conv2D",
            "Conv2D",
            [x, weights],
            T=self.float32,
            strides=self._list([1, down, along, 1]),
            dilations=self._list([1, 1, 1, 1]),
            padding=self._value(s=b"VALID"),
            data_format=nhwc,
        )
        size = (image[0] - rows) // down + 1, (image[1] - columns) // along + 1
        return self._biased(x, bias, name, ""), (*size, module.out_channels)

    def _dense(
        self, module: nn.Linear, x: str, flattened: tuple[int, ...] | None, name: str, own: str
    ) -> str:
        weights = _array(module.weight)
        if flattened is not None:  # torch flattens an image as CHW, this graph as HWC
            height, width, planes = flattened
            weights = weights.reshape(-1, planes, height, width).transpose(0, 2, 3, 1)
        weights = weights.reshape(module.out_features, -1).T
        no = self._value(b=False)
        x = self.node(
            f"{name}/MatMul",
            "MatMul",
            [x, self.constant(f"{name}/kernel", weights)],
            T=self.float32,
            transpose_a=no,
            transpose_b=no,
        )
        return self._biased(x, _array(module.bias), name, own)

    def _biased(self, x: str, bias: np.ndarray, name: str, own: str) -> str:
        return self.node(
            own or f"{name}/BiasAdd",
            "BiasAdd",
            [x, self.constant(f"{name}/bias", bias.astype(np.float32))],
            T=self.float32,
            data_format=self._value(s=b"NHWC"),
        )

    def _normalized(self, module: Any, x: str, name: str) -> str:
        deviation = np.sqrt(_array(module.var) + module.EPSILON)
        x = self.binary("Sub", x, _array(module.mean), name)
        x = self.binary("RealDiv", x, deviation.astype(np.float32), name)
        x = self.binary("Maximum", x, np.float32(-module.LARGEST), name)
        return self.binary("Minimum", x, np.float32(module.LARGEST), name)

    def _sizes(self, sizes: Sequence[int]) -> Any:
        dim = self._shape.TensorShapeProto.Dim
        return self._shape.TensorShapeProto(dim=[dim(size=size) for size in sizes])

    def _list(self, numbers: Sequence[int]) -> Any:
        return self._value(list=self._value.ListValue(i=numbers))
