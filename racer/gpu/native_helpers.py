"""Python's arithmetic in C++: the functions of `python_numbers` that a reward calls on a device.

Where the numba code leaves a step to Python because a last bit could differ, the functions here go
on: on a device a reward is held to 1e-6, not to the bit. Where Python raises they note the failure.
"""

from __future__ import annotations

from racer.gpu.native_types import BOOLEAN, REAL, WHOLE, NativeTuple, NativeType
from racer.reward.compiler.python_numbers import ADDRESS

NUMBER_PAIR = NativeTuple((REAL, BOOLEAN))
"""A number, and whether Python has it as an integer."""
REALS = NativeTuple((REAL, REAL))
_LIBRARY = {index: name.removeprefix("np.") for name, index in ADDRESS.items()}
_ARC = {"arcsin": "asin", "arccos": "acos", "arctan": "atan"}


def library_call(index: int, x: str) -> str:
    """Return the C++ code of a function of one number by its index in `ADDRESS`.

    Args:
        index: The index.
        x: The code of the number.
    """
    name = _ARC.get(_LIBRARY[index], _LIBRARY[index])
    if name == "expm1":
        return f"(::exp({x}) - 1.0)"
    return f"::log(1.0 + ({x}))" if name == "log1p" else f"::{name}({x})"


