"""The entry package, `<name>.entry.zip`: a policy as data, and a manifest that says what it is."""

from __future__ import annotations

import hashlib
import json
import stat
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Annotated, Any, Literal

from gymnasium.envs.registration import registry
from pydantic import AfterValidator, Field, ValidationError

from racer import __version__
from racer.assets.atomic import write_own
from racer.assets.document import Document, Sha256Hex, describe_errors
from racer.assets.terminal import shell_command
from racer.car.action_space import ActionSpace
from racer.car.spec import CarName
from racer.entries.archive import (
    MANIFEST_FILE,
    MAX_PACKAGE_BYTES,
    POLICY_FILE,
    SIGNATURE_FILE,
    read_members,
)
from racer.entries.interface import Interface, interface_of
from racer.entries.signing import PrivateKey, sign_manifest, signer_of
from racer.errors import EntryError
from racer.sensors.config import Sensors

LABEL_RULE = "up to 60 printable characters on one line, without spaces around them"


def is_label(text: str) -> bool:
    """Return whether a text obeys `LABEL_RULE`, so it cannot forge a line or hide in a terminal."""
    return len(text) <= 60 and text.isprintable() and text == text.strip()


def _label(text: str) -> str:
    if not is_label(text):
        raise ValueError(f"wanted are {LABEL_RULE}")
    return text


Label = Annotated[str, AfterValidator(_label)]


class TrainedOn(Document):
    """Where a policy comes from, so that somebody can train it again; None is not known.

    `racer export` knows all of it. A policy that racer did not train has what its author names.
    """

    track: Label | None = Field(default=None, description="the track's name")
    walls: bool = Field(default=False, description="whether walls stood on its borders")
    config_sha256: Sha256Hex | None = Field(
        default=None, description="SHA-256 of the run's resolved config"
    )
    reward_sha256: Sha256Hex | None = Field(default=None, description="SHA-256 of the reward file")
    steps: int | None = Field(default=None, ge=0, description="control steps over all cars")
    seed: int | None = Field(default=None, ge=0, description="the run's seed, from 0")


UNKNOWN_ORIGIN = TrainedOn()
"""The origin of a policy of which nothing is said."""


class Manifest(Document):
    """What `manifest.json` says about an entry.

    What is not known is absent from the file. Version 1 has no `interface`.
    """

    schema_version: Literal[1, 2] = Field(default=2, description="of this manifest")
    name: Label = Field(min_length=1, description="what a board calls it, 1-60 characters")
    author: Label = Field(default="", description="who made it, up to 60 characters")
    racer_version: Label = Field(description="the racer that wrote the entry")
    env: Label = Field(
        pattern=r"^racer/[A-Za-z]+-v[0-9]+$", description="Gymnasium id it was trained in"
    )
    car: CarName = Field(default="deepracer", description="the car that it drives")
    sensor: Sensors = Field(description="what the policy sees")
    actions: ActionSpace = Field(description="what its actions mean")
    interface: Interface | None = Field(
        default=None, description="what the graph's numbers mean, in words"
    )
    trained_on: TrainedOn = Field(default=UNKNOWN_ORIGIN, description="where the policy comes from")
    quantization: Literal["int8"] | None = Field(
        default=None, description="what the graph was quantized to; not given: nothing"
    )
    files: dict[Literal["policy.onnx"], Sha256Hex] = Field(
        min_length=1, description="SHA-256 of each member but the manifest"
    )


@dataclass(frozen=True)
class Entry:
    """An entry whose package has been checked; its graph has not.

    Attributes:
        manifest: What the entry says it is.
        policy: The ONNX graph.
        sha256: SHA-256 of the whole package.
        path: Where it was read.
        content: The package's bytes, as they were read.
        signer: The public key that signed it, 64 hexadecimal digits; None where nobody did.
    """

    manifest: Manifest
    policy: bytes = field(repr=False)
    sha256: str
    path: Path
    content: bytes = field(repr=False)
    signer: str | None = None


def save_entry(
    path: Path | str,
    policy: bytes,
    *,
    name: str,
    env: str,
    sensor: Sensors,
    actions: ActionSpace,
    trained_on: TrainedOn = UNKNOWN_ORIGIN,
    car: str = "deepracer",
    author: str = "",
    racer_version: str = __version__,
    quantization: Literal["int8"] | None = None,
    key: PrivateKey | None = None,
    check: Callable[[Entry], object] | None = None,
) -> str:
    """Write an entry, whole or not at all; the same content gives the same bytes.

    Args:
        path: The package to write, by custom `<name>.entry.zip`; it replaces an older entry, and
            no other file.
        policy: The ONNX graph.
        name: What a board calls it, 1-60 characters.
        env: Gymnasium id it was trained in.
        sensor: What the policy sees.
        actions: What its actions mean.
        trained_on: Where the policy comes from, as far as it is known.
        car: The car that it drives.
        author: Who made it, up to 60 characters.
        racer_version: The racer that wrote the entry.
        quantization: What the graph was quantized to.
        key: Signs the entry; see `racer.entries.signing`.
        check: Called with the entry before it is written; what it raises leaves nothing behind.

    Returns:
        SHA-256 of the package.

    Raises:
        EntryError: A field is out of range, the graph is too big, or the file cannot be written.
    """
    fields = {
        "name": name,
        "author": author,
        "racer_version": racer_version,
        "env": env,
        "car": car,
        "sensor": sensor,
        "actions": actions,
        "interface": interface_of(sensor, actions),
        "trained_on": trained_on,
        "quantization": quantization,
        "files": {POLICY_FILE: hashlib.sha256(policy).hexdigest()},
    }
    try:
        manifest = Manifest.model_validate(fields)
    except ValidationError as problem:
        text = describe_errors(problem, Manifest, "manifest", tree=fields)
        raise EntryError(text, "manifest") from problem
    content = _pack(policy, manifest, key)
    if check:
        check(_opened(content, Path(path)))
    _write(Path(path), content)
    return hashlib.sha256(content).hexdigest()


