"""The entry package, `<name>.entry.zip`: a policy as an ONNX graph, and a manifest about it."""

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
"""What `is_label` requires, in words for a message."""


def is_label(text: str) -> bool:
    """Return whether a text obeys `LABEL_RULE`.

    Such a text can neither fake a line of output nor hide in a terminal.
    """
    return len(text) <= 60 and text.isprintable() and text == text.strip()


def _label(text: str) -> str:
    if not is_label(text):
        raise ValueError(f"must be {LABEL_RULE}")
    return text


Label = Annotated[str, AfterValidator(_label)]
"""A text that obeys `LABEL_RULE`."""


class Ancestor(Document):
    """A policy whose weights another training began with."""

    kind: Literal["run", "entry"] = Field(description="what the weights were taken from")
    name: Label = Field(description="the name of the run, or of the entry")
    steps: int | None = Field(
        default=None, ge=0, description="control steps that it trained by itself, over all cars"
    )
    sha256: Sha256Hex = Field(description="SHA-256 of the run's checkpoint, or of the entry")

    @property
    def words(self) -> str:
        """The policy in words, such as `the run first after 4,096 steps (SHA-256 01234567)`."""
        steps = "" if self.steps is None else f" after {self.steps:,} steps"
        return f"the {self.kind} {self.name}{steps} (SHA-256 {self.sha256[:12]})"


ENTRY_SUFFIX = ".entry.zip"
"""How the name of an entry's file ends, by convention."""
MAX_LINEAGE = 100
"""The number of ancestors that a manifest may list."""


class TrainedOn(Document):
    """Origin of a policy, so that it can be trained again; an unknown field is None.

    `racer export` fills in every field. For a policy that racer did not train, only the fields
    that its author gave are known.
    """

    track: Label | None = Field(default=None, description="the track's name")
    walls: bool = Field(default=False, description="whether there were walls on its borders")
    config_sha256: Sha256Hex | None = Field(
        default=None, description="SHA-256 of the run's resolved config"
    )
    reward_sha256: Sha256Hex | None = Field(default=None, description="SHA-256 of the reward file")
    steps: int | None = Field(default=None, ge=0, description="control steps over all cars")
    seed: int | None = Field(default=None, ge=0, description="the run's seed, from 0")
    lineage: tuple[Ancestor, ...] = Field(
        default=(),
        max_length=MAX_LINEAGE,
        description="the policy whose weights the training began with, then that one's ancestors",
    )


MAX_HIDDEN_STATE_SIZE = 65536
"""Largest number of numbers that a policy may remember from step to step."""
UNKNOWN_ORIGIN = TrainedOn()
"""Origin of a policy about which nothing is known."""


class Manifest(Document):
    """Content of an entry's `manifest.json`.

    Fields with an unknown value are absent from the file. Version 1 has no `interface`; only
    version 3 has `hidden_state_size`, and only entries of recurrent policies have that version.
    """

    schema_version: Literal[1, 2, 3] = Field(
        default=2, description="version of the manifest's schema"
    )
    name: Label = Field(min_length=1, description="name on a leaderboard, 1-60 characters")
    author: Label = Field(default="", description="author of the policy, up to 60 characters")
    racer_version: Label = Field(description="version of racer that wrote the entry")
    env: Label = Field(
        pattern=r"^racer/[A-Za-z]+-v[0-9]+$", description="Gymnasium id it was trained in"
    )
    car: CarName = Field(default="deepracer", description="preset of the car that it drives")
    sensor: Sensors = Field(description="what the policy observes")
    actions: ActionSpace = Field(description="what its actions mean")
    interface: Interface | None = Field(
        default=None, description="what the graph's numbers mean, in words"
    )
    hidden_state_size: int | None = Field(
        default=None,
        ge=1,
        le=MAX_HIDDEN_STATE_SIZE,
        description="numbers that a recurrent policy remembers from step to step, 1-65536: its "
        "input `hidden_state` and output `next_hidden_state`; absent if it remembers nothing",
    )
    trained_on: TrainedOn = Field(default=UNKNOWN_ORIGIN, description="origin of the policy")
    quantization: Literal["int8"] | None = Field(
        default=None, description="type that the graph was quantized to; absent if it was not"
    )
    files: dict[Literal["policy.onnx"], Sha256Hex] = Field(
        min_length=1, description="SHA-256 of the graph, by its file name"
    )


