"""HTML templates: every value is text, and what a template needs is in the package."""

from importlib.resources import files

import pytest
from jinja2 import UndefinedError

from racer.assets.notebook import Video, html_card
from racer.assets.templates import SHARED_TEMPLATES, render_template
from racer.training.training_report import (
    REPORT_GENERATOR,
    REPORT_TEMPLATES,
    ReportSection,
    ReportTable,
)
from tests.helpers.html import HOSTILE, Tags, assert_is_harmless


def test_hostile_words_are_only_text_in_a_training_report():
    table = ReportTable([HOSTILE], [[HOSTILE], [HOSTILE]], bold_row=1)
    text = render_template(
        REPORT_TEMPLATES,
        "report.html",
        generator=REPORT_GENERATOR,
        title=HOSTILE,
        description=HOSTILE,
        facts={HOSTILE: HOSTILE},
        sections=[ReportSection(HOSTILE, HOSTILE, HOSTILE, table, is_wide=True)],
    )
    assert_is_harmless(text)
    assert Tags(text).shows(HOSTILE) == 11


def test_hostile_words_are_only_text_in_a_notebook():
    card = html_card(HOSTILE, {HOSTILE: HOSTILE}, HOSTILE)
    assert_is_harmless(card)
    assert Tags(card).shows(HOSTILE) == 4
    path = SHARED_TEMPLATES / HOSTILE.replace("/", "")
    ((tag, given),) = Tags(Video(b"", ".png", path)._repr_html_()).tags
    assert tag == "img" and str(path) in str(given["alt"])
    assert set(given) == {"alt", "src", "style"}


def test_a_value_that_a_template_lacks_is_an_error():
    with pytest.raises(UndefinedError, match="'rows' is undefined"):
        render_template(SHARED_TEMPLATES, "card.html", title="a", picture="")


@pytest.mark.parametrize(
    ("package", "names"),
    [
        ("racer.assets", "card.html macros.html video.html"),
        ("racer.training", "report.css report.html"),
        (
            "racer.leaderboard.pages",
            "base.html board_macros.html entry.html index.html player.html refusal.html "
            "season.html",
        ),
    ],
)
def test_templates_are_files_of_the_package(package, names):
    folder = files(package) / "templates"
    assert sorted(file.name for file in folder.iterdir()) == names.split()
    assert all((folder / name).read_text(encoding="utf-8").strip() for name in names.split())
