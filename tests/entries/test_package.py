"""The entry package: the same bytes for the same content, and a refusal for all that is not one."""

import hashlib
import json
import os
import re
import stat
import struct
import subprocess
import sys
import zipfile
from io import BytesIO
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from racer.car.action_space import ActionSpace
from racer.entries import archive
from racer.entries.package import TrainedOn, read_entry, save_entry
from racer.errors import EntryError
from racer.sensors.config import StateConfig
from tests.helpers.entries import FIELDS, POLICY


def manifest_of(path):
    with zipfile.ZipFile(path) as zipped:
        return json.loads(zipped.read("manifest.json"))


def pack(path, members, compression=zipfile.ZIP_STORED):
    """A zip by hand: members are (name or ZipInfo, bytes)."""
    with zipfile.ZipFile(path, "w", compression) as zipped:
        for member, content in members:
            zipped.writestr(member, content)
    return path


def refusal(path):
    with pytest.raises(EntryError) as caught:
        read_entry(path)
    return caught.value


@pytest.fixture
def good(tmp_path):
    path = tmp_path / "swift.entry.zip"
    save_entry(path, POLICY, **FIELDS)
    return path


def test_a_manifest_says_what_a_graph_was_quantized_to_and_else_nothing(good, tmp_path):
    assert "quantization" not in manifest_of(good)
    assert read_entry(good).manifest.quantization is None
    path = tmp_path / "small.entry.zip"
    save_entry(path, POLICY, **FIELDS, quantization="int8")
    assert manifest_of(path)["quantization"] == "int8"
    assert read_entry(path).manifest.quantization == "int8"
    unknown: dict[str, Any] = FIELDS | {"quantization": "int2"}
    with pytest.raises(EntryError, match="quantization"):
        save_entry(path, POLICY, **unknown)


@pytest.fixture
def members(good):
    with zipfile.ZipFile(good) as zipped:
        return [(name, zipped.read(name)) for name in ("manifest.json", "policy.onnx")]


def test_an_entry_reads_back_as_it_was_written(tmp_path):
    path = tmp_path / "swift.entry.zip"
    digest = save_entry(path, POLICY, **FIELDS)
    entry = read_entry(path)
    assert entry.policy == POLICY
    assert entry.sha256 == digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert entry.content == path.read_bytes()
    assert entry.path == path
    manifest = entry.manifest
    assert {name: getattr(manifest, name) for name in FIELDS} == FIELDS
    assert manifest.files == {"policy.onnx": hashlib.sha256(POLICY).hexdigest()}


def test_a_discrete_entry_reads_back_too(tmp_path):
    actions = ActionSpace(kind="discrete", choices=((-20.0, 1.0), (0.0, 2.0), (20.0, 1.0)))
    sensor = (StateConfig(stack=2),)
    save_entry(tmp_path / "e", POLICY, **{**FIELDS, "actions": actions, "sensor": sensor})
    assert read_entry(tmp_path / "e").manifest.actions == actions
    assert read_entry(tmp_path / "e").manifest.sensor == sensor


def test_the_same_content_gives_the_same_bytes_whatever_the_clock_and_umask(tmp_path, monkeypatch):
    save_entry(tmp_path / "one", POLICY, **FIELDS)
    monkeypatch.setattr("time.time", lambda: 2e9)
    before = os.umask(0o077)
    try:
        save_entry(tmp_path / "other.entry.zip", POLICY, **FIELDS)
    finally:
        os.umask(before)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other.entry.zip").read_bytes()


@pytest.mark.slow
def test_the_same_content_gives_the_same_bytes_in_another_process(good, tmp_path):
    again = (
        "import runpy, sys; here = runpy.run_path(sys.argv[1]);"
        "here['save_entry'](sys.argv[2], here['POLICY'], **here['FIELDS'])"
    )
    subprocess.run(
        [sys.executable, "-c", again, __file__, str(tmp_path / "again")],
        check=True,
        env={**os.environ, "TZ": "Pacific/Kiritimati", "PYTHONHASHSEED": "7", "LC_ALL": "C"},
    )
    assert (tmp_path / "again").read_bytes() == good.read_bytes()


