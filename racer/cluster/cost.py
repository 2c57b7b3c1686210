"""What a computation cost: time, cores, a GPU, and money where a price is given."""

from __future__ import annotations

from typing import Any, NamedTuple

from racer.errors import ConfigError


class Cost(NamedTuple):
    """What a computation cost.

    A core counts as long as it is held, busy or not, as it is paid for.

    Attributes:
        wall_s: Time by the clock [s].
        core_s: Cores that were held, times how long [core seconds].
        gpu_s: GPUs that were held, times how long [GPU seconds].
        price_per_core_hour: Price of a core for an hour, in the user's currency; None if unknown.
    """

    wall_s: float
    core_s: float
    gpu_s: float = 0.0
    price_per_core_hour: float | None = None

    @property
    def price(self) -> float | None:
        """The price of the core time, in the user's currency; None if the price is unknown."""
        if self.price_per_core_hour is None:
            return None
        return self.core_s / 3600.0 * self.price_per_core_hour

    def plus(self, other: Cost) -> Cost:
        """Return the cost of both; the other's price of a core for an hour holds, if it has one."""
        price = other.price_per_core_hour
        return Cost(
            self.wall_s + other.wall_s,
            self.core_s + other.core_s,
            self.gpu_s + other.gpu_s,
            self.price_per_core_hour if price is None else price,
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the attributes and `price` as plain values."""
        return {**self._asdict(), "price": self.price}

    @classmethod
    def from_dict(cls, told: dict[str, Any]) -> Cost:
        """Return the cost that `as_dict` returned."""
        return cls(**{name: told[name] for name in cls._fields if name in told})

    @property
    def words(self) -> str:
        """The cost in a line: `12.3 s, 0.01 core hours, 0.0004`."""
        parts = [f"{self.wall_s:.1f} s", f"{self.core_s / 3600.0:.4g} core hours"]
        if self.gpu_s:
            parts.append(f"{self.gpu_s / 3600.0:.4g} GPU hours")
        if self.price is not None:
            parts.append(f"price {self.price:.4g}")
        return ", ".join(parts)


def refuse_price(price_per_core_hour: float | None) -> None:
    """Raise ConfigError if a price is negative or no number."""
    if price_per_core_hour is not None and not 0.0 <= price_per_core_hour < float("inf"):
        raise ConfigError(f"--price-per-core-hour {price_per_core_hour}: must be 0 or more")
