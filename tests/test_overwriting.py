"""A command writes over what racer made of the same kind, and over nothing of a person's."""

from typing import Any

import pytest

from racer.cli import main
from racer.entries.package import read_entry, save_entry
from racer.errors import EntryError
from tests.helpers.entries import FIELDS, POLICY

NAMES = {
    "tracks generate": ("tracks", "generate", "--seed", "7", "--out"),
    "tracks import": ("tracks", "import", "road.npy", "--out"),
    "tracks export": ("tracks", "export", "oval", "--format", "csv", "--out"),
    "actions": ("actions", "--out"),
}


@pytest.mark.parametrize("words", NAMES.values(), ids=NAMES)
def test_a_document_of_a_person_s_is_not_written_over(tmp_path, monkeypatch, capsys, words):
    monkeypatch.chdir(tmp_path)
    main(["tracks", "export", "hairpin", "--out", "road.npy"])
    path = tmp_path / "mine.yaml"
    path.write_text("steps: 1000  # a config of mine\n")
    with pytest.raises(SystemExit) as stop:
        main([*words, str(path)])
    assert stop.value.code == 2
    assert "mine.yaml: cannot be written: another file is there" in capsys.readouterr().err
    assert path.read_text() == "steps: 1000  # a config of mine\n"


@pytest.mark.parametrize("words", NAMES.values(), ids=NAMES)
def test_the_same_command_may_be_typed_twice(tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    main(["tracks", "export", "hairpin", "--out", "road.npy"])
    for _ in range(2):
        main([*words, "made"])
    assert (tmp_path / "made").is_file()


def test_an_entry_replaces_an_entry_and_no_other_file(tmp_path):
    path = tmp_path / "mine.entry.zip"
    for name in ("first", "second"):
        fields: dict[str, Any] = FIELDS | {"name": name}
        save_entry(path, POLICY, **fields)
    assert read_entry(path).manifest.name == "second"
    (tmp_path / "reward.py").write_text("mine")
    with pytest.raises(EntryError, match="another file is there"):
        save_entry(tmp_path / "reward.py", POLICY, **FIELDS)
    assert (tmp_path / "reward.py").read_text() == "mine"