HELPERS: dict[str, tuple[NativeType, str]] = {
    "int_add": (WHOLE, "(i8* e, i8 a, i8 b) -> i8 { return a + b; }"),
    "int_sub": (WHOLE, "(i8* e, i8 a, i8 b) -> i8 { return a - b; }"),
    "int_mul": (WHOLE, "(i8* e, i8 a, i8 b) -> i8 { return a * b; }"),
    "int_floordiv": (
        WHOLE,
        """(i8* e, i8 a, i8 b) -> i8 {
  if (b == 0) { fail(e, 1); return 0; }
  i8 q = a / b; if ((a % b != 0) && ((a < 0) != (b < 0))) --q; return q; }""",
    ),
    "int_mod": (
        WHOLE,
        """(i8* e, i8 a, i8 b) -> i8 {
  if (b == 0) { fail(e, 1); return 0; }
  i8 m = a % b; if (m != 0 && ((m < 0) != (b < 0))) m += b; return m; }""",
    ),
    "int_pow": (
        WHOLE,
        """(i8* e, i8 a, i8 n) -> i8 {
  if (n < 0 || n > 64) { fail(e, 100); return 0; }
  i8 r = 1; for (i8 i = 0; i < n; ++i) r *= a; return r; }""",
    ),
    "float_div": (
        REAL,
        """(i8* e, f8 a, f8 b) -> f8 {
  if (b == 0.0) { fail(e, 1); return 0.0; } return a / b; }""",
    ),
    "numpy_div": (
        REAL,
        """(i8* e, f8 a, f8 b) -> f8 {
  if (b == 0.0 || !finite(a) || !finite(b)) { fail(e, 100); return 0.0; } return a / b; }""",
    ),
    "float_mod": (
        REAL,
        """(i8* e, f8 a, f8 b) -> f8 {
  if (b == 0.0) { fail(e, 1); return 0.0; }
  f8 m = ::fmod(a, b); if (m != 0.0) { if ((b < 0.0) != (m < 0.0)) m += b; return m; }
  return b < 0.0 ? -0.0 : 0.0; }""",
    ),
    "float_floordiv": (
        REAL,
        """(i8* e, f8 a, f8 b) -> f8 {
  if (b == 0.0) { fail(e, 1); return 0.0; }
  f8 m = ::fmod(a, b); f8 d = (a - m) / b; if (m != 0.0 && ((b < 0.0) != (m < 0.0))) d -= 1.0;
  f8 r = ::floor(d); if (d - r > 0.5) r += 1.0; return r; }""",
    ),
    "float_pow": (
        REAL,
        """(i8* e, f8 a, f8 b) -> f8 {
  if (!finite(a) || !finite(b)) { fail(e, 100); return 0.0; }
  if (b == 0.0) return 1.0;
  if (a == 0.0 && b < 0.0) { fail(e, 1); return 0.0; }
  if (a < 0.0 && b != ::floor(b)) { fail(e, 100); return 0.0; }
  f8 r = ::pow(a, b); if (!finite(r)) fail(e, 100); return r; }""",
    ),
    "numpy_pow": (
        REAL,
        """(i8* e, f8 a, f8 b) -> f8 {
  if (a == 0.0 && b < 0.0) { fail(e, 100); return 0.0; } return float_pow(e, a, b); }""",
    ),
    "whole": (
        WHOLE,
        """(i8* e, f8 x) -> i8 {
  if (!(::fabs(x) <= 9007199254740992.0)) { fail(e, 100); return 0; } return (i8)x; }""",
    ),
    "round_to": (
        REAL,
        """(i8* e, f8 x, i8 digits) -> f8 {
  if (digits < 0 || digits > 15) { fail(e, 100); return 0.0; }
  f8 scale = 1.0; for (i8 i = 0; i < digits; ++i) scale *= 10.0;
  f8 y = x * scale; return ::fabs(y) < 9007199254740992.0 ? ::rint(y) / scale : x; }""",
    ),
    "root": (
        REAL,
        "(i8* e, f8 x) -> f8 { if (!(x >= 0.0)) { fail(e, 2); return 0.0; } return ::sqrt(x); }",
    ),
    "numpy_root": (
        REAL,
        "(i8* e, f8 x) -> f8 { if (!(x >= 0.0)) { fail(e, 100); return 0.0; } return ::sqrt(x); }",
    ),
    "checked": (
        REAL,
        """(i8* e, f8 x, f8 r) -> f8 {
  if (!finite(x) || !finite(r)) { fail(e, 100); return 0.0; } return r; }""",
    ),
    "arc_tangent": (
        REAL,
        """(i8* e, f8 y, f8 x) -> f8 {
  if (!finite(x) || !finite(y)) { fail(e, 100); return 0.0; } return ::atan2(y, x); }""",
    ),
    "math_fmod": (
        REAL,
        """(i8* e, f8 x, f8 y) -> f8 {
  if (!finite(x) || !finite(y)) { fail(e, 100); return 0.0; }
  if (y == 0.0) { fail(e, 2); return 0.0; } return ::fmod(x, y); }""",
    ),
    "norm_of_two": (
        REAL,
        """(i8* e, f8 a, f8 b) -> f8 {
  a = ::fabs(a); b = ::fabs(b); f8 m = a > b ? a : b;
  if (!(m < 1e150)) { fail(e, 100); return 0.0; }
  if (m == 0.0) return 0.0;
  return m * ::sqrt((a / m) * (a / m) + (b / m) * (b / m)); }""",
    ),
    "index_within": (
        WHOLE,
        """(i8* e, i8 i, i8 n) -> i8 {
  if (i < 0) i += n; if (i < 0 || i >= n) { fail(e, 3); return 0; } return i; }""",
    ),
    "num_add": (NUMBER_PAIR, "(i8* e, P a, P b) -> P { return P{a.m0 + b.m0, a.m1 && b.m1}; }"),
    "num_sub": (NUMBER_PAIR, "(i8* e, P a, P b) -> P { return P{a.m0 - b.m0, a.m1 && b.m1}; }"),
    "num_mul": (NUMBER_PAIR, "(i8* e, P a, P b) -> P { return P{a.m0 * b.m0, a.m1 && b.m1}; }"),
    "num_neg": (NUMBER_PAIR, "(i8* e, P a) -> P { return P{-a.m0, a.m1}; }"),
    "num_abs": (NUMBER_PAIR, "(P a) -> P { return P{::fabs(a.m0), a.m1}; }"),
    "num_mod": (
        NUMBER_PAIR,
        "(i8* e, P a, P b) -> P { return P{float_mod(e, a.m0, b.m0), a.m1 && b.m1}; }",
    ),
    "num_floordiv": (
        NUMBER_PAIR,
        "(i8* e, P a, P b) -> P { return P{float_floordiv(e, a.m0, b.m0), a.m1 && b.m1}; }",
    ),
    "num_pow": (
        NUMBER_PAIR,
        """(i8* e, P a, P b) -> P {
  return P{float_pow(e, a.m0, b.m0), a.m1 && b.m1 && b.m0 >= 0.0}; }""",
    ),
    "sum_add": (
        REALS,
        """(f8 total, f8 lost, f8 x) -> Q {
  f8 after = total + x;
  if (::fabs(total) >= ::fabs(x)) return Q{after, lost + ((total - after) + x)};
  return Q{after, lost + ((x - after) + total)}; }""",
    ),
    "sum_end": (
        REAL,
        "(f8 total, f8 lost) -> f8 { return lost != 0.0 && finite(lost) ? total + lost : total; }",
    ),
}
"""Return type and C++ code of each function; e is where the first failure is noted."""

NEEDED = {
    "numpy_pow": ("float_pow",),
    "num_mod": ("float_mod",),
    "num_floordiv": ("float_floordiv",),
    "num_pow": ("float_pow",),
}
"""What the functions call themselves."""
WITHOUT_ADDRESSES = {
    *("float_mod", "float_floordiv", "float_pow", "numpy_pow", "num_mod", "num_floordiv"),
    *("num_pow", "arc_tangent", "math_fmod"),
}
"""Functions whose second argument, the addresses of the C library, does not exist on a device."""
PRELUDE = """typedef long long i8; typedef double f8;
auto finite = [](f8 x) -> bool { return x - x == 0.0; };
auto fail = [](i8* e, i8 code) { if (e[0] == 0) e[0] = code; };"""


def helper_texts(used: set[str]) -> list[str]:
    """Return the C++ definitions of functions, in an order in which each follows its own needs."""
    wanted = [*(one for name in sorted(used) for one in NEEDED.get(name, ())), *sorted(used)]
    return [f"auto {name} = [=]{HELPERS[name][1]};" for name in dict.fromkeys(wanted)]