def test_another_policy_or_field_gives_another_digest(tmp_path):
    path = tmp_path / "e"
    digests = {
        save_entry(path, POLICY, **FIELDS),
        save_entry(path, POLICY + b"x", **FIELDS),
        save_entry(path, POLICY, **{**FIELDS, "author": "Grace"}),
    }
    assert len(digests) == 3


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_write_that_fails_leaves_the_old_entry_and_nothing_else(good, monkeypatch, step):
    before = good.read_bytes()

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(f"racer.assets.atomic.os.{step}", full)
    with pytest.raises(EntryError, match="No space left") as caught:
        save_entry(good, b"other", **FIELDS)
    assert caught.value.code == "unwritable"
    assert good.read_bytes() == before
    assert [path.name for path in good.parent.iterdir()] == [good.name]


@pytest.mark.parametrize("where", ["missing/e.entry.zip", "file/e.entry.zip", ".", "\0"])
def test_a_path_that_cannot_be_written_is_refused(tmp_path, where):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(EntryError) as caught:
        save_entry(tmp_path / where, POLICY, **FIELDS)
    assert caught.value.code == "unwritable"


def test_a_manifest_field_out_of_range_is_not_written(subtests, tmp_path):
    for change in [
        {"name": ""},
        {"name": "x" * 61},
        {"name": "two\nlines"},
        {"name": "\x1b[31mred"},
        {"name": "right\u202eleft"},
        {"name": " spaced"},
        {"author": "two\nlines"},
        {"env": "CarRacing-v3"},
        {"env": "racer/TimeTrial-v0\n"},
    ]:
        with subtests.test(change=change):
            with pytest.raises(EntryError, match=next(iter(change))) as caught:
                save_entry(tmp_path / "e", POLICY, **{**FIELDS, **change})
            assert caught.value.code == "manifest"
            assert list(tmp_path.iterdir()) == []


def test_a_policy_over_the_limit_is_not_written(tmp_path, monkeypatch):
    monkeypatch.setattr("racer.entries.package.MAX_PACKAGE_BYTES", 2000)
    with pytest.raises(EntryError, match="over 2,000") as caught:
        save_entry(tmp_path / "e", POLICY, **FIELDS)
    assert caught.value.code == "too_big"


def test_a_file_that_is_not_there_is_refused_with_the_way_to_make_one(tmp_path):
    error = refusal(tmp_path / "gone.entry.zip")
    assert error.code == "missing"
    assert "racer export" in str(error)


@pytest.mark.parametrize("where", [".", "\0"])
def test_what_is_not_a_file_is_refused(tmp_path, where):
    assert refusal(tmp_path / where).code == "unreadable"


def test_a_package_over_64_mb_is_refused_before_it_is_opened(tmp_path):
    path = tmp_path / "big"
    with path.open("wb") as file:
        file.truncate(archive.MAX_PACKAGE_BYTES + 1)
    assert refusal(path).code == "too_big"


def test_bytes_that_are_not_a_zip_are_refused(tmp_path):
    path = tmp_path / "e"
    for content in (b"", b"hello", b"PK\x05\x06", POLICY):
        path.write_bytes(content)
        assert refusal(path).code == "not_a_zip"


def test_every_truncation_is_refused(good):
    content = good.read_bytes()
    for length in range(0, len(content), 7):
        good.write_bytes(content[:length])
        assert refusal(good).code == "not_a_zip"


def test_a_changed_byte_in_the_policy_is_refused(tmp_path, members):
    """With the zip's own checksum made right, so that only the hash can tell."""
    changed = bytes([POLICY[0] ^ 1]) + POLICY[1:]
    error = refusal(pack(tmp_path / "e", [members[0], ("policy.onnx", changed)]))
    assert error.code == "hash"
    assert "the manifest says" in str(error)


