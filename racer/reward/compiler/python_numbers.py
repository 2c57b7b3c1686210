"""Python's arithmetic to the bit, for the code that numba compiles from a reward file.

numba computes some things in another way than Python: `x ** 2` as `x * x`, a division by zero as
inf, an integer beyond 64 bits as a wrong one. The functions here do what CPython's source code
does, and call the functions of the C library by the addresses that CPython itself calls. Where that
is not possible they fail, and the step is run in Python.

Each function takes `e`, (1,) int64, in which it notes the first failure, and `h`, the addresses of
`library_addresses`. After a failure its value means nothing.
"""

from __future__ import annotations

import ctypes
import functools
import math
import struct
import sys
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

FOLLOWED_PYTHONS = ((3, 10), (3, 11), (3, 12), (3, 13))
"""The versions of CPython whose source code the functions here follow."""
IS_SUM_COMPENSATED = sys.version_info >= (3, 12)
"""Whether `sum` of floats adds what its roundings have lost, as it does from Python 3.12 on."""

ZERO_DIVISION, BAD_VALUE, BAD_INDEX, NO_NAME = 1, 2, 3, 4
WRONG_TYPE, OVERFLOW, NO_ATTRIBUTE, NO_KEY = 5, 6, 7, 8
"""Failures by which Python raises an exception that the file itself may catch."""
UNCERTAIN = 100
"""Failure: Python's value is not known here, so that Python has to compute it."""
FIRST_REASON = 101
"""Failures from here on are reasons that the compiler numbers."""

EXACT = 2**53
"""Integers up to here are floats without rounding; larger ones are left to Python."""
UNARY = (
    *("sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh"),
    *("exp", "expm1", "log1p", "log", "log2", "log10"),
)
BINARY = ("pow", "fmod", "atan2")
TERNARY = ("fma",)
NUMPY_UNARY = (
    *("sin", "cos", "tan", "arcsin", "arccos", "arctan", "sinh", "cosh", "tanh"),
    *("exp", "expm1", "log", "log1p", "log2", "log10"),
)
NUMPY_BINARY = ("arctan2", "hypot")
ADDRESS = {
    name: index
    for index, name in enumerate(
        (
            *UNARY,
            *BINARY,
            *TERNARY,
            *(f"np.{name}" for name in (*NUMPY_UNARY, *NUMPY_BINARY)),
            "np.dot",
        )
    )
}
"""Index of each function in `library_addresses`; numpy's have loops instead of functions."""
_POW, _FMOD, _ATAN2 = ADDRESS["pow"], ADDRESS["fmod"], ADDRESS["atan2"]
_FMA, _DOT = ADDRESS["fma"], ADDRESS["np.dot"]
DOT_ROUNDED, DOT_FUSED, DOT_UNKNOWN = 0, 1, 2
"""How numpy adds the products of short vectors on this processor: each product is rounded before it
is added, or not; stored as the address of `np.dot`."""


@functools.cache
def library_addresses() -> np.ndarray:
    """Return the addresses of the functions in `ADDRESS`, (len(ADDRESS), 2) int64.

    The first column holds a function of the C library, or the loop of a numpy ufunc; the second
    the data that such a loop is called with.

    Raises:
        OSError: The C library cannot be asked.
        ValueError: A ufunc has no loop of float64.
    """
    library = ctypes.CDLL("libm.so.6")
    found = np.zeros((len(ADDRESS), 2), dtype=np.int64)
    for name in (*UNARY, *BINARY, *TERNARY):
        found[ADDRESS[name], 0] = ctypes.cast(getattr(library, name), ctypes.c_void_p).value or 0
    for name in NUMPY_UNARY:
        found[ADDRESS[f"np.{name}"]] = _loop(getattr(np, name), "d->d")
    for name in NUMPY_BINARY:
        found[ADDRESS[f"np.{name}"]] = _loop(getattr(np, name), "dd->d")
    found[_DOT, 0] = _kind_of_dot(found)
    return found


