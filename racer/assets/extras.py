"""The packages that only some commands need, and how they are installed."""

from __future__ import annotations

from racer import assets

PACKAGES_OF_EXTRA = {
    "train": (
        *("torch", "stable-baselines3", "tensorboard", "onnx", "onnxscript"),
        *("array-api-compat", "moviepy", "opencv-python-headless"),
    ),
    "limit": ("casadi",),
    "pettingzoo": ("pettingzoo",),
    "dev": ("commonroad-vehicle-models", "playwright"),
}
"""Each extra of pyproject.toml with its packages, as pip names them."""


def extra_of(module: str) -> str | None:
    """The extra that brings a module; None where racer always installs it, or never."""
    name = module.partition(".")[0].replace("_", "-")
    return next((extra for extra, packages in PACKAGES_OF_EXTRA.items() if name in packages), None)


def how_to_install(extra: str) -> str:
    """Return the command that installs an extra's packages.

    It never names racer itself: the `racer` on PyPI is another project.
    """
    packages = f"pip install {' '.join(PACKAGES_OF_EXTRA[extra])}"
    if not (assets.assets_root() / "pyproject.toml").is_file():
        return packages
    return f"pip install -e '.[{extra}]' in {assets.assets_root()}, or {packages}"