def test_a_changed_byte_in_the_zip_is_refused(good):
    content = bytearray(good.read_bytes())
    content[content.index(POLICY) + 5] ^= 1
    good.write_bytes(bytes(content))
    assert refusal(good).code == "broken"


def test_a_deflated_entry_is_read(tmp_path, members):
    path = pack(tmp_path / "e", members, zipfile.ZIP_DEFLATED)
    assert read_entry(path).policy == POLICY


def test_a_third_member_is_refused_by_name(tmp_path, members):
    error = refusal(pack(tmp_path / "e", [*members, ("reward.py", b"")]))
    assert error.code == "members"
    assert "'reward.py'" in str(error)


@pytest.mark.parametrize("kept", [0, 1])
def test_a_missing_member_is_refused(tmp_path, members, kept):
    assert refusal(pack(tmp_path / "e", [members[kept]])).code == "members"


def test_an_empty_zip_is_refused(tmp_path):
    assert refusal(pack(tmp_path / "e", [])).code == "members"


def test_a_member_that_stands_twice_is_refused(tmp_path, members):
    with pytest.warns(UserWarning, match="Duplicate"):
        path = pack(tmp_path / "e", [*members, members[1]])
    assert refusal(path).code == "duplicate"


def test_a_name_that_points_outside_is_refused(subtests, tmp_path, members):
    for name in [
        "/policy.onnx",
        "../policy.onnx",
        "a/../policy.onnx",
        "\\policy.onnx",
        "..\\x",
        "C:\\x",
        "C:x",
    ]:
        with subtests.test(name=name):
            path = pack(tmp_path / "e", [members[0], (name, POLICY)])
            assert refusal(path).code == "unsafe_name"


def test_a_name_that_goes_on_behind_a_zero_byte_is_refused(tmp_path, members):
    path = pack(tmp_path / "e", [members[0], ("policy.onnxZevil", POLICY)])
    path.write_bytes(path.read_bytes().replace(b"onnxZevil", b"onnx\0evil"))
    assert refusal(path).code == "members"


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFDIR, stat.S_IFIFO])
def test_a_link_or_folder_is_refused(tmp_path, members, kind):
    info = zipfile.ZipInfo("policy.onnx")
    info.external_attr = (kind | 0o777) << 16
    assert refusal(pack(tmp_path / "e", [members[0], (info, POLICY)])).code == "not_a_file"


def patched(path, offset, value):
    """The package with bytes changed in the first member's line of the zip's directory."""
    content = bytearray(path.read_bytes())
    at = content.index(b"PK\x01\x02") + offset
    content[at : at + len(value)] = value
    path.write_bytes(bytes(content))
    return path


def test_an_encrypted_member_is_refused(good):
    assert refusal(patched(good, 8, b"\x01")).code == "encrypted"


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_rare_compression_is_refused(tmp_path, members, method):
    assert refusal(pack(tmp_path / "e", members, method)).code == "compression"


def test_a_bomb_is_refused_by_what_it_declares(tmp_path, members):
    zeros = bytes(archive.MAX_MEMBER_SIZES["manifest.json"] + 1)
    path = pack(tmp_path / "e", [("manifest.json", zeros), members[1]], zipfile.ZIP_DEFLATED)
    error = refusal(path)
    assert error.code == "too_big"
    assert "64,001" in str(error)


@pytest.mark.parametrize("declared", [10, 60_000])
def test_a_bomb_that_lies_about_its_size_is_refused(tmp_path, members, declared):
    path = pack(
        tmp_path / "e", [("manifest.json", bytes(5_000_000)), members[1]], zipfile.ZIP_DEFLATED
    )
    assert refusal(patched(path, 24, struct.pack("<L", declared))).code == "broken"


def test_a_member_shorter_than_it_declares_is_refused(tmp_path, members):
    path = pack(tmp_path / "e", members, zipfile.ZIP_DEFLATED)
    assert refusal(patched(path, 24, struct.pack("<L", 60_000))).code == "broken"