def _kind_of_dot(addresses: np.ndarray) -> int:
    """Return which of the ways of adding products numpy has, by trying them."""
    kinds, failure = {DOT_ROUNDED, DOT_FUSED}, np.zeros(1, dtype=np.int64)
    for vector in np.random.default_rng(0).normal(size=(256, 2, 4)):
        for size in (2, 3, 4):
            a, b = np.ascontiguousarray(vector[:, :size])
            told = float(a.dot(b))
            for kind in list(kinds):
                tried = addresses.copy()
                tried[_DOT, 0] = kind
                if dot(failure, tried, tuple(a.tolist()), tuple(b.tolist())) != told:
                    kinds.discard(kind)
    return kinds.pop() if len(kinds) == 1 else DOT_UNKNOWN


def _loop(function: np.ufunc, kind: str) -> tuple[int, int]:
    """Return the address of a ufunc's loop for some types, and of its data."""
    kinds: list[str] = [*function.types]
    at = kinds.index(kind)
    # PyUFuncObject: PyObject_HEAD, four ints, then the arrays of loops and of their data.
    loops, data = struct.unpack_from("2Q", ctypes.string_at(id(function) + 32, 16))
    size = struct.calcsize("Q")
    loop = struct.unpack("Q", ctypes.string_at(loops + size * at, size))[0]
    own = struct.unpack("Q", ctypes.string_at(data + size * at, size))[0] if data else 0
    return loop, own


def _c_call(arity: int) -> Any:
    """Return an intrinsic that calls the C function of `arity` doubles at an address."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = ir.FunctionType(ir.DoubleType(), [ir.DoubleType()] * arity)
        return builder.call(builder.inttoptr(args[0], kind.as_pointer()), list(args[1:]))

    return types.float64(types.int64, *[types.float64] * arity), generate


def _loop_call(arity: int) -> Any:
    """Return an intrinsic that calls the ufunc loop at an address for one element.

    Its arguments are the address, the loop's data, and a number of doubles.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        double, word, byte = ir.DoubleType(), ir.IntType(64), ir.IntType(8)
        pointer, count = byte.as_pointer(), arity + 1
        cells = [builder.alloca(double) for _ in range(count)]
        for value, cell in zip(args[2:], cells):
            builder.store(value, cell)
        places = builder.alloca(pointer, size=ir.Constant(word, count))
        for index, cell in enumerate(cells):
            at = builder.gep(places, [ir.Constant(word, index)])
            builder.store(builder.bitcast(cell, pointer), at)
        sizes = builder.alloca(word, size=ir.Constant(word, 1 + count))
        for index in range(1 + count):
            at = builder.gep(sizes, [ir.Constant(word, index)])
            builder.store(ir.Constant(word, 8 if index else 1), at)
        steps = builder.gep(sizes, [ir.Constant(word, 1)])
        kind = ir.FunctionType(ir.VoidType(), [places.type, sizes.type, steps.type, pointer])
        loop = builder.inttoptr(args[0], kind.as_pointer())
        builder.call(loop, [places, sizes, steps, builder.inttoptr(args[1], pointer)])
        return builder.load(cells[-1])

    return types.float64(types.int64, types.int64, *[types.float64] * arity), generate


@intrinsic
def _call_unary(typingctx: Any, address: Any, x: Any) -> Any:
    """Call the C function of one double at an address."""
    return _c_call(1)


@intrinsic
def _call_binary(typingctx: Any, address: Any, x: Any, y: Any) -> Any:
    """Call the C function of two doubles at an address."""
    return _c_call(2)


@intrinsic
def _call_ternary(typingctx: Any, address: Any, x: Any, y: Any, z: Any) -> Any:
    """Call the C function of three doubles at an address."""
    return _c_call(3)


@intrinsic
def _loop_unary(typingctx: Any, address: Any, data: Any, x: Any) -> Any:
    """Call the loop of a numpy function of one double."""
    return _loop_call(1)


@intrinsic
def _loop_binary(typingctx: Any, address: Any, data: Any, x: Any, y: Any) -> Any:
    """Call the loop of a numpy function of two doubles."""
    return _loop_call(2)


call_unary: Any = _call_unary
call_binary: Any = _call_binary
call_ternary: Any = _call_ternary
loop_unary: Any = _loop_unary
loop_binary: Any = _loop_binary
"""numba passes the context that the intrinsics above begin with."""

