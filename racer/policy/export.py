"""A torch policy as an ONNX graph with its preprocessing inside."""

from __future__ import annotations

import logging
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from racer.policy.networks import DeterministicActor

OPSET = 18


def to_onnx(actor: DeterministicActor, shape: tuple[int, ...]) -> bytes:
    """The graph from `observation` to `action`, with fixed shapes and its weights inside.

    Args:
        actor: The policy.
        shape: Shape of one observation: (H, W, C) for a uint8 frame, (k,) for float32 numbers.
    """
    import torch

    dtype = torch.uint8 if len(shape) == 3 else torch.float32
    example = torch.zeros((1, *shape), dtype=dtype)
    actor = actor.to("cpu").eval()
    quiet = logging.getLogger("torch.onnx")
    level = quiet.level
    quiet.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                actor,
                (example,),
                input_names=["observation"],
                output_names=["action"],
                opset_version=OPSET,
                dynamo=True,
                verbose=False,
            )
    finally:
        quiet.setLevel(level)
    assert program is not None
    model = program.model_proto
    _forget_where_it_was_made(model)
    return model.SerializeToString(deterministic=True)


def _forget_where_it_was_made(model) -> None:
    """Drop source paths and stack traces, so that one policy gives one file everywhere."""
    model.graph.ClearField("metadata_props")
    for part in (*model.graph.node, *model.graph.value_info, *model.graph.input):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    for part in (*model.graph.output, *model.graph.initializer):
        part.ClearField("metadata_props")
    model.ClearField("metadata_props")