def read_entry(path: Path | str) -> Entry:
    """An entry from its package, which is checked before anything in it is inflated.

    Raises:
        EntryError: The package is not what an entry is; `code` says which rule it breaks.
    """
    path = Path(path)
    return _opened(_read(path), path)


def _opened(content: bytes, path: Path) -> Entry:
    """The entry that a package's bytes hold."""
    members = read_members(content, str(path))
    manifest = _manifest(members[MANIFEST_FILE], f"{path}: {MANIFEST_FILE}")
    known = sorted(name for name in registry if name.startswith("racer/"))
    if manifest.env not in known:
        raise EntryError(
            f"{path}: made for {manifest.env}; this racer has {', '.join(known)}: race it with "
            f"racer {manifest.racer_version}, which wrote it, or train it again",
            "env",
        )
    got = hashlib.sha256(members[POLICY_FILE]).hexdigest()
    if got != manifest.files[POLICY_FILE]:
        raise EntryError(
            f"{path}: {POLICY_FILE} has the SHA-256 {got[:12]}..., the manifest says "
            f"{manifest.files[POLICY_FILE][:12]}...; the package was changed: export it again",
            "hash",
        )
    digest, signer = hashlib.sha256(content).hexdigest(), None
    if SIGNATURE_FILE in members:
        signer = signer_of(
            members[SIGNATURE_FILE], members[MANIFEST_FILE], f"{path}: {SIGNATURE_FILE}"
        )
    return Entry(manifest, members[POLICY_FILE], digest, path, content, signer)


def _pack(policy: bytes, manifest: Manifest, key: PrivateKey | None) -> bytes:
    """The package's bytes. Stored, because what zlib deflates to differs from build to build."""
    unused = {"continuous": {"choices"}, "discrete": {"steering_deg", "speed"}}
    absent: dict[str, Any] = {"actions": unused[manifest.actions.kind]}
    if manifest.trained_on == UNKNOWN_ORIGIN:
        absent["trained_on"] = True
    tree: dict[str, Any] = manifest.model_dump(mode="json", exclude=absent, exclude_none=True)
    text = (json.dumps(tree, indent=2, ensure_ascii=False) + "\n").encode()
    members = {MANIFEST_FILE: text, POLICY_FILE: policy}
    if key:
        members[SIGNATURE_FILE] = sign_manifest(text, key)
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            info.create_system = 3  # Unix, so that the permissions below mean something
            info.external_attr = (stat.S_IFREG | 0o644) << 16
            archive.writestr(info, content)
    return buffer.getvalue()


def _is_package(content: bytes) -> bool:
    """Whether it is an entry, of any version, or what is left of one."""
    try:
        with zipfile.ZipFile(BytesIO(content)) as archive:
            return MANIFEST_FILE in archive.namelist()
    except zipfile.BadZipFile:
        return False


def _write(path: Path, content: bytes) -> None:
    if len(content) > MAX_PACKAGE_BYTES:
        raise EntryError(
            f"{path}: the package would be {len(content):,} bytes, over {MAX_PACKAGE_BYTES:,}; "
            "train a smaller network",
            "too_big",
        )
    try:
        write_own(path, content, _is_package)
    except (OSError, ValueError) as problem:
        why = getattr(problem, "strerror", None) or problem
        raise EntryError(
            f"{path}: cannot be written: {why}; name a file in a folder you may write to",
            "unwritable",
        ) from problem


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_PACKAGE_BYTES + 1)
    except FileNotFoundError:
        raise EntryError(
            f"no entry {str(path)!r}; make one with "
            f"`{shell_command('export', 'RUN', '--out', path.name)}`",
            "missing",
        ) from None
    except IsADirectoryError:
        raise EntryError(
            f"{path} is a folder, not an entry; if it is a run, "
            f"`{shell_command('export', path)}` makes one",
            "unreadable",
        ) from None
    except (OSError, ValueError) as problem:
        raise EntryError(f"{path}: cannot be read: {problem}", "unreadable") from problem
    if len(content) > MAX_PACKAGE_BYTES:
        raise EntryError(
            f"{path}: over {MAX_PACKAGE_BYTES:,} bytes, the most an entry may have; "
            "train a smaller network",
            "too_big",
        )
    return content


def _manifest(content: bytes, source: str) -> Manifest:
    try:
        return Manifest.model_validate_json(content, strict=True)
    except ValidationError as problem:
        raise EntryError(describe_errors(problem, Manifest, source), "manifest") from problem