_compiled = njit(cache=True, error_model="numpy")


@_compiled
def fail(e, code):
    """Note a failure, unless there was one before."""
    if e[0] == 0:
        e[0] = code


@_compiled
def int_add(e, a, b):
    """Return a + b of integers.

    Args:
        e: Where the first failure is noted, (1,) int64.
        a, b: The numbers.
    """
    r = a + b
    if r > EXACT or r < -EXACT:
        fail(e, UNCERTAIN)
        return 0
    return r


@_compiled
def int_sub(e, a, b):
    """Return a - b of integers.

    Args:
        e: Where the first failure is noted, (1,) int64.
        a, b: The numbers.
    """
    return int_add(e, a, -b)


@_compiled
def int_mul(e, a, b):
    """Return a * b of integers.

    Args:
        e: Where the first failure is noted, (1,) int64.
        a, b: The numbers.
    """
    if abs(float(a) * float(b)) > EXACT:
        fail(e, UNCERTAIN)
        return 0
    return a * b


@_compiled
def int_floordiv(e, a, b):
    """Return a // b of integers.

    Args:
        e: Where the first failure is noted, (1,) int64.
        a, b: The numbers.
    """
    if b == 0:
        fail(e, ZERO_DIVISION)
        return 0
    q = abs(a) // abs(b)
    if (a < 0) != (b < 0):
        q = -q
        if q * b != a:
            q -= 1
    return q


@_compiled
def int_mod(e, a, b):
    """Return a % b of integers.

    Args:
        e: Where the first failure is noted, (1,) int64.
        a, b: The numbers.
    """
    return a - int_floordiv(e, a, b) * b


@_compiled
def int_pow(e, a, n):
    """Return a ** n of integers, n >= 0.

    Args:
        e: Where the first failure is noted, (1,) int64.
        n: The exponent.
        a: The number.
    """
    if n < 0 or n > 64:
        fail(e, UNCERTAIN)
        return 0
    r = 1
    for _ in range(n):
        r = int_mul(e, r, a)
    return r


@_compiled
def float_div(e, a, b):
    """Return a / b.

    Args:
        e: Where the first failure is noted, (1,) int64.
        a, b: The numbers.
    """
    if b == 0.0:
        fail(e, ZERO_DIVISION)
        return 0.0
    return a / b


@_compiled
def numpy_div(e, a, b):
    """Return a / b of which one may be a number of numpy's, which warns where Python raises.

    Args:
        e: Where the first failure is noted, (1,) int64.
        a, b: The numbers.
    """
    if b == 0.0 or not (math.isfinite(a) and math.isfinite(b)):
        fail(e, UNCERTAIN)
        return 0.0
    return a / b


@_compiled
def float_mod(e, h, a, b):
    """Return a % b.

    Args:
        e: Where the first failure is noted, (1,) int64.
        h: The addresses of `library_addresses`.
        a, b: The numbers.
    """
    if b == 0.0:
        fail(e, ZERO_DIVISION)
        return 0.0
    mod = call_binary(h[_FMOD, 0], a, b)
    if mod != 0.0:
        if (b < 0.0) != (mod < 0.0):
            mod += b
        return mod
    return math.copysign(0.0, b)


@_compiled
def float_floordiv(e, h, a, b):
    """Return a // b.

    Args:
        e: Where the first failure is noted, (1,) int64.
        h: The addresses of `library_addresses`.
        a, b: The numbers.
    """
    if b == 0.0:
        fail(e, ZERO_DIVISION)
        return 0.0
    mod = call_binary(h[_FMOD, 0], a, b)
    div = (a - mod) / b
    if mod != 0.0 and (b < 0.0) != (mod < 0.0):
        div -= 1.0
    if div == 0.0:
        return math.copysign(0.0, a / b)
    floor = np.floor(div)
    if div - floor > 0.5:
        floor += 1.0
    return floor


