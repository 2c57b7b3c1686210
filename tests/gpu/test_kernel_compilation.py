"""Every kernel compiles for GPUs, where none is at hand."""

import ast
import importlib
import re
from pathlib import Path

import pytest

import racer.gpu
from racer.gpu.native_reward import NativeTranslation
from racer.gpu.runtime import COMPILED_ARCHITECTURES, load_warp
from racer.reward import RewardSource
from racer.reward.compiled_reward import CompiledReward

ROOM = Path(racer.gpu.__file__).parent


def kernels_of(path):
    """Names of the kernels at the top level of a module."""
    nodes = ast.parse(path.read_text()).body
    functions = [node for node in nodes if isinstance(node, ast.FunctionDef)]
    return [
        node.name
        for node in functions
        if any("wp.kernel" in ast.unparse(one) for one in node.decorator_list)
    ]


MODULES = {path.stem: found for path in sorted(ROOM.glob("*.py")) if (found := kernels_of(path))}
"""Every kernel of the room, by the module that it is in."""


def lacking(folder, architecture, kernels):
    """The kernels that no PTX file of a folder for an architecture has."""
    text = "".join(path.read_text() for path in folder.glob(f"*sm{architecture}.ptx"))
    return [name for name in kernels if f".visible .entry {name}_" not in text]


def parameter_bytes(text):
    """The size of each kernel's parameters in a PTX file [bytes]."""
    sizes = {".b8": 1, ".u32": 4, ".s32": 4, ".b32": 4, ".f32": 4}
    for entry in text.split(".visible .entry ")[1:]:
        head = entry.partition(")")[0]
        found = re.findall(r"\.param (?:\.align \d+ )?(\.\w+) \w+(?:\[(\d+)\])?", head)
        yield sum(sizes.get(kind, 8) * int(count or 1) for kind, count in found)


def test_the_kernels_of_a_step_are_found():
    assert {"car_kernels", "rule_kernels", "start_kernels", "state_kernels"} <= set(MODULES)
    assert "drive_cars" in MODULES["car_kernels"]


@pytest.mark.ci
@pytest.mark.slow
@pytest.mark.parametrize("architecture", COMPILED_ARCHITECTURES)
def test_every_kernel_compiles_to_ptx(architecture, tmp_path, subtests):
    warp = load_warp()
    for name, kernels in MODULES.items():
        with subtests.test(name=name):
            module = importlib.import_module(f"racer.gpu.{name}")
            folder = tmp_path / name
            warp.compile_aot_module(
                module, arch=architecture, module_dir=folder, use_ptx=True, strip_hash=False
            )
            assert lacking(folder, architecture, kernels) == []
            texts = [path.read_text() for path in folder.glob("*.ptx")]
            # More than this only recent drivers take.
            assert 0 < max(most for text in texts for most in parameter_bytes(text)) <= 4096


@pytest.mark.slow
def test_every_shipped_reward_compiles_to_ptx(tmp_path, subtests):
    from racer.gpu.reward_kernels import pay_kernel

    warp = load_warp()
    rewards = sorted(path.stem for path in (ROOM.parents[1] / "configs/rewards").glob("*.py"))
    for k, name in enumerate(rewards):
        with subtests.test(name=name):
            code = CompiledReward(RewardSource.find(name)).code
            kernel = pay_kernel(NativeTranslation(code, 8).translate())
            folder, architecture = tmp_path / name, COMPILED_ARCHITECTURES[k % 3]
            warp.compile_aot_module(
                kernel.module, arch=architecture, module_dir=folder, use_ptx=True
            )
            assert any(path.suffix == ".ptx" for path in folder.iterdir())


@pytest.mark.slow
def test_float64_kernels_have_no_fused_multiply_add_of_their_own(tmp_path):
    from racer.gpu import rule_kernels

    warp = load_warp()
    warp.compile_aot_module(rule_kernels, arch=90, module_dir=tmp_path, use_ptx=True)
    text = "".join(path.read_text() for path in tmp_path.glob("*.ptx"))
    assert "mul.rn.f64" in text
    assert "mul.f64" not in text
