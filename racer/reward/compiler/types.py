"""The types of values in compiled rewards, and their form in the generated code.

| type | in Python | in the generated code |
|---|---|---|
| Scalar bool, int, float | bool, int, float | bool, int64, float64 |
| Scalar num | int or float, known only when it runs | (float64, whether it is an int) |
| Scalar npbool, npint, npfloat | a number of numpy's | bool, int64, float64 |
| Scalar anyfloat | float or numpy's | float64 |
| Optional_ | None or a value | (whether it is None, value) |
| Words | one of some texts that stand in the file | int64, its index |
| MadeText | a text that is made when it runs, to be printed | int64, where its values are kept |
| Tup | tuple, list or short array of fixed length | tuple |
| Table | list of numbers or rows that nothing changes | tuple of arrays, one a column |
| Rows | list that the code fills | list |
| Static | what the compiler knows: a function, module, text, dict, object | nothing |
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


class NotCompiled(Exception):
    """Raised where the compiler cannot translate something.

    Args:
        what: What it is.
        line: Its line in the reward file; None where none is to blame.
    """

    def __init__(self, what: str, line: int | None = None) -> None:
        super().__init__(f"line {line}: {what}" if line else what)
        self.what, self.line = what, line


@dataclass(frozen=True)
class Scalar:
    """A number or truth value, or None."""

    kind: str


@dataclass(frozen=True)
class Optional_:
    """None or a value."""

    of: Type


@dataclass(frozen=True)
class Tup:
    """A sequence of fixed length: a "tuple", a "list" that nothing changes, or an "array"."""

    items: tuple[Type, ...]
    form: str = "tuple"


@dataclass(frozen=True)
class Table:
    """A list that nothing changes; `size` is 0 where it is not known, and never is empty else."""

    item: Type
    size: int = 0


@dataclass(frozen=True)
class Rows:
    """A list; `item` is None as long as nothing is in it. A frozen one must not be changed."""

    item: Type | None
    is_frozen: bool = False


@dataclass(frozen=True)
class Words:
    """One of some texts that stand in the file; `texts` are sorted."""

    texts: tuple[str, ...]


@dataclass(frozen=True)
class MadeText:
    """A text that is made of values; nothing but another text can be made of it."""


@dataclass(frozen=True)
class Static:
    """Something that the compiler knows, compared by identity."""

    value: Any

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Static):
            return False
        same_text = isinstance(self.value, str) and self.value == other.value
        return self.value is other.value or same_text

    def __hash__(self) -> int:
        return hash(self.value) if isinstance(self.value, str) else id(self.value)


Type = Scalar | Optional_ | Tup | Table | Rows | Words | MadeText | Static

MADE_TEXT = MadeText()

NONE, BOOL, INT, FLOAT, NUM = (Scalar(kind) for kind in ("none", "bool", "int", "float", "num"))
NPBOOL, NPINT, NPFLOAT = (Scalar(kind) for kind in ("npbool", "npint", "npfloat"))
ANYFLOAT = Scalar("anyfloat")
FLOATS, INTS, BOOLS = {FLOAT, NPFLOAT, ANYFLOAT}, {BOOL, INT, NPINT}, {BOOL, NPBOOL}
NUMPY = {NPBOOL, NPINT, NPFLOAT, ANYFLOAT}
PLAIN = {BOOL, INT, FLOAT, NUM}


def join(a: Type | None, b: Type | None) -> Type:
    """Return the type of a variable that holds values of both types.

    Raises:
        NotCompiled: No type holds both.
    """
    if a is None or b is None:
        found = a or b
        assert found is not None
        return found
    if a == b:
        return a
    if (one := texts_of(a)) is not None and (other := texts_of(b)) is not None:
        return Words(tuple(sorted({*one, *other})))
    if a == NONE:
        return b if isinstance(b, Optional_) else Optional_(_held(b))
    if b == NONE:
        return join(b, a)
    if isinstance(a, Optional_) or isinstance(b, Optional_):
        inner = [one.of if isinstance(one, Optional_) else one for one in (a, b)]
        return Optional_(_held(join(*inner)))
    if isinstance(a, Scalar) and isinstance(b, Scalar):
        return _join_scalars(a, b)
    if (
        isinstance(a, Tup)
        and isinstance(b, Tup)
        and (a.form, len(a.items))
        == (
            b.form,
            len(b.items),
        )
    ):
        return Tup(tuple(join(x, y) for x, y in zip(a.items, b.items)), a.form)
    if isinstance(a, Table) and isinstance(b, Table):
        return Table(join(a.item, b.item), a.size if a.size == b.size else 0)
    sequences = (Tup, Table, Rows)
    if isinstance(a, sequences) and isinstance(b, sequences):
        both = isinstance(a, Rows) and isinstance(b, Rows)
        item = None
        for one in (item_of(a), item_of(b)):
            item = join(item, one) if item or one else None
        if both:
            grows = [one for one in (a, b) if isinstance(one, Rows)]
            return Rows(item, any(one.is_frozen for one in grows))
        if all(isinstance(one, Rows) or getattr(one, "form", "list") == "list" for one in (a, b)):
            return Rows(item, True)
    raise NotCompiled(f"a value that is {named(a)} here and {named(b)} there")


def _join_scalars(a: Scalar, b: Scalar) -> Scalar:
    pair = {a, b}
    if pair <= {BOOL, INT}:
        return INT
    if pair <= PLAIN:
        return NUM
    if pair <= BOOLS:
        return NPBOOL
    if pair <= INTS:
        return NPINT
    if pair <= FLOATS:
        return ANYFLOAT
    raise NotCompiled(f"a number that is {named(a)} here and {named(b)} there")


def _held(kind: Type) -> Type:
    if (texts := texts_of(kind)) is not None:
        return Words(texts)
    if isinstance(kind, Static | Rows | Table | MadeText):
        raise NotCompiled(f"a value that is None here and {named(kind)} there")
    return kind


def texts_of(kind: Type) -> tuple[str, ...] | None:
    """Return the texts of which a value is one; None if it is no text."""
    if isinstance(kind, Words):
        return kind.texts
    if isinstance(kind, Static) and isinstance(kind.value, str):
        return (kind.value,)
    return None


def item_of(kind: Type) -> Type | None:
    """Return the type of every item of a sequence; None of an empty one.

    Raises:
        NotCompiled: Its items have no common type.
    """
    if isinstance(kind, Tup):
        found: Type | None = None
        for one in kind.items:
            found = join(found, one)
        return found
    if isinstance(kind, Table | Rows):
        return kind.item
    raise NotCompiled(f"{named(kind)} where a list is wanted")


def named(kind: Type) -> str:
    """Return words for a type."""
    if isinstance(kind, Scalar):
        known = {"none": "None", "num": "an int or a float", "bool": "a bool", "int": "an int"}
        known |= {"float": "a float", "anyfloat": "a float or a number of numpy's"}
        return known.get(kind.kind, "a number of numpy's")
    if isinstance(kind, Optional_):
        return f"None or {named(kind.of)}"
    if isinstance(kind, Static):
        value = kind.value
        return f"the text {value!r:.40}" if isinstance(value, str) else f"a {_title(value)}"
    if isinstance(kind, Tup):
        return f"a {kind.form} of {len(kind.items)}"
    return "a text" if isinstance(kind, Words | MadeText) else "a list"


def _title(value: Any) -> str:
    return getattr(value, "title", None) or type(value).__name__


def zero(kind: Type | None) -> str:
    """Return the code of some value of a type."""
    if kind is None or isinstance(kind, Static | Words | MadeText):
        return "0"
    if isinstance(kind, Optional_):
        return f"(True, {zero(kind.of)})"
    if isinstance(kind, Tup):
        return f"({''.join(zero(one) + ', ' for one in kind.items)})" if kind.items else "0"
    if isinstance(kind, Rows):
        return f"[{zero(kind.item)} for _ in range(0)]"
    if isinstance(kind, Table):
        arrays = [f"np.empty(0, dtype=np.{leaf})" for leaf in leaves(kind.item)]
        return f"({''.join(one + ', ' for one in arrays)})"
    return {"bool": "False", "npbool": "False", "int": "0", "npint": "0", "none": "0"}.get(
        kind.kind, "(0.0, False)" if kind == NUM else "0.0"
    )


def leaves(kind: Type) -> list[str]:
    """Return numpy's types of the columns of a table with such items."""
    if isinstance(kind, Tup):
        return [leaf for one in kind.items for leaf in leaves(one)]
    if kind == NUM:
        return ["float64", "bool_"]
    if kind in BOOLS:
        return ["bool_"]
    if kind in INTS:
        return ["int64"]
    if kind in FLOATS:
        return ["float64"]
    raise NotCompiled(f"a list whose items are {named(kind)}")


def from_leaves(kind: Type, codes: list[str]) -> str:
    """Return the code of a value from those of its leaves, which are taken off the list."""
    if isinstance(kind, Tup):
        return f"({''.join(from_leaves(one, codes) + ', ' for one in kind.items)})"
    if kind == NUM:
        return f"({codes.pop(0)}, {codes.pop(0)})"
    return codes.pop(0)