@_compiled
def float_pow(e, h, a, b):
    """Return a ** b.

    Args:
        e: Where the first failure is noted, (1,) int64.
        h: The addresses of `library_addresses`.
        a, b: The numbers.
    """
    if not (math.isfinite(a) and math.isfinite(b)):
        fail(e, UNCERTAIN)
        return 0.0
    if b == 0.0:
        return 1.0
    is_odd = call_binary(h[_FMOD, 0], abs(b), 2.0) == 1.0
    if a == 0.0:
        if b < 0.0:
            fail(e, ZERO_DIVISION)
        return a if is_odd else 0.0
    if a < 0.0 and b != np.floor(b):
        fail(e, UNCERTAIN)  # a complex number
        return 0.0
    is_negated = a < 0.0 and is_odd
    base = abs(a)
    if base == 1.0:
        return -1.0 if is_negated else 1.0
    r = call_binary(h[_POW, 0], base, b)
    if not 1e-300 < r < 1e300:
        fail(e, UNCERTAIN)
    return -r if is_negated else r


@_compiled
def numpy_pow(e, h, a, b):
    """Return a ** b of which one may be a number of numpy's.

    Args:
        e: Where the first failure is noted, (1,) int64.
        h: The addresses of `library_addresses`.
        a, b: The numbers.
    """
    if a == 0.0 and b < 0.0:
        fail(e, UNCERTAIN)
        return 0.0
    return float_pow(e, h, a, b)


@_compiled
def num_add(e, a, b):
    """Return a + b of pairs: the value, and whether Python has it as an integer.

    Args:
        e: Where the first failure is noted, (1,) int64.
        a, b: The numbers.
    """
    r, is_int = a[0] + b[0], a[1] and b[1]
    if is_int and abs(r) > EXACT:
        fail(e, UNCERTAIN)
    return r, is_int


@_compiled
def sum_add(total, lost, x):
    """Return a sum of floats with one more, and what its roundings have lost so far.

    Args:
        total: The sum.
        lost: What was lost before (Neumaier's algorithm, as in CPython's `sum`).
        x: The number to add.
    """
    after = total + x
    if abs(total) >= abs(x):
        return after, lost + ((total - after) + x)
    return after, lost + ((x - after) + total)


@_compiled
def sum_end(total, lost):
    """Return the value of a sum of floats from what `sum_add` returned last."""
    return total + lost if lost != 0.0 and np.isfinite(lost) else total


@_compiled
def num_neg(e, a):
    """Return -a of such a pair."""
    return (0.0 - a[0], True) if a[1] else (-a[0], False)


@_compiled
def num_sub(e, a, b):
    """Return a - b of such pairs.

    Args:
        e: Where the first failure is noted, (1,) int64.
        a, b: The numbers.
    """
    r, is_int = a[0] - b[0], a[1] and b[1]
    if is_int and abs(r) > EXACT:
        fail(e, UNCERTAIN)
    return r, is_int


@_compiled
def num_mul(e, a, b):
    """Return a * b of such pairs.

    Args:
        e: Where the first failure is noted, (1,) int64.
        a, b: The numbers.
    """
    r, is_int = a[0] * b[0], a[1] and b[1]
    if is_int:
        if abs(r) > EXACT:
            fail(e, UNCERTAIN)
        return r + 0.0, True  # An integer has no negative zero.
    return r, False


@_compiled
def num_mod(e, h, a, b):
    """Return a % b of such pairs.

    Args:
        e: Where the first failure is noted, (1,) int64.
        h: The addresses of `library_addresses`.
        a, b: The numbers.
    """
    r = float_mod(e, h, a[0], b[0])
    return (r + 0.0, True) if a[1] and b[1] else (r, False)


@_compiled
def num_floordiv(e, h, a, b):
    """Return a // b of such pairs.

    Args:
        e: Where the first failure is noted, (1,) int64.
        h: The addresses of `library_addresses`.
        a, b: The numbers.
    """
    r = float_floordiv(e, h, a[0], b[0])
    return (r + 0.0, True) if a[1] and b[1] else (r, False)


@_compiled
def num_pow(e, h, a, b):
    """Return a ** b of such pairs.

    Args:
        e: Where the first failure is noted, (1,) int64.
        h: The addresses of `library_addresses`.
        a, b: The numbers.
    """
    if a[1] and b[1] and b[0] >= 0.0:
        return float(int_pow(e, int(a[0]), int(b[0]))), True
    return float_pow(e, h, a[0], b[0]), False


