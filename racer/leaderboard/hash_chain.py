"""The hash chain of a board's records: a record's hash covers it and all records before it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

GENESIS_HASH = "0" * 64
"""Used as the hash before the first record."""


@dataclass(frozen=True)
class ChainReport:
    """The result of checking the chain.

    Attributes:
        hashes: The hash of each record before the first one with a fault, in order.
        fault: What is wrong with the record after those; None if no record has a fault.
    """

    hashes: list[str]
    fault: str | None

    @property
    def head(self) -> str:
        """The last of `hashes`, or `GENESIS_HASH`.

        If it is noted down and later missing in the chain, the board was rewritten.
        """
        return self.hashes[-1] if self.hashes else GENESIS_HASH


def chain_hash(previous: str, record: dict[str, Any]) -> str:
    """Return a record's hash: SHA-256 of the hash before it and the record's canonical JSON.

    Args:
        previous: The hash of the record before, or `GENESIS_HASH`.
        record: Every column but the hash: id, created, kind, season_digest, name, about, body.
    """
    return hashlib.sha256((previous + canonical_json(record)).encode()).hexdigest()


def canonical_json(value: Any) -> str:
    """Return a value as JSON: sorted keys, no spaces, the same text for the same value.

    Raises:
        ValueError: A number is NaN or infinite.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def check_chain(
    records: Iterable[tuple[dict[str, Any], str]], seasons: Mapping[str, str]
) -> ChainReport:
    """Check the hash, the number and the season's digest of each record, up to the first fault.

    Args:
        records: Each record without its hash, as for `chain_hash`, and its hash; in order.
        seasons: The fields of each season as canonical JSON, by its digest.
    """
    hashes: list[str] = []
    for number, (record, kept) in enumerate(records, start=1):
        fields = seasons.get(record["season_digest"], "")
        if record["id"] != number:
            return ChainReport(hashes, f"record {number} is missing")
        if hashlib.sha256(fields.encode()).hexdigest() != record["season_digest"]:
            return ChainReport(hashes, f"the season of record {number} is not what its digest says")
        if kept != chain_hash(hashes[-1] if hashes else GENESIS_HASH, record):
            return ChainReport(hashes, f"record {number} was changed: its hash is another")
        hashes.append(kept)
    return ChainReport(hashes, None)
