"""The networks that can be asked for."""

import pytest
import torch
from torch import nn

from racer.networks.modules import DeterministicActor, NormalizeObs, sensor_encoder
from racer.networks.network_config import NETWORK_PRESETS, NetworkLayers


def described(part):
    """A module's layers in words."""
    words = []
    for one in part:
        if isinstance(one, nn.Conv2d):
            words.append(f"{one.out_channels},{one.kernel_size[0]},{one.stride[0]}")
        elif isinstance(one, nn.Linear):
            words.append(f"dense {one.out_features}")
        elif isinstance(one, nn.BatchNorm2d):
            words.append("norm")
        else:
            words.append(type(one).__name__.lower())
    return " ".join(words)


@pytest.mark.parametrize(
    ("preset", "words"),
    [
        ("shallow", "32,8,4 relu 64,4,2 relu 64,3,1 relu flatten dense 512 relu"),
        ("standard", "32,5,2 tanh 32,3,1 tanh 64,3,2 tanh 64,3,1 tanh flatten dense 64 tanh"),
        (
            "deep",
            "32,8,4 norm relu 32,4,2 norm relu 64,4,2 norm relu 64,3,1 norm relu flatten "
            "dense 512 relu dropout dense 512 relu dropout",
        ),
    ],
)
def test_a_preset_is_deepracer_s_network_for_its_camera(preset, words):
    part, width = sensor_encoder((1, 120, 160), NETWORK_PRESETS[preset])
    assert described(part) == words
    assert part(torch.zeros(2, 1, 120, 160)).shape == (2, width)


def test_a_lidar_goes_through_dense_layers_of_its_own():
    part, width = sensor_encoder((64,), NETWORK_PRESETS["shallow"])
    assert described(part) == "flatten dense 256 relu dense 256 relu"
    assert width == 256


def test_numbers_without_layers_are_handed_on_as_they_are():
    part, width = sensor_encoder((5,), NetworkLayers(filters=(), features=(1,)))
    assert width == 5
    numbers = torch.arange(10.0).reshape(2, 5)
    assert torch.equal(part(numbers), numbers)


def test_dropout_and_batch_norm_rest_in_a_policy_that_drives():
    part, width = sensor_encoder(
        (1, 60, 80), NETWORK_PRESETS["deep"]._replace(filters=((8, 8, 4),))
    )
    actor = DeterministicActor(
        {"observation": part}, nn.Identity(), nn.Linear(width, 2), "continuous"
    ).eval()
    frame = torch.randint(0, 256, (1, 60, 80, 1), dtype=torch.uint8)
    assert torch.equal(actor(frame), actor(frame))
    actor.train()
    assert not torch.equal(actor(frame.repeat(2, 1, 1, 1))[:1], actor(frame.repeat(2, 1, 1, 1))[:1])


def test_standardised_numbers_have_mean_0_and_variance_1_over_all_that_was_taken_in():
    torch.manual_seed(0)
    batches = [torch.randn(n, 3) * 4.0 + torch.tensor([1.0, -5.0, 0.2]) for n in (7, 50, 400)]
    layer = NormalizeObs(3)
    assert torch.equal(
        layer(torch.tensor([[2.0, 30.0, -30.0]])).sign(), torch.tensor([[1.0, 1, -1]])
    )
    for batch in batches:
        layer.update(batch)
    together = torch.cat(batches)
    assert torch.allclose(layer.mean, together.mean(dim=0), atol=1e-5)
    assert torch.allclose(layer.var, together.var(dim=0, unbiased=False), rtol=1e-4)
    out = layer(together)
    assert torch.allclose(out.mean(dim=0), torch.zeros(3), atol=1e-4)
    assert layer(torch.full((1, 3), 1e6)).tolist() == [[10.0, 10.0, 10.0]]
