"""Runs at a URL: each content once, verified when it is fetched, and never over other files."""

import json
import shutil

import pytest

from racer.cli import main
from racer.errors import RemoteError, RunError
from racer.training.run_dir import Run
from racer.training.run_storage import pull_run, push_run
from tests.helpers.stores import running_s3

pytest.importorskip("fsspec", reason="needs racer's extra board: fsspec")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "racer" / "files"


@pytest.fixture
def url(tmp_path):
    """A URL of a file system that is a folder."""
    return f"file://{tmp_path}/bucket"


@pytest.fixture
def run(tmp_path):
    """What a run's folder holds while it is trained."""
    folder = tmp_path / "first"
    (folder / "checkpoints").mkdir(parents=True)
    for name, text in {
        "config.yaml": "steps: 5",
        "run.json": json.dumps({"began": "2026-11-26T10:00:00"}),
        "checkpoints.json": "{}",
        "checkpoints/step-1.pt": "weights",
        "checkpoints/step-2.pt": "other weights",
        "log.txt": "one line",
        "lock": "",
        "stop": "",
    }.items():
        (folder / name).write_text(text)
    return Run(folder)


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name not in ("lock", "stop")
    }


def blob(tmp_path, text):
    (found,) = [
        path for path in (tmp_path / "bucket" / "files").iterdir() if path.read_text() == text
    ]
    return found


def test_a_run_comes_back_as_it_was_without_the_files_of_its_process(run, url, tmp_path):
    pushed = push_run(run, url)
    assert (pushed.url, pushed.files, pushed.sent) == (f"{url}/first", 6, 6)
    pulled = pull_run(pushed.url, tmp_path / "again")
    assert contents(pulled.folder) == contents(run.folder)
    assert not (pulled.folder / "lock").exists()
    assert not (pulled.folder / "stop").exists()


def test_only_what_is_new_is_sent(run, url, tmp_path):
    push_run(run, url)
    (run.folder / "log.txt").write_text("one line\nanother")
    (run.folder / "checkpoints" / "step-1.pt").unlink()
    (run.folder / "checkpoints" / "step-3.pt").write_text("weights")
    again = push_run(run, url)
    assert (again.files, again.sent, again.sent_bytes) == (6, 1, len("one line\nanother"))
    assert contents(pull_run(again.url, tmp_path / "again").folder) == contents(run.folder)


def test_a_second_copy_is_taken_from_the_cache(run, url, tmp_path, cache):
    place = push_run(run, url).url
    pull_run(place, tmp_path / "one")
    assert len(list(cache.iterdir())) == 6
    shutil.rmtree(tmp_path / "bucket" / "files")
    assert contents(pull_run(place, tmp_path / "two").folder) == contents(run.folder)
    next(cache.iterdir()).write_text("a broken disk")
    with pytest.raises(RunError, match="the file is missing"):
        pull_run(place, tmp_path / "three")
    assert not (tmp_path / "three" / "config.yaml").exists(), "so it is not taken for a run"


def test_a_file_that_was_changed_at_the_url_is_refused(run, url, tmp_path):
    place = push_run(run, url).url
    blob(tmp_path, "weights").write_text("poison!")
    with pytest.raises(RunError, match="was changed"):
        pull_run(place, tmp_path / "again")
    assert not (tmp_path / "again" / "checkpoints" / "step-1.pt").exists()


def test_an_interrupted_copy_goes_on(run, url, tmp_path):
    place = push_run(run, url).url
    whole = blob(tmp_path, "weights")
    kept = whole.read_bytes()
    whole.unlink()
    with pytest.raises(RunError, match="missing"):
        pull_run(place, tmp_path / "again")
    whole.write_bytes(kept)
    assert contents(pull_run(place, tmp_path / "again").folder) == contents(run.folder)


def test_nothing_is_written_over(run, url, tmp_path):
    place = push_run(run, url).url
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "log.txt").write_text("my own")
    with pytest.raises(RunError, match=r"log\.txt is not a file of that run"):
        pull_run(place, tmp_path / "mine")
    assert contents(tmp_path / "mine") == {"log.txt": b"my own"}
    (run.folder / "run.json").write_text(json.dumps({"began": "2026-11-27T10:00:00"}))
    with pytest.raises(RunError, match="is another run, begun at 2026-11-26T10:00:00"):
        push_run(run, url)
    assert push_run(run, url, "second").url == f"{url}/second"


def test_a_run_that_changes_while_it_is_read_is_read_again(run, url, tmp_path):
    changes = [2]

    def tell(done, all):
        if done == all and changes:
            count = changes.pop()
            (run.folder / "checkpoints.json").write_text(f"[{count}]")

    pushed = push_run(run, url, tell=tell)
    assert contents(pull_run(pushed.url, tmp_path / "again").folder) == contents(run.folder)

    def change_always(done, all):
        path = run.folder / "checkpoints.json"
        path.write_text(path.read_text() + " ")

    with pytest.raises(RunError, match="changes while it is copied; pause it"):
        push_run(run, url, tell=change_always)


@pytest.mark.parametrize(
    ("inside", "about", "why"),
    [
        ("../evil", {"sha256": "0" * 64}, "leads out"),
        ("/etc/evil", {"sha256": "0" * 64}, "leads out"),
        ("a/../../evil", {"sha256": "0" * 64}, "leads out"),
        ("a\\..\\evil", {"sha256": "0" * 64}, "leads out"),
        ("C:/evil", {"sha256": "0" * 64}, "leads out"),
        ("log.txt", {"sha256": "../../evil"}, "no SHA-256"),
        ("log.txt", {}, "no list of a run's files"),
    ],
)
def test_a_list_that_leads_out_of_the_folder_is_refused(url, tmp_path, inside, about, why):
    (tmp_path / "bucket").mkdir()
    tree = {"schema_version": 1, "run": {}, "files": {inside: about}}
    (tmp_path / "bucket" / "evil.json").write_text(json.dumps(tree))
    with pytest.raises(RunError, match=why):
        pull_run(f"{url}/evil", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_is_not_there_is_a_sentence(run, url, tmp_path):
    with pytest.raises(RunError, match="there is no such run"):
        pull_run(f"{url}/nobody", tmp_path / "out")
    with pytest.raises(RunError, match="no URL of a run"):
        pull_run("runs/first", tmp_path / "out")
    with pytest.raises(RemoteError, match="a URL that fsspec knows"):
        push_run(run, "floppy://a")
    with pytest.raises(RunError, match="does not fit a run"):
        push_run(run, url, "a/b")


@pytest.mark.ci
@pytest.mark.slow
def test_a_run_goes_through_a_bucket_by_the_verbs(run, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with running_s3() as variables:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        main(["runs", "push", "first", "s3://board/runs"])
        assert "pushed: s3://board/runs/first, 6 files, 6 sent" in capsys.readouterr().out
        main(["runs", "pull", "s3://board/runs/first"])
        assert "pulled: runs/first" in capsys.readouterr().out
        assert contents(tmp_path / "runs" / "first") == contents(run.folder)
