"""The files of deploy/: each is read by what it is for, as far as that is here."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from racer.assets.extras import PACKAGES_OF_EXTRA

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
STEPS = (ROOT / "scripts" / "dockerfile_steps.py").read_text()


def steps():
    space: dict[str, Any] = {
        "__file__": str(ROOT / "scripts" / "dockerfile_steps.py"),
        "__name__": "steps",
    }
    exec(STEPS, space)
    return space["instructions"](DEPLOY / "Dockerfile")


def test_the_dockerfile_copies_what_is_there_and_installs_extras_that_exist():
    found = steps()
    assert found[0] == ("FROM", "python:3.11-slim")
    copied = [word for name, words in found if name == "COPY" for word in words.split()[:-1]]
    assert [one for one in copied if not (ROOT / one).exists()] == []
    install = next(words for name, words in found if name == "RUN" and "pip install" in words)
    extras = re.findall(r"\.\[([\w,]+)\]", install)[0].split(",")
    assert set(extras) <= set(PACKAGES_OF_EXTRA)
    assert "cluster" in extras
    assert "-c constraints.txt" in install
    project = (ROOT / "pyproject.toml").read_text()
    shipped = project.partition("wheel.force-include]\n")[2].partition("\n\n")[0]
    sources = [line.partition(" = ")[0].strip('"') for line in shipped.splitlines()]
    assert {"configs", "docs/my-model"} <= set(sources) <= set(copied), "the wheel wants them"


@pytest.mark.needs("ray")
def test_ray_accepts_the_cluster_s_file():
    from ray.autoscaler._private.util import prepare_config, validate_config

    config = yaml.safe_load((DEPLOY / "ray-cluster.yaml").read_text())
    validate_config(prepare_config(config))
    with pytest.raises(Exception, match="wrong"):
        validate_config(prepare_config(config | {"wrong": 1}))


def checked(program, *words):
    """Return what a checker of files says, or skip where it is not installed."""
    found = shutil.which(
        program, path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    )
    if found is None:
        pytest.skip(f"needs {program}, of racer's extra dev")
    return subprocess.run([found, *words], cwd=ROOT, capture_output=True, text=True)


def test_hadolint_has_no_warning_of_the_dockerfile(tmp_path):
    words = ("--no-color", "--failure-threshold", "warning")
    told = checked("hadolint", *words, "deploy/Dockerfile")
    assert told.returncode == 0, told.stdout
    worse = tmp_path / "Dockerfile"
    worse.write_text((DEPLOY / "Dockerfile").read_text().replace("python:3.11-slim", "python"))
    assert "DL3006" in checked("hadolint", *words, str(worse)).stdout


def test_shellcheck_has_nothing_to_say_of_the_shell_scripts(tmp_path):
    told = checked("shellcheck", "deploy/slurm.sh", ".ci/run")
    assert told.returncode == 0, told.stdout
    worse = tmp_path / "worse.sh"
    worse.write_text("#!/bin/sh\nrm -rf $1/*\n")
    assert "SC2086" in checked("shellcheck", str(worse)).stdout


def kuberay():
    return yaml.safe_load_all((DEPLOY / "kuberay.yaml").read_text())


@pytest.mark.needs("kubernetes_validate")
def test_kubernetes_accepts_the_policy_and_the_pods_of_the_cluster():
    import kubernetes_validate

    def validate(resource):
        kubernetes_validate.validate(resource, kubernetes_validate.latest_version(), strict=True)

    cluster, policy = kuberay()
    validate(policy)
    for group in [cluster["spec"]["headGroupSpec"], *cluster["spec"]["workerGroupSpecs"]]:
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "racer"}}
        pod["spec"] = group["template"]["spec"]
        validate(pod)
        with pytest.raises(kubernetes_validate.ValidationError, match="wrong"):
            validate(pod | {"spec": pod["spec"] | {"wrong": 1}})


def test_kubernetes_gets_the_ray_that_is_pinned():
    cluster, policy = kuberay()
    pinned = re.search(r"^ray==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert pinned
    assert cluster["spec"]["rayVersion"] == pinned[1]
    groups = [cluster["spec"]["headGroupSpec"], *cluster["spec"]["workerGroupSpecs"]]
    images = {box["image"] for one in groups for box in one["template"]["spec"]["containers"]}
    assert images == {"racer:latest"}
    assert policy["spec"]["podSelector"]["matchLabels"] == {
        "ray.io/cluster": cluster["metadata"]["name"]
    }


def test_the_slurm_script_is_a_script_and_says_how_it_is_used():
    script = DEPLOY / "slurm.sh"
    assert os.access(script, os.X_OK)
    subprocess.run(["bash", "-n", str(script)], check=True)
    told = subprocess.run(["bash", str(script)], capture_output=True, text=True, check=False)
    assert told.returncode == 2
    assert "usage: sbatch" in told.stderr


SRUN = """#!/usr/bin/env bash
while [[ $1 == --* ]]; do shift; done
exec "$@"
"""
"""Stands for Slurm's srun: it runs the command on this machine."""


@pytest.mark.slow(minutes=1)
@pytest.mark.needs("ray")
def test_the_slurm_script_runs_a_command_on_the_cluster_that_it_starts(tmp_path):
    import sys

    stubs = tmp_path / "bin"
    stubs.mkdir()
    tools = Path(sys.executable).parent
    words = f'#!/usr/bin/env bash\nexec {sys.executable} -m racer.cli "$@"\n'
    for name, text in {
        "srun": SRUN,
        "scontrol": "#!/usr/bin/env bash\nprintf 'one\\ntwo\\n'\n",
        "racer": words,
        "hostname": "#!/usr/bin/env bash\necho 127.0.0.1\n",
    }.items():
        (stubs / name).write_text(text)
        (stubs / name).chmod(0o755)
    env = {
        **os.environ,
        "PATH": f"{stubs}{os.pathsep}{tools}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "SLURM_JOB_ID": str(os.getpid()),
        "RAY_AUTH_TOKEN_PATH": str(tmp_path / "token"),
        "SLURM_JOB_NODELIST": "[one,two]",
    }
    (tmp_path / "token").write_text("0" * 64)
    words = ["bash", str(DEPLOY / "slurm.sh"), "generalisation", "raceline", "--laps", "1"]
    told = subprocess.run(words, env=env, capture_output=True, text=True, timeout=300, check=False)
    assert told.returncode == 0, told.stderr[-2000:]
    assert "held-out" in told.stdout or "train" in told.stdout
    assert told.stderr.count("node ") >= 1
