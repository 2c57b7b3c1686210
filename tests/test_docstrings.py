"""The package's documentation: parameters are described, and prose is plain English."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1] / "racer"
MODULES = sorted(ROOT.rglob("*.py"))
MIN_PARAMETERS = 3
"""A function with this many parameters has an `Args:` section."""

"""Rooms and modules whose prose is not all plain yet; nothing may be added."""

DIALECT = re.compile(
    r"\b("
    r"came (to|of)|[Ww]hat became of|so many|[Ww]hoever|(?<!there )is none(?! of)"
    r"|(is|are|be|was) told(?! apart)|([Ss]ays|[Ss]peaks|[Tt]ells|[Tt]old) of|[Nn]obody's"
    r"|[Nn]o one's|what stands|now and then|a person means|[Pp]roving ground|(its|an?|the) exams?"
    r"|without a word|bears? it out|own luck|by turns|a row a|a list a|a line a|[Ww]ay round"
    r"|one an? (car|row|lap|step|entry|episode|evaluation|processor|control point)"
    r"|an? (entry|unit|point|sector|level|family|gate) an? (row|car|lap|step|entry|command)"
    r")\b"
)
"""Phrases that a reader who has never seen this code would have to guess at."""


def signatures(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef, str]]:
    """Each public function, method and constructor: its name, its node and its docstring."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield node.name, node, ast.get_docstring(node) or ""
        if not isinstance(node, ast.ClassDef) or node.name.startswith("_"):
            continue
        for method in node.body:
            if not isinstance(method, ast.FunctionDef):
                continue
            text = ast.get_docstring(method) or ""
            if method.name == "__init__":
                yield node.name, method, ast.get_docstring(node) or text
            elif not method.name.startswith("_"):
                yield f"{node.name}.{method.name}", method, text


def parameters(node: ast.FunctionDef) -> list[str]:
    """The names of a function's parameters, without `self` and `cls`."""
    of = node.args
    named = [*of.posonlyargs, *of.args, *filter(None, [of.vararg]), *of.kwonlyargs]
    names = [arg.arg for arg in (*named, *filter(None, [of.kwarg]))]
    return [name for name in names if name not in ("self", "cls")]


def undescribed(node: ast.FunctionDef, docstring: str) -> list[str]:
    """The parameters that an `Args:` section leaves out; none where it says whose it is."""
    names = parameters(node)
    if len(names) < MIN_PARAMETERS or docstring.startswith("See `"):
        return []
    _, _, section = docstring.partition("Args:\n")
    entries = re.findall(r"^ {4}([^\s:][^:]*):", section, re.MULTILINE)
    described = {name.strip(" *`") for entry in entries for name in entry.split(",")}
    return [name for name in names if name not in described]


def prose(source: str) -> Iterator[tuple[int, str]]:
    """Each string and each block of comments, with its line, on one line each."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, " ".join(node.value.split())
    block: list[str] = []
    first = last = 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT:
            continue
        if token.start[0] != last + 1:
            yield first, " ".join(block)
            block, first = [], token.start[0]
        block.append(token.string.lstrip("# "))
        last = token.start[0]
    yield first, " ".join(block)


def test_every_public_function_of_three_parameters_describes_them():
    missing = [
        f"{path.relative_to(ROOT)}:{node.lineno}: {name}: {', '.join(left_out)}"
        for path in MODULES
        for name, node, docstring in signatures(ast.parse(path.read_text()))
        if (left_out := undescribed(node, docstring))
    ]
    assert missing == []


def test_prose_is_plain_english():
    found = [
        f"{path.relative_to(ROOT)}:{line}: ...{text[max(match.start() - 30, 0) : match.end() + 30]}"
        for path in MODULES
        for line, text in prose(path.read_text())
        for match in DIALECT.finditer(text)
    ]
    assert found == []


def test_a_parameter_that_is_left_out_is_found():
    source = (
        'def f(one, two, *three):\n    """Return.\n\n    Args:\n        one, two: Numbers.\n    """'
    )
    ((_, node, docstring),) = signatures(ast.parse(source))
    assert undescribed(node, docstring) == ["three"]


def test_a_phrase_is_found_across_lines_of_a_comment_and_of_a_docstring():
    source = '"""What it\ncame to."""\n\n# For who-\n# ever, whoever\n# asks.\n'
    assert [match[0] for _, text in prose(source) for match in DIALECT.finditer(text)] == [
        "came to",
        "whoever",
    ]
