"""HTML templates: every value is text, and what a template needs is in the package."""

from html.parser import HTMLParser
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

HOSTILE = "</td></title></style><script>a()</script>\"'&<img src=x onerror=a()>{{ 7 * 6 }}{% x %}\n"
"""What would be markup, an attribute's end or a template, were it not escaped."""


class Page(HTMLParser):
    """The tags of a page, what they hold, and the text between them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags, self.values, self.text = [], [], ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.values += [value for _, value in attrs]
        assert not any(name.startswith("on") for name, _ in attrs)

    def handle_data(self, data):
        self.text += data

    def shows(self, text: str) -> int:
        """How many times a text is shown or held by an attribute, as it is."""
        return self.text.count(text) + sum(text in (value or "") for value in self.values)


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
    page = Page(text)
    assert not {"script", "img"} & set(page.tags)
    assert page.shows(HOSTILE) == 11
    assert "42" not in text


def test_hostile_words_are_only_text_in_a_notebook():
    card = html_card(HOSTILE, {HOSTILE: HOSTILE}, HOSTILE)
    assert Page(card).shows(HOSTILE) == 4
    assert not {"script", "img"} & set(Page(card).tags)
    still = Page(Video(b"", ".png", SHARED_TEMPLATES / HOSTILE.replace("/", ""))._repr_html_())
    assert still.tags == ["img"]


def test_a_value_that_a_template_lacks_is_an_error():
    with pytest.raises(UndefinedError, match="'rows' is undefined"):
        render_template(SHARED_TEMPLATES, "card.html", title="a", picture="")


@pytest.mark.parametrize(
    ("package", "names"),
    [
        ("racer.assets", ["card.html", "macros.html", "video.html"]),
        ("racer.training", ["report.css", "report.html"]),
    ],
)
def test_templates_are_files_of_the_package(package, names):
    folder = files(package) / "templates"
    assert sorted(file.name for file in folder.iterdir()) == names
    assert all((folder / name).read_text(encoding="utf-8").strip() for name in names)