@_compiled
def num_abs(a):
    """Return abs(a) of such a pair."""
    return abs(a[0]), a[1]


@_compiled
def whole(e, x):
    """Return a float without a fraction as an integer."""
    if not abs(x) <= EXACT:
        fail(e, UNCERTAIN)
        return 0
    return int(x)


@_compiled
def round_to(e, x, digits):
    """Return round(x, digits) of a float; near the middle between two results Python decides.

    Args:
        e: Where the first failure is noted, (1,) int64.
        digits: Number of decimals.
        x: The number.
    """
    if digits < 0 or digits > 15:
        fail(e, UNCERTAIN)
        return 0.0
    scale = 1.0
    for _ in range(digits):
        scale *= 10.0
    scaled = x * scale
    if not abs(scaled) < 1e9 or abs(scaled - np.floor(scaled) - 0.5) < 1e-5:
        fail(e, UNCERTAIN)
        return 0.0
    return np.rint(scaled) / scale  # Both are exact, so that the quotient is the decimal's float.


@_compiled
def root(e, x):
    """Return math.sqrt(x)."""
    if not x >= 0.0:
        fail(e, BAD_VALUE)
        return 0.0
    return np.sqrt(x)


@_compiled
def numpy_root(e, x):
    """Return np.sqrt(x)."""
    if not x >= 0.0:
        fail(e, UNCERTAIN)
        return 0.0
    return np.sqrt(x)


@_compiled
def libm_unary(e, h, index, x):
    """Return a function of math by its index in `ADDRESS`, where Python does not raise.

    Args:
        e: Where the first failure is noted, (1,) int64.
        h: The addresses of `library_addresses`.
        index: Index of the function in `ADDRESS`.
        x: The number.
    """
    if not math.isfinite(x):
        fail(e, UNCERTAIN)
        return 0.0
    r = call_unary(h[index, 0], x)
    if not math.isfinite(r):
        fail(e, UNCERTAIN)
    return r


@_compiled
def libm_log(e, h, index, x):
    """Return math.log, log2 or log10.

    Args:
        e: Where the first failure is noted, (1,) int64.
        h: The addresses of `library_addresses`.
        index: Index of the function in `ADDRESS`.
        x: The number.
    """
    if x <= 0.0:
        fail(e, BAD_VALUE)
        return 0.0
    return libm_unary(e, h, index, x)


@_compiled
def libm_arc(e, h, index, x):
    """Return math.asin or acos.

    Args:
        e: Where the first failure is noted, (1,) int64.
        h: The addresses of `library_addresses`.
        index: Index of the function in `ADDRESS`.
        x: The number.
    """
    if x < -1.0 or x > 1.0:
        fail(e, BAD_VALUE)
        return 0.0
    return libm_unary(e, h, index, x)


@_compiled
def arc_tangent(e, h, y, x):
    """Return math.atan2(y, x).

    Args:
        e: Where the first failure is noted, (1,) int64.
        h: The addresses of `library_addresses`.
        y, x: The numbers.
    """
    if not (math.isfinite(x) and math.isfinite(y)):
        fail(e, UNCERTAIN)
        return 0.0
    if y == 0.0:
        return y if math.copysign(1.0, x) == 1.0 else math.copysign(math.pi, y)
    return call_binary(h[_ATAN2, 0], y, x)


@_compiled
def math_fmod(e, h, x, y):
    """Return math.fmod(x, y).

    Args:
        e: Where the first failure is noted, (1,) int64.
        h: The addresses of `library_addresses`.
        x, y: The numbers.
    """
    if not (math.isfinite(x) and math.isfinite(y)):
        fail(e, UNCERTAIN)
        return 0.0
    if y == 0.0:
        fail(e, BAD_VALUE)
        return 0.0
    return call_binary(h[_FMOD, 0], x, y)


@_compiled
def numpy_unary(e, h, index, x):
    """Return a ufunc of one number by its index in `ADDRESS`, where it does not warn.

    Args:
        e: Where the first failure is noted, (1,) int64.
        h: The addresses of `library_addresses`.
        index: Index of the function in `ADDRESS`.
        x: The number.
    """
    if not math.isfinite(x):
        fail(e, UNCERTAIN)
        return 0.0
    r = loop_unary(h[index, 0], h[index, 1], x)
    if not math.isfinite(r):
        fail(e, UNCERTAIN)
    return r


