"""Warp is loaded once, and says which devices there are."""

import sys

import pytest

from racer.assets.extras import extra_of
from racer.errors import ConfigError, RacerError
from racer.gpu import runtime


def test_a_device_that_is_not_here_is_told_with_those_that_are():
    with pytest.raises(ConfigError, match="device 'cuda:9' is not here; known: auto, cpu"):
        runtime.choose_device("cuda:9")


def test_the_processor_is_a_device_everywhere():
    assert str(runtime.choose_device("cpu")) == "cpu"
    assert runtime.choose_device("auto").is_cuda == runtime.has_cuda()


def test_without_warp_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "warp", None)
    with pytest.raises(RacerError, match=r"warp is not installed.*gpu"):
        runtime.load_warp.__wrapped__()
    assert extra_of("warp") == "gpu"


def test_kernels_are_kept_beside_racers_other_caches(monkeypatch):
    monkeypatch.delenv("WARP_CACHE_PATH", raising=False)
    assert "racer" in str(runtime.load_warp().config.kernel_cache_dir)
