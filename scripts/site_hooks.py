"""Pages of the site that are not files of docs/, and the links between them; `mkdocs.yml` names it.

The files of the repository link each other by relative paths, so that they can be followed in a
checkout too. On the site, some of them stand elsewhere: `on_page_markdown` rewrites those links.
"""

import logging
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from racer.cli.app import COMMANDS, make_app

ROOT = Path(__file__).parents[1]
PAGES_OUTSIDE = (
    "tracks/README.md",
    *("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "CODE_OF_CONDUCT.md"),
)
"""Files outside docs/ that are pages of the site, of the same path there."""
COMMANDS_PAGE = "commands.md"
LOG = logging.getLogger("mkdocs.hooks.site")  # a warning there ends a strict build
FETCHED = re.compile(
    r"<(?:script|img|iframe|video|source)\b[^>]*\ssrc=[\"']?(https?:[^\"'\s>]*)"
    r"|<link\b(?=[^>]*rel=[\"']?(?:stylesheet|preload|preconnect|icon))"
    r"[^>]*href=[\"']?(https?:[^\"'\s>]*)"
)
"""What a browser would fetch from another server to show a page."""
LINK = re.compile(r"(?<!`)(\]\()([^)\s#:]+)((?:#[^)\s]*)?\))")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are not in docs/."""
    for path in PAGES_OUTSIDE:
        text = (ROOT / path).read_text(encoding="utf-8")
        files.append(File.generated(config, path, content=text))
    files.append(File.generated(config, COMMANDS_PAGE, content=commands_page()))
    return files


def on_page_markdown(markdown: str, *, page: Page, **_: Any) -> str:
    """Return a page's text with the links of the repository as links of the site."""
    uri = page.file.src_uri
    here = posixpath.dirname(uri if uri in PAGES_OUTSIDE else f"docs/{uri}")

    def on_site(link: re.Match[str]) -> str:
        before, target, after = link.groups()
        found = posixpath.normpath(posixpath.join(here, target)).removeprefix("docs/")
        return before + posixpath.relpath(found, posixpath.dirname(uri) or ".") + after

    return LINK.sub(on_site, markdown)


def on_post_page(output: str, *, page: Page, **_: Any) -> str:
    """Warn of what a page would fetch from another server."""
    for found in FETCHED.finditer(output):
        LOG.warning("%s fetches %s", page.file.src_uri, found[1] or found[2])
    return output


def commands_page() -> str:
    """Return the page of all commands: each with its help, its words and its options."""
    lines = [
        "# Commands",
        "",
        "What `racer COMMAND --help` says. `racer train CONFIG --help` also lists the fields of",
        "the config, each of which is an option.",
    ]
    app = make_app()
    for heading, commands in COMMANDS.items():
        lines += ["", f"## {heading}"]
        for path in commands:
            command = app
            for word in path.split():
                command = command[word]
            about, _, helps = command.help.partition("\nArgs:\n")
            of_name = dict(re.findall(r"^ +(\w+): (.*)$", helps, re.MULTILINE))
            names = [one.name for one in command.assemble_argument_collection()]
            words = [name for name in names if not name.startswith("-")]
            lines += ["", f"### `racer {path}`", "", literal(about.strip())]
            if names:
                lines += ["", f"| `racer {' '.join([path, *words])}` | |", "|---|---|"]
            for name in names:
                key = name.strip("-").lower().replace("-", "_")
                told = of_name.get(key) or of_name.get(f"{key}_") or ""
                lines.append(f"| `{name}` | {literal(told)} |")
    return "\n".join(lines) + "\n"


def literal(text: str) -> str:
    """Return a text in which Markdown reads no HTML tag and no cell of a table."""
    text = text.replace("|", "\\|")
    return re.sub(r"`[^`]*`|<", lambda found: found[0] if len(found[0]) > 1 else "&lt;", text)