@_compiled
def numpy_binary(e, h, index, x, y):
    """Return a ufunc of two numbers by its index in `ADDRESS`, where it does not warn.

    Args:
        e: Where the first failure is noted, (1,) int64.
        h: The addresses of `library_addresses`.
        index: Index of the function in `ADDRESS`.
        x, y: The numbers.
    """
    if not (math.isfinite(x) and math.isfinite(y)):
        fail(e, UNCERTAIN)
        return 0.0
    r = loop_binary(h[index, 0], h[index, 1], x, y)
    if not math.isfinite(r):
        fail(e, UNCERTAIN)
    return r


@_compiled
def dot(e, h, a, b):
    """Return np.dot of two tuples of floats as short vectors.

    Args:
        e: Where the first failure is noted, (1,) int64.
        h: The addresses of `library_addresses`.
        a, b: The numbers.
    """
    kind = h[_DOT, 0]
    if kind == DOT_UNKNOWN:
        fail(e, UNCERTAIN)
        return 0.0
    total = a[0] * b[0]
    for i in range(1, len(a)):
        if kind == DOT_FUSED:
            total = call_ternary(h[_FMA, 0], b[i], a[i], total)
        else:
            total += a[i] * b[i]
    return total


@_compiled
def _split(x):
    t = x * 134217729.0  # 2 ** 27 + 1
    high = t - (t - x)
    return high, x - high


@_compiled
def norm_of_two(e, a, b):
    """Return math.hypot(a, b), as CPython computes it.

    Args:
        e: Where the first failure is noted, (1,) int64.
        a, b: The numbers.
    """
    a, b = abs(a), abs(b)
    most = max(a, b)
    if not most < 1e150 or (0.0 < most < 1e-150):
        fail(e, UNCERTAIN)
        return 0.0
    if most == 0.0:
        return 0.0
    scale = 1.0
    m = most
    while m >= 1.0:
        m *= 0.5
        scale *= 0.5
    while m < 0.5:
        m *= 2.0
        scale *= 2.0
    total, f1, f2, f3 = 1.0, 0.0, 0.0, 0.0
    for x in (a, b):
        high, low = _split(x * scale)
        y = high * high
        before = total
        total += y
        f1 += (before - total) + y
        y = 2.0 * high * low
        before = total
        total += y
        f2 += (before - total) + y
        f3 += low * low
    guess = np.sqrt(total - 1.0 + (f1 + f2 + f3))
    high, low = _split(guess)
    y = -high * high
    before = total
    total += y
    f1 += (before - total) + y
    y = -2.0 * high * low
    before = total
    total += y
    f2 += (before - total) + y
    y = -low * low
    before = total
    total += y
    f3 += (before - total) + y
    y = total - 1.0 + (f1 + f2 + f3)
    return (guess + y / (2.0 * guess)) / scale


@_compiled
def keep(e, s, x):
    """Keep a value of a text behind what a car's file remembers.

    Args:
        e: The place of the next value is the third of these, (3,) int64.
        s: What the file remembers, and the kept values.
        x: The value.
    """
    if e[2] < len(s):
        s[e[2]] = x
        e[2] += 1
    else:
        fail(e, UNCERTAIN)


@_compiled
def index_within(e, i, n):
    """Return the index from 0 that Python means in a sequence; 0 and a failure if there is none.

    Args:
        e: Where the first failure is noted, (1,) int64.
        i: The index in Python, from -n.
        n: Length of the sequence.
    """
    if i < 0:
        i += n
    if i < 0 or i >= n:
        fail(e, BAD_INDEX)
        return 0
    return i


@_compiled
def in_order(e, values):
    """Return a sorted copy of a list of numbers."""
    found = values[:]
    for i in range(1, len(found)):
        x = found[i]
        if x != x:
            fail(e, UNCERTAIN)
        j = i
        while j > 0 and x < found[j - 1]:
            found[j] = found[j - 1]
            j -= 1
        found[j] = x
    return found