def test_a_member_of_a_later_zip_version_is_refused(good):
    assert refusal(patched(good, 6, b"\xff")).code == "broken"


def test_a_member_that_runs_past_the_end_is_refused(tmp_path):
    members = [("manifest.json", b"{}"), ("policy.onnx", b"x")]
    path = patched(pack(tmp_path / "e", members), 20, struct.pack("<LL", 60_000, 60_000))
    error = refusal(path)
    assert error.code == "broken"
    assert re.search("ends too soon|Overlapped entries", str(error))  # Python 3.13 says the latter


def test_a_member_placed_beyond_all_files_is_refused(tmp_path, members):
    info = zipfile.ZipInfo("manifest.json")
    info.extra = struct.pack("<HHQ", 1, 8, 2**64 - 1)  # a zip64 offset
    path = pack(tmp_path / "e", [(info, members[0][1]), members[1]])
    assert refusal(patched(path, 42, b"\xff" * 4)).code == "broken"


def test_a_zip_with_a_vast_directory_is_refused_before_it_is_listed(tmp_path):
    path = pack(tmp_path / "e", [(f"{k:050d}", b"") for k in range(1000)])
    assert refusal(path).code == "members"


def test_a_zip64_directory_is_refused(good):
    content = good.read_bytes()
    end = content.rindex(b"PK\x05\x06")
    good.write_bytes(content[:end] + b"PK\x06\x07" + bytes(16) + content[end:])
    assert refusal(good).code == "members"


def test_a_zip_with_a_comment_is_refused(good):
    good.write_bytes(good.read_bytes()[:-2] + b"\x02\x00PK")
    assert refusal(good).code == "not_a_zip"


def test_a_manifest_that_is_not_a_json_object_is_refused(subtests, tmp_path, members):
    for text in [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        b"null",
        b"[" * 60_000,
        b'{"name": NaN}',
        b'{"schema_version": ' + b"9" * 10_000 + b"}",
        b'{"name": "\\ud800"}',
    ]:
        with subtests.test(text=text):
            path = pack(tmp_path / "e", [("manifest.json", text), members[1]])
            assert refusal(path).code == "manifest"


def test_a_manifest_with_a_wrong_field_is_refused_by_its_name(subtests, tmp_path, members, good):
    for key, value, said in [
        ("schema_version", 4, "schema_version"),
        ("surprise", 1, "unknown key 'surprise'"),
        ("name", "\u202e", "printable"),
        ("name", None, "name"),
        ("env", "elsewhere/X-v0", "env"),
        ("files", {}, "files"),
        ("files", {"policy.onnx": "0" * 63}, "files"),
        ("files", {"policy.onnx": "0" * 64, "x": "0" * 64}, "files"),
        ("sensor", {"kind": "sonar"}, "sensor.0.kind"),
        ("trained_on", {"steps": -1}, "trained_on.steps"),
        ("trained_on", {"lineage": [{"kind": "cloud"}]}, "trained_on.lineage.0.kind"),
        ("trained_on", {"lineage": [{"name": "\n"}] * 101}, "trained_on.lineage"),
        ("interface", {"control_rate_hz": 15}, "interface.inputs"),
        ("interface", {"control_rate_hz": 15, "inputs": {}, "output": {"a": "\n"}}, "one line"),
    ]:
        with subtests.test(key=key, value=value, said=said):
            text = json.dumps({**manifest_of(good), key: value}).encode()
            error = refusal(pack(tmp_path / "e", [("manifest.json", text), members[1]]))
            assert error.code == "manifest"
            assert said in str(error)


