"""Other people's track files: read as they are, written back the same, refused with a sentence."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from racer import assets
from racer.cli import main
from racer.errors import TrackError
from racer.track import load_track
from racer.track.formats import as_csv, as_npy, read_track

ANGLE = np.arange(60) * 2 * np.pi / 60
CIRCLE = 3.0 * np.stack([np.cos(ANGLE), np.sin(ANGLE)], axis=1)


def npy_of(rows, dtype: type = np.float64) -> bytes:
    file = io.BytesIO()
    np.save(file, np.asarray(rows, dtype=dtype))
    return file.getvalue()


def road(centre=CIRCLE, half=0.4) -> np.ndarray:
    """Rows of centre, inner and outer border of a ring, the first row again at the end."""
    out = centre / np.hypot(*centre.T)[:, None]
    rows = np.hstack([centre, centre - half * out, centre + half * out])
    return np.vstack([rows, rows[:1]])


@pytest.fixture
def written(tmp_path):
    def write(name, content):
        path = tmp_path / str(len(list(tmp_path.iterdir()))) / name  # a path of its own each time
        path.parent.mkdir()
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def test_a_shipped_track_comes_back_from_npy_digit_for_digit(subtests, written):
    for name in assets.shipped_names("tracks"):
        with subtests.test(name=name):
            track = load_track(name)
            back = load_track(str(written("it.npy", as_npy(track))))
            for ring in ("centre", "left", "right"):
                assert np.abs(getattr(back, ring) - getattr(track, ring)).max() < 1e-9
            assert back.is_clockwise == track.is_clockwise


def test_a_track_comes_back_from_csv_with_its_line_and_its_widths(written):
    track = load_track("cove")
    back = load_track(str(written("it.csv", as_csv(track))))
    assert np.abs(back.centre - track.centre).max() < 1e-9
    assert np.abs(back.left - track.left).max() < 0.02
    assert back.width == pytest.approx(track.width, abs=0.02)


@pytest.mark.parametrize("turn", [1, -1])
def test_the_rows_of_a_npy_are_the_driving_order_and_its_borders_are_kept(written, turn):
    rows = road()[::turn]
    track = read_track(written("ring.npy", npy_of(rows)))
    assert track.is_clockwise == (turn < 0)
    inner, outer = (track.left, track.right) if turn > 0 else (track.right, track.left)
    assert np.hypot(*inner.T) == pytest.approx(2.6)
    assert np.hypot(*outer.T) == pytest.approx(3.4)
    assert track.name == "ring"


def test_a_npy_whose_borders_stand_the_other_way_round_is_the_same_road(written):
    rows = road()
    swapped = read_track(written("a.npy", npy_of(rows[:, [0, 1, 4, 5, 2, 3]])))
    plain = read_track(written("b.npy", npy_of(rows)))
    assert np.array_equal(swapped.left, plain.left)


def test_a_centre_line_of_uneven_points_is_located_right_everywhere(written):
    rng = np.random.default_rng(0)
    angle = np.sort(rng.uniform(0.0, 2 * np.pi, 70))
    line = 5.0 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    track = read_track(written("uneven.npy", npy_of(road(line))))
    place = track.locate(track.at(np.array([1.0]))[0])
    for s in np.arange(1.0, 2 * track.length, 0.3):
        xy, _ = track.at(np.array([s]))
        place = track.locate(xy, near=place.segment)
        assert place.s[0] == pytest.approx(s % track.length, abs=1e-9)


def test_a_centre_line_has_its_widths_to_the_right_and_to_the_left(written):
    rows = "\n".join(f"{x},{y},0.3,0.5" for x, y in CIRCLE.tolist())
    track = read_track(written("tum.csv", "# x_m,y_m,w_tr_right_m,w_tr_left_m\n" + rows))
    assert np.hypot(*track.left.T) == pytest.approx(2.5, abs=0.01)
    assert np.hypot(*track.right.T) == pytest.approx(3.3, abs=0.01)


def test_a_raceline_needs_a_width_and_a_length_scales_it(written):
    text = "# a\n# b\n# s_m; x_m; y_m; psi_rad; kappa_radpm; vx_mps; ax_mps2\n"
    text += "\n".join(f"0;{100 * x};{100 * y};0;0;0;0" for x, y in CIRCLE.tolist())
    path = written("line.csv", text)
    with pytest.raises(TrackError, match="--width"):
        read_track(path)
    track = read_track(path, length=20.0, width=0.8)
    assert track.length == pytest.approx(20.0, abs=0.01)
    assert track.width == pytest.approx(0.8, abs=0.01)


BAD = {
    "empty.npy": (b"", "empty"),
    "text.npy": (b"hello", "not a .npy"),
    "flat.npy": (npy_of(np.zeros(60)), r"shape \(60,\)"),
    "narrow.npy": (npy_of(np.zeros((60, 4))), r"shape \(60, 4\)"),
    "nan.npy": (npy_of(np.full((60, 6), np.nan)), "row 0, column 1"),
    "few.npy": (npy_of(road()[:3]), "at least 4"),
    "open.npy": (npy_of(road()[:30]), "does not close"),
    "wide.npy": (npy_of(road(half=30.0)), "60 m wide"),
    "short.npy": (npy_of(road())[:-100], "bytes"),
    "objects.npy": (b"\x93NUMPY\x01\x00v\x00{'descr': '|O', 'shape': (1,6)}".ljust(128), "npy"),
    "words.csv": ("a,b,c,d\n", "line 1"),
    "three.csv": ("1,2,3\n", "3 columns"),
    "ragged.csv": ("1,2,3,4\n1,2,3\n", "line 2"),
    "none.csv": ("# nothing\n", "no row"),
    "latin.csv": (b"\xff\xfe\x00,\n", "text"),
    "inf.csv": ("1,2,3,4\n1,2,inf,4\n", "line 2, column 3"),
}


def test_each_bad_file_gets_a_sentence_that_names_it(subtests, written):
    for name in BAD:
        with subtests.test(name=name):
            content, said = BAD[name]
            with pytest.raises(TrackError, match=said) as caught:
                load_track(str(written(name, content)))
            assert name in str(caught.value)


def test_a_file_that_is_too_big_is_not_read(written):
    path = written("big.csv", b"#" * 10_000_001)
    with pytest.raises(TrackError, match="over 10 MB"):
        load_track(str(path))


GOOD = {".npy": npy_of(road()), ".csv": as_csv(load_track("oval"))}


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(GOOD)), st.data())
def test_no_damage_to_a_file_raises_anything_but_a_track_error(tmp_path_factory, ending, data):
    content = bytearray(GOOD[ending])
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content)))]
    for _ in range(data.draw(st.integers(0, 4))):
        if content:
            at = data.draw(st.integers(0, len(content) - 1))
            content[at] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / f"damaged{ending}"
    path.write_bytes(bytes(content))
    try:
        track = read_track(path)
    except TrackError:
        return
    assert np.isfinite(track.centre).all()


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(GOOD)), st.binary(max_size=400))
def test_random_bytes_raise_nothing_but_a_track_error(tmp_path_factory, ending, content):
    path = tmp_path_factory.getbasetemp() / f"random{ending}"
    path.write_bytes((b"\x93NUMPY\x01\x00" if ending == ".npy" else b"") + content)
    with pytest.raises(TrackError):
        read_track(path)


def test_the_verbs_list_show_generate_import_and_export(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    main(["tracks", "list"])
    assert "validation" in capsys.readouterr().out
    main(["tracks", "list", "--json"])
    rows = json.loads(capsys.readouterr().out)
    assert sorted(row["name"] for row in rows) == assets.shipped_names("tracks")
    assert len(rows) >= 12
    assert {row["set"] for row in rows} == {"train", "validation", "held-out"}
    main(["tracks", "show", "hairpin", "--out", "hairpin.png"])
    assert "27.60 m x 0.80 m, counterclockwise" in capsys.readouterr().out
    assert (tmp_path / "hairpin.png").stat().st_size > 5_000
    main(["tracks", "generate", "--seed", "7", "--length", "25", "--width", "0.9"])
    assert load_track("generated-7.yaml").length == pytest.approx(25.0, abs=0.1)
    main(["tracks", "export", "generated-7.yaml", "--format", "csv", "--out", "seven.csv"])
    main(["tracks", "import", "seven.csv", "--name", "mine", "--length", "30"])
    assert load_track("mine.npy").length == pytest.approx(30.0, abs=1e-6)
    with pytest.raises(SystemExit):
        main(["tracks", "import", "hairpin.png", "--name", "mine"])
    assert ".npy or .csv" in capsys.readouterr().err
