"""What a page holds, and words that would break out of one that did not escape them."""

from html.parser import HTMLParser

HOSTILE = (
    "</td></title></style></script><script>a()</script>\"'&<img src=x onerror=a()>"
    "{{ 7919 * 7919 }}{% x %}{# #}\nend"
)
"""Were it not escaped, it would be markup, the end of an attribute, or part of a template."""


class Tags(HTMLParser):
    """Every tag of a page with its attributes, the text between, and what its scripts hold."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def shows(self, text: str) -> int:
        """How many times a text is shown or held by an attribute, as it is."""
        held = [value for _, given in self.tags for value in given.values() if value]
        return self.text.count(text) + sum(value.count(text) for value in held)


def assert_is_harmless(page: str) -> None:
    """Nothing of `HOSTILE` is a tag, an attribute or the work of a template."""
    found = Tags(page)
    assert "img" not in [tag for tag, _ in found.tags]
    assert not any(key.startswith("on") for _, given in found.tags for key in given)
    for tag, given in found.tags:
        assert tag != "script" or "src" in given or given["type"] == "application/json"
    assert str(7919 * 7919) not in page