@dataclass(frozen=True)
class Entry:
    """An entry whose package has been checked, but whose graph has not (see `check_graph`).

    Attributes:
        manifest: The entry's description of itself.
        policy: Bytes of the ONNX graph.
        sha256: SHA-256 of the whole package.
        path: File that it was read from.
        content: The package's bytes.
        signer: Public key that signed it, 64 hexadecimal digits; None if it is not signed.
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
    hidden_state_size: int | None = None,
    key: PrivateKey | None = None,
    check: Callable[[Entry], object] | None = None,
) -> str:
    """Write an entry atomically and return its SHA-256; equal arguments give equal bytes.

    Args:
        path: The package to write, by convention `<name>.entry.zip`. It may replace an older
            entry, but no other file.
        policy: Bytes of the ONNX graph.
        name: Name on a leaderboard, 1-60 characters.
        env: Gymnasium id it was trained in.
        sensor: What the policy observes.
        actions: What its actions mean.
        trained_on: Origin of the policy, as far as it is known.
        car: Preset of the car that it drives.
        author: Author of the policy, up to 60 characters.
        racer_version: Version of racer that is recorded as the writer.
        quantization: Type that the graph was quantized to, if it was.
        hidden_state_size: Numbers that a recurrent policy remembers; None if it is not recurrent.
        key: Private key that signs the entry; see `racer.entries.signing`.
        check: Called with the entry before it is written; if it raises, nothing is written.

    Returns:
        SHA-256 of the package.

    Raises:
        EntryError: If a field is out of range, the graph is too big, or the file cannot be
            written.
    """
    fields = {
        "schema_version": 3 if hidden_state_size else 2,
        "name": name,
        "author": author,
        "racer_version": racer_version,
        "env": env,
        "car": car,
        "sensor": sensor,
        "actions": actions,
        "interface": interface_of(sensor, actions, hidden_state_size or 0),
        "hidden_state_size": hidden_state_size,
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
        check(parse_entry(content, Path(path)))
    _write(Path(path), content)
    return hashlib.sha256(content).hexdigest()


def read_entry(path: Path | str) -> Entry:
    """Return the entry in a package, which is checked before anything in it is inflated.

    Raises:
        EntryError: If the file is missing or breaks a rule of the package format; `code` says
            which (docs/leaderboard.md lists the codes).
    """
    path = Path(path)
    return parse_entry(_read(path), path)


def parse_entry(content: bytes, path: Path) -> Entry:
    """Return the entry in a package's bytes; see `read_entry`.

    Args:
        content: The package.
        path: Its file, for messages.
    """
    if len(content) > MAX_PACKAGE_BYTES:
        raise EntryError(
            f"{path}: over {MAX_PACKAGE_BYTES:,} bytes, the largest size of an entry; "
            "train a smaller network",
            "too_big",
        )
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
            f"{manifest.files[POLICY_FILE][:12]}...; the package was altered: export it again",
            "hash",
        )
    digest, signer = hashlib.sha256(content).hexdigest(), None
    if SIGNATURE_FILE in members:
        signer = signer_of(
            members[SIGNATURE_FILE], members[MANIFEST_FILE], f"{path}: {SIGNATURE_FILE}"
        )
    return Entry(manifest, members[POLICY_FILE], digest, path, content, signer)


def _pack(policy: bytes, manifest: Manifest, key: PrivateKey | None) -> bytes:
    """Return the package's bytes.

    Members are stored, not deflated, because zlib's output differs between builds, and without
    timestamps, so that equal content gives equal bytes.
    """
    unused = {"continuous": {"choices"}, "discrete": {"steering_deg", "speed"}}
    absent: dict[str, Any] = {"actions": unused[manifest.actions.kind]}
    if manifest.trained_on == UNKNOWN_ORIGIN:
        absent["trained_on"] = True
    elif not manifest.trained_on.lineage:
        absent["trained_on"] = {"lineage"}
    tree: dict[str, Any] = manifest.model_dump(mode="json", exclude=absent, exclude_none=True)
    text = (json.dumps(tree, indent=2, ensure_ascii=False) + "\n").encode()
    members = {MANIFEST_FILE: text, POLICY_FILE: policy}
    if key:
        members[SIGNATURE_FILE] = sign_manifest(text, key)
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            info.create_system = 3  # Unix, so that the permissions below are honoured
            info.external_attr = (stat.S_IFREG | 0o644) << 16
            archive.writestr(info, content)
    return buffer.getvalue()


def _is_package(content: bytes) -> bool:
    """Return whether the bytes are an entry of any version, even a damaged one."""
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
            f"{path}: cannot be written: {why}; choose a file in a folder that you may write to",
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
    return content


def _manifest(content: bytes, source: str) -> Manifest:
    try:
        return Manifest.model_validate_json(content, strict=True)
    except ValidationError as problem:
        raise EntryError(describe_errors(problem, Manifest, source), "manifest") from problem
