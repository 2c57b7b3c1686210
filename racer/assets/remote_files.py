"""Files at an fsspec URL, such as `s3://BUCKET/PREFIX`."""

from __future__ import annotations

from typing import Any

from racer.assets.extras import how_to_install
from racer.errors import RemoteError


def is_remote(place: str) -> bool:
    """Return whether a place of files is a URL and not a folder."""
    return "://" in place


class RemoteFolder:
    """The files under a URL, each by its name relative to it.

    Args:
        url: The URL, of any file system that fsspec knows.

    Raises:
        RemoteError: The URL is of no such file system, or its package is not installed.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        try:
            from fsspec import filesystem
            from fsspec.utils import get_protocol

            # A listing that is kept would hide what other machines write.
            self._system: Any = filesystem(
                get_protocol(url), use_listings_cache=False, skip_instance_cache=True
            )
        except ImportError as problem:
            raise RemoteError(
                f"files at {url} want a package that is not installed ({problem}); "
                f"{how_to_install('board')}"
            ) from problem
        except ValueError as problem:
            raise RemoteError(
                f"files at {url}: {problem}; wanted is a URL that fsspec knows, such as "
                "s3://BUCKET/PREFIX"
            ) from problem
        self._root = str(self._system._strip_protocol(url)).rstrip("/")

    def read(self, name: str) -> bytes:
        """Return a file's content.

        Raises:
            FileNotFoundError: There is no such file.
            RemoteError: It cannot be read.
        """
        return self._done(name, self._system.cat_file, f"{self._root}/{name}")

    def write(self, name: str, content: bytes) -> None:
        """Write a file, over an earlier one of that name.

        Raises:
            RemoteError: It cannot be written.
        """
        path = f"{self._root}/{name}"
        try:
            self._done(name, self._system.pipe_file, path, content)
        except FileNotFoundError as problem:
            # A folder is missing, or the bucket, which is its owner's to create.
            bucket = self._root.partition("/")[0]
            if bucket and not self._done(name, self._system.exists, bucket):
                raise self._unreachable(name, problem) from problem
            self._done(name, self._system.makedirs, path.rpartition("/")[0], True)
            self._done(name, self._system.pipe_file, path, content)

    def has(self, name: str) -> bool:
        """Return whether there is a file of a name."""
        return self._done(name, self._system.exists, f"{self._root}/{name}")

    def remove(self, name: str) -> None:
        """Remove a file, if it is there.

        Raises:
            RemoteError: It cannot be removed.
        """
        try:
            self._done(name, self._system.rm_file, f"{self._root}/{name}")
        except FileNotFoundError:
            return

    def _done(self, name: str, work: Any, *arguments: Any) -> Any:
        try:
            return work(*arguments)
        except FileNotFoundError:
            raise
        except Exception as problem:  # each file system has errors of its own
            raise self._unreachable(name, problem) from problem

    def _unreachable(self, name: str, problem: Exception) -> RemoteError:
        return RemoteError(
            f"{self.url}: {name} cannot be read or written there: "
            f"{' '.join(str(problem).split()) or type(problem).__name__}; check the URL, the "
            "credentials and the network"
        )
