"""The types of values in a reward's generated code, and their C++ form on a device.

| type | in the generated code | in C++ |
|---|---|---|
| `BOOLEAN`, `WHOLE`, `REAL` | bool, int64, float64 | bool, i8 (long long), f8 (double) |
| `NativeTuple` | tuple | a struct of its items |
| `NativeColumn` | an array of one dimension | a pointer, a length and a step |
| `NativeList` | a list that the code fills | an array of a fixed capacity and a length |
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from racer.reward.compiler.types import NotCompiled


@dataclass(frozen=True)
class NativeScalar:
    """A truth value or a number, by its name in C++; `rank` orders them from narrow to wide."""

    name: str
    rank: int


@dataclass(frozen=True)
class NativeTuple:
    """Values of known types."""

    items: tuple[Any, ...]


@dataclass(frozen=True)
class NativeColumn:
    """Scalars of one type that nothing changes."""

    item: NativeScalar


@dataclass(frozen=True)
class NativeList:
    """Values of one type; the item is None as long as nothing is known to be in it."""

    item: Any


BOOLEAN, WHOLE, REAL = (NativeScalar(name, rank) for rank, name in enumerate(("bool", "i8", "f8")))
TOO_LONG = 99
"""Failure: a list has more items than there is room for on a device."""
NativeType = NativeScalar | NativeTuple | NativeColumn | NativeList


def joined(a: NativeType | None, b: NativeType | None) -> NativeType | None:
    """Return the type of a variable that holds values of both types; None is not known yet.

    Raises:
        NotCompiled: No type holds both.
    """
    if a is None or b is None or a == b:
        return b if a is None else a
    if isinstance(a, NativeScalar) and isinstance(b, NativeScalar):
        return max(a, b, key=lambda one: one.rank)
    if isinstance(a, NativeTuple) and isinstance(b, NativeTuple) and len(a.items) == len(b.items):
        return NativeTuple(tuple(joined(x, y) for x, y in zip(a.items, b.items)))
    if isinstance(a, NativeList) and isinstance(b, NativeList):
        return NativeList(joined(a.item, b.item))
    raise NotCompiled("a value whose type on a device is not clear")


@dataclass
class StructTexts:
    """The C++ structs of the tuples, columns and lists that a reward has.

    Attributes:
        capacity: The most items of a list.
        texts: The definitions, in an order in which each follows those that it has in it.
    """

    capacity: int
    texts: list[str] = field(default_factory=list)
    _names: dict[NativeType, str] = field(default_factory=dict)

    def name(self, kind: NativeType | None) -> str:
        """Return the C++ name of a type; its struct is defined if it was not.

        Raises:
            NotCompiled: The type is not known.
        """
        if isinstance(kind, NativeScalar):
            return kind.name
        if kind is None:
            raise NotCompiled("a value whose type on a device is not known")
        if kind not in self._names:
            text = self._definition(kind)
            self._names[kind] = f"S{len(self._names)}"
            self.texts.append(text.replace("@", self._names[kind]))
        return self._names[kind]

    def _definition(self, kind: NativeType) -> str:
        if isinstance(kind, NativeTuple):
            members = [f"{self.name(one)} m{i};" for i, one in enumerate(kind.items)]
            return f"struct @ {{ {' '.join(members)} }};"
        if isinstance(kind, NativeColumn):
            return re.sub(r"\bT\b", self.name(kind.item), _COLUMN)
        assert isinstance(kind, NativeList)
        # A list without a known item stays empty, whatever its items would be.
        item = self.name(kind.item or WHOLE)
        return re.sub(r"\bT\b", item, _LIST).replace("CAPACITY", str(self.capacity))


_BOUNDS = """
  CUDA_CALLABLE void bounds(bool has_low, i8& low, bool has_high, i8& high) const {
    if (!has_low) low = 0; else if (low < 0) { low += n; if (low < 0) low = 0; }
    if (!has_high) high = n; else if (high < 0) high += n;
    if (low > n) low = n; if (high > n) high = n; if (high < low) high = low;
  }"""
_COLUMN = f"""struct @ {{ const T* p; i8 n; i8 step;
  CUDA_CALLABLE T at(i8 i) const {{ return i >= 0 && i < n ? p[i * step] : T(); }}{_BOUNDS}
  CUDA_CALLABLE @ cut(bool has_low, i8 low, bool has_high, i8 high) const {{
    bounds(has_low, low, has_high, high); @ r; r.p = p + low * step; r.n = high - low;
    r.step = step; return r; }}
  CUDA_CALLABLE @ backwards() const {{
    @ r; r.p = n > 0 ? p + (n - 1) * step : p; r.n = n; r.step = -step; return r; }}
}};"""
_LIST = f"""struct @ {{ i8 n; T a[CAPACITY];
  static CUDA_CALLABLE @ none() {{ @ r; r.n = 0; return r; }}
  CUDA_CALLABLE T at(i8 i) const {{ return i >= 0 && i < n ? a[i] : T(); }}
  CUDA_CALLABLE void set(i8 i, T x) {{ if (i >= 0 && i < n) a[i] = x; }}
  CUDA_CALLABLE void append(i8* e, T x) {{
    if (n < CAPACITY) a[n++] = x; else if (e[0] == 0) e[0] = {TOO_LONG};
    if (n > e[3]) e[3] = n; }}{_BOUNDS}
  CUDA_CALLABLE @ cut(bool has_low, i8 low, bool has_high, i8 high) const {{
    bounds(has_low, low, has_high, high); @ r; r.n = 0;
    for (i8 i = low; i < high; ++i) r.a[r.n++] = a[i]; return r; }}
  CUDA_CALLABLE @ backwards() const {{
    @ r; r.n = 0; for (i8 i = n; i > 0; --i) r.a[r.n++] = a[i - 1]; return r; }}
}};"""
