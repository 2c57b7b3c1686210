"""Finds the files that ship with racer, in a checkout and in an installed wheel."""

from pathlib import Path

from racer.errors import ConfigError

_HERE = Path(__file__).resolve().parent


def assets_root() -> Path:
    """Return the folder that holds `tracks/`, `configs/` and `docs/my-model/`."""
    return _HERE if (_HERE / "tracks").is_dir() else _HERE.parents[1]


def shipped_names(folder: str) -> list[str]:
    """Return the sorted names of the YAML files in a shipped folder, such as `tracks`."""
    return sorted(path.stem for path in (assets_root() / folder).glob("*.yaml"))


def find_file(name: str, folder: str, error: type[Exception] = ConfigError) -> Path:
    """Return the path of a file that is given by its path or by a shipped file's name.

    A path comes before a shipped name.

    Args:
        name: A path, or the name of a shipped YAML file with or without its suffix.
        folder: The shipped folder to look in, such as `tracks`.
        error: The type of error to raise.

    Raises:
        error: There is neither a file at the path nor a shipped file of that name.
    """
    candidates = [Path(name), assets_root() / name, assets_root() / folder / name]
    candidates.append(assets_root() / folder / f"{name}.yaml")
    for path in candidates:
        if path.is_file():
            return path
    known = ", ".join(shipped_names(folder)) or "none"
    raise error(f"no file {name!r}, and {folder}/ has no such name; shipped there: {known}")


def find_example(path: Path) -> Path:
    """Return a path, or where nothing is there, what racer ships under it, also without `docs/`.

    If nothing ships under it either, return the path unchanged.
    """
    root = assets_root()
    return next((one for one in (path, root / path, root / "docs" / path) if one.exists()), path)
