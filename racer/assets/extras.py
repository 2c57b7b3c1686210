"""Optional packages, and the commands that install them."""

from __future__ import annotations

from racer import assets

DISTRIBUTION_NAME = "racer-rl"
"""The name that pip knows racer by; the `racer` on PyPI is another project."""
PACKAGES_OF_EXTRA: dict[str, tuple[str, ...]] = {
    "train": (
        *("torch", "stable-baselines3", "sb3-contrib", "tensorboard", "onnx", "onnxscript"),
        *("array-api-compat", "moviepy", "opencv-python-headless"),
    ),
    "sweep": ("optuna",),
    "limit": ("casadi",),
    "studio": ("fastapi", "nicegui", "segno", "uvicorn"),
    "pettingzoo": ("pettingzoo",),
    "board": ("fsspec", "psycopg", "s3fs"),
    "cluster": ("ray",),
    "explain": ("captum", "onnx"),
    "gpu": ("warp-lang",),
    "dev": ("axe-playwright-python", "commonroad-vehicle-models", "playwright"),
}
"""The packages of each extra in pyproject.toml, by the names that pip uses."""
PACKAGES_WITH_EXTRA: dict[str, str] = {"ray": "'ray[default]'"}
"""Packages that are installed with an extra of their own, as a shell reads it."""
PACKAGE_OF_MODULE: dict[str, str] = {"warp": "warp-lang"}
"""The names that pip uses of modules whose own name is another."""


def extra_of(module: str) -> str | None:
    """Return the extra that installs a module, or None if no extra does."""
    name = module.partition(".")[0].replace("_", "-")
    name = PACKAGE_OF_MODULE.get(name, name)
    return next((extra for extra, packages in PACKAGES_OF_EXTRA.items() if name in packages), None)


def how_to_install(extra: str) -> str:
    """Return the command that installs the packages of an extra."""
    if not (assets.assets_root() / "pyproject.toml").is_file():
        # Where a wheel is installed already, pip reads its extras and need not find it anywhere.
        return f"pip install '{DISTRIBUTION_NAME}[{extra}]'"
    names = [PACKAGES_WITH_EXTRA.get(name, name) for name in PACKAGES_OF_EXTRA[extra]]
    packages = f"pip install {' '.join(names)}"
    return f"pip install -e '.[{extra}]' in {assets.assets_root()}, or {packages}"
