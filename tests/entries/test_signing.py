"""Signed entries: the same bytes again, a signer that is shown, and forgeries that are refused."""

import json
import stat
import zipfile

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from racer.car.action_space import ActionSpace
from racer.entries.package import read_entry, save_entry
from racer.entries.signing import make_key, public_key, read_key, sign_manifest
from racer.errors import EntryError
from racer.sensors.config import StateConfig
from tests.helpers.entries import POLICY, TRAINED_ON

KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))


def write(path, key: Ed25519PrivateKey | None = KEY, policy=POLICY, author="Ada"):
    save_entry(
        path,
        policy,
        name="swift",
        author=author,
        env="racer/TimeTrial-v0",
        sensor=(StateConfig(),),
        actions=ActionSpace(),
        trained_on=TRAINED_ON,
        key=key,
    )
    return path


def members_of(path):
    with zipfile.ZipFile(path) as zipped:
        return {name: zipped.read(name) for name in zipped.namelist()}


def pack(path, members):
    with zipfile.ZipFile(path, "w") as zipped:
        for name, content in members.items():
            zipped.writestr(name, content)
    return path


def code(path):
    with pytest.raises(EntryError) as caught:
        read_entry(path)
    return caught.value.code


def test_a_signed_entry_shows_its_signer_and_an_unsigned_one_none(tmp_path):
    signed = read_entry(write(tmp_path / "signed"))
    assert signed.signer == public_key(KEY)
    assert signed.policy == POLICY
    assert read_entry(write(tmp_path / "plain", key=None)).signer is None
    assert sorted(members_of(tmp_path / "plain")) == ["manifest.json", "policy.onnx"]


def test_signing_the_same_content_twice_gives_the_same_bytes(tmp_path):
    assert write(tmp_path / "one").read_bytes() == write(tmp_path / "two").read_bytes()


def test_a_signature_is_ed25519_as_rfc_8032_tests_it():
    """Test 2 of section 7.1, for the public key; what is signed has racer's words before it."""
    secret = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
    key = Ed25519PrivateKey.from_private_bytes(secret)
    said = json.loads(sign_manifest(b"{}", key))
    assert said["public_key"] == "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
    message = b"racer entry signature 1\n{}"
    key.public_key().verify(bytes.fromhex(said["signature"]), message)


def test_a_signature_of_another_manifest_is_refused(tmp_path):
    theirs = members_of(write(tmp_path / "theirs"))
    mine = members_of(write(tmp_path / "mine", key=None, author="Mallory"))
    forged = {**mine, "signature.json": theirs["signature.json"]}
    assert code(pack(tmp_path / "forged", forged)) == "forged"


def test_another_policy_under_a_signed_manifest_is_refused(tmp_path):
    members = members_of(write(tmp_path / "e"))
    assert code(pack(tmp_path / "e", {**members, "policy.onnx": b"other"})) == "hash"


def test_a_manifest_that_only_looks_the_same_is_refused(tmp_path):
    members = members_of(write(tmp_path / "e"))
    respaced = members["manifest.json"].replace(b"\n", b"\n ")
    assert code(pack(tmp_path / "e", {**members, "manifest.json": respaced})) == "forged"


def test_a_signature_under_another_s_name_is_refused(tmp_path):
    members = members_of(write(tmp_path / "e"))
    said = json.loads(members["signature.json"])
    said["public_key"] = public_key(Ed25519PrivateKey.from_private_bytes(b"\x01" * 32))
    members["signature.json"] = json.dumps(said).encode()
    assert code(pack(tmp_path / "e", members)) == "forged"


def test_a_signature_file_that_is_none_is_refused(subtests, tmp_path):
    for content in [
        b"",
        b"{}",
        b"[" * 900,
        b"\xff",
        json.dumps({"public_key": "0" * 64, "signature": "0" * 128}).encode(),
        json.dumps({"public_key": "f" * 64, "signature": "0" * 128}).encode(),
        json.dumps({"public_key": "0" * 63, "signature": "0" * 128}).encode(),
        json.dumps({"public_key": "0" * 64, "signature": "0" * 128, "more": 1}).encode(),
    ]:
        with subtests.test(content=content):
            members = members_of(write(tmp_path / "e"))
            assert code(pack(tmp_path / "e", {**members, "signature.json": content})) == "forged"


WEAK = {
    "order 1": "01" + "00" * 31,
    "order 1, y not reduced": "ee" + "ff" * 30 + "7f",
    "order 2": "ec" + "ff" * 30 + "7f",
    "order 4": "00" * 32,
    "order 8": "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "order 8, the other sign of x": (
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa"
    ),
}
"""Public keys whose order divides 8: one forgery in so many fits without any secret."""


@pytest.mark.slow
def test_a_key_that_anybody_can_sign_with_is_refused(subtests, tmp_path):
    for key in WEAK.values():
        with subtests.test(key=key):
            forged = json.dumps({"public_key": key, "signature": "01" + "00" * 63}).encode()
            for number in range(32):
                members = members_of(write(tmp_path / "e", author=f"author {number}"))
                assert code(pack(tmp_path / "e", {**members, "signature.json": forged})) == "forged"


def test_every_changed_digit_of_a_signature_is_refused(tmp_path):
    members = members_of(write(tmp_path / "e"))
    said = json.loads(members["signature.json"])
    for at in range(0, 128, 5):
        digits = list(said["signature"])
        digits[at] = "0" if digits[at] != "0" else "1"
        changed = json.dumps({**said, "signature": "".join(digits)}).encode()
        assert code(pack(tmp_path / "e", {**members, "signature.json": changed})) == "forged"


def test_a_signature_may_not_be_large(tmp_path):
    members = members_of(write(tmp_path / "e"))
    assert code(pack(tmp_path / "e", {**members, "signature.json": bytes(1001)})) == "too_big"


def test_a_signature_does_not_stand_for_the_manifest(tmp_path):
    members = members_of(write(tmp_path / "e"))
    del members["manifest.json"]
    assert code(pack(tmp_path / "e", members)) == "members"


def test_a_key_is_made_for_its_owner_alone_and_reads_back(tmp_path):
    path = tmp_path / "racer.key"
    public = make_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert public_key(read_key(path)) == public
    assert make_key(tmp_path / "other.key") != public


def test_a_key_is_never_overwritten(tmp_path):
    path = tmp_path / "racer.key"
    make_key(path)
    before = path.read_bytes()
    with pytest.raises(EntryError, match="never overwritten") as caught:
        make_key(path)
    assert caught.value.code == "key"
    assert path.read_bytes() == before


def test_a_key_is_not_written_through_a_link(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(EntryError):
        make_key(tmp_path / "link")
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("where", ["missing/racer.key", "\0"])
def test_a_key_that_cannot_be_written_is_an_error_of_the_key(tmp_path, where):
    with pytest.raises(EntryError) as caught:
        make_key(tmp_path / where)
    assert caught.value.code == "key"


def pem(key, encryption):
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
    )


@pytest.mark.parametrize(
    "content",
    [
        None,
        b"",
        b"hello",
        pem(ec.generate_private_key(ec.SECP256R1()), serialization.NoEncryption()),
        pem(KEY, serialization.BestAvailableEncryption(b"secret")),
    ],
    ids=["missing", "empty", "words", "another kind", "with a password"],
)
def test_what_is_no_key_is_refused_with_the_way_to_make_one(tmp_path, content):
    path = tmp_path / "racer.key"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(EntryError, match="racer board keygen") as caught:
        read_key(path)
    assert caught.value.code == "key"