VERSION_1 = """{
  "schema_version": 1,
  "name": "swift",
  "author": "",
  "racer_version": "0.1.0",
  "env": "racer/TimeTrial-v0",
  "car": "deepracer",
  "sensor": [{"stack": 1, "kind": "state"}],
  "actions": {
    "kind": "continuous",
    "steering_deg": [-30.0, 30.0],
    "speed": [0.5, 4.0],
    "choices": [[-30.0, 1.0], [0.0, 1.0], [30.0, 1.0]]
  },
  "trained_on": {
    "track": "bowtie",
    "walls": false,
    "config_sha256": "%s",
    "reward_sha256": "%s",
    "steps": 300000,
    "seed": 7
  },
  "files": {"policy.onnx": "%s"}
}
"""
"""A manifest as racer wrote it before it had an `interface`."""


def test_an_entry_with_a_manifest_of_version_1_is_read_as_it_was(tmp_path):
    text = VERSION_1 % ("a" * 64, "b" * 64, hashlib.sha256(POLICY).hexdigest())
    entry = read_entry(
        pack(tmp_path / "e", [("manifest.json", text.encode()), ("policy.onnx", POLICY)])
    )
    assert entry.manifest.schema_version == 1
    assert entry.manifest.interface is None
    assert entry.manifest.trained_on == FIELDS["trained_on"]
    assert entry.sha256 == hashlib.sha256((tmp_path / "e").read_bytes()).hexdigest()


def test_what_is_not_known_of_a_policy_s_origin_is_absent_from_its_manifest(tmp_path):
    known = {name: value for name, value in FIELDS.items() if name != "trained_on"}
    save_entry(tmp_path / "e", POLICY, **known)
    assert "trained_on" not in manifest_of(tmp_path / "e")
    assert read_entry(tmp_path / "e").manifest.trained_on == TrainedOn()
    save_entry(tmp_path / "e", POLICY, **known, trained_on=TrainedOn(track="bowtie"))
    assert manifest_of(tmp_path / "e")["trained_on"] == {"track": "bowtie", "walls": False}


@pytest.mark.parametrize(
    ("kind", "says"),
    [("continuous", {"kind", "steering_deg", "speed"}), ("discrete", {"kind", "choices"})],
)
def test_a_manifest_says_of_the_actions_what_its_kind_of_them_has(tmp_path, kind, says):
    fields: dict[str, Any] = FIELDS | {"actions": ActionSpace(kind=kind)}
    save_entry(tmp_path / "e", POLICY, **fields)
    assert set(manifest_of(tmp_path / "e")["actions"]) == says


def test_an_entry_that_its_check_refuses_is_not_written(tmp_path):
    def refuse(entry):
        raise EntryError(f"{entry.manifest.name}: no", "run")

    with pytest.raises(EntryError, match="swift: no"):
        save_entry(tmp_path / "e", POLICY, **FIELDS, check=refuse)
    assert list(tmp_path.iterdir()) == []


def test_an_entry_for_another_environment_is_not_of_this_racer(tmp_path):
    save_entry(tmp_path / "e", POLICY, **{**FIELDS, "env": "racer/TimeTrial-v99"})
    error = refusal(tmp_path / "e")
    assert error.code == "env"
    assert "racer/TimeTrial-v99" in str(error)


RANDOM = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def only_entry_errors(path):
    try:
        read_entry(path)
    except EntryError as error:
        assert error.code != "entry"
        assert str(error)


@RANDOM
@given(st.binary(max_size=300))
def test_random_bytes_raise_nothing_but_an_entry_error(tmp_path, content):
    path = tmp_path / "e"
    path.write_bytes(content)
    only_entry_errors(path)


@RANDOM
@given(st.data())
def test_random_changes_of_a_package_raise_nothing_but_an_entry_error(tmp_path, data):
    """Aimed at the zip's own fields, where nearly all bytes of a package mean something."""
    buffer = BytesIO()
    compression = data.draw(st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]))
    pack(buffer, [("manifest.json", b"{}"), ("policy.onnx", b"x" * 50)], compression)
    content = bytearray(buffer.getvalue())
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] = data.draw(st.integers(0, 255))
    path = tmp_path / "e"
    path.write_bytes(bytes(content))
    only_entry_errors(path)
