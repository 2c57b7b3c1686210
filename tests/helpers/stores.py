"""Real servers of a board's stores: PostgreSQL, and S3 by moto, each started by the test."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest


def postgresql_program(name: str) -> str | None:
    """Return the path of one of PostgreSQL's programs, which Debian keeps off the PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return shutil.which(name) or (str(found[-1]) if found else None)


class Postgres:
    """A PostgreSQL server on a temporary folder; it listens on a socket in it, and on no port."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None

    def make(self) -> None:
        """Create the database cluster."""
        self._run("initdb", "-A", "trust", "-U", "racer", "-E", "UTF8", "--locale=C", "-D", "data")

    def start(self) -> None:
        """Start the server, and return when it answers."""
        program = postgresql_program("postgres")
        assert program
        words = [*_as_ordinary_user(), program, "-D", "data", "-k", str(self.folder)]
        options = ("listen_addresses=", "shared_buffers=16MB", "max_connections=60")
        for option in options:
            words += ["-c", option]
        until, self.process = time.monotonic() + 60, None
        while True:
            # After a crash it does not start before the old server's children have ended.
            if self.process is None or self.process.poll() is not None:
                with (self.folder / "log").open("ab") as log:
                    self.process = subprocess.Popen(words, cwd=self.folder, stdout=log, stderr=log)
            if self._answers():
                return
            assert time.monotonic() < until, (self.folder / "log").read_text()[-2000:]
            time.sleep(0.05)

    def kill(self) -> None:
        """End the server as a crash does."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    def url(self, schema: str = "public") -> str:
        """Return the URL of a new place for a board."""
        self.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
        return f"{self._base()}&options=-csearch_path%3D{schema}"

    def execute(self, *statements: str) -> list[tuple]:
        """Run statements behind the board's back, and return the rows of the last one."""
        import psycopg

        rows = []
        with psycopg.connect(self._base(), autocommit=True) as connection:
            for statement in statements:
                done = connection.execute(statement.encode())
                rows = done.fetchall() if done.description else []
        return rows

    def _base(self) -> str:
        return f"postgresql://racer@/postgres?host={self.folder}"

    def _answers(self) -> bool:
        import psycopg

        try:
            self.execute("SELECT 1")
            return True
        except psycopg.OperationalError:
            return False

    def _run(self, name: str, *words: str) -> None:
        program = postgresql_program(name)
        assert program
        command = [*_as_ordinary_user(), program, *words]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def _as_ordinary_user() -> list[str]:
    """Return the words before a command that PostgreSQL, which root may not run, needs."""
    if os.geteuid() != 0:
        return []
    return ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]


@contextlib.contextmanager
def running_postgres() -> Iterator[Postgres]:
    """Start a server; skip the test with the reason where there is none."""
    pytest.importorskip("psycopg", reason="needs racer's extra board: psycopg")
    if not (postgresql_program("initdb") and postgresql_program("postgres")):
        pytest.skip("needs PostgreSQL's server: apt-get install postgresql")
    if os.geteuid() == 0 and not shutil.which("setpriv"):
        pytest.skip("needs setpriv to start PostgreSQL's server as an ordinary user")
    # Not pytest's folder, which only its own user can enter.
    folder = Path(tempfile.mkdtemp(prefix="racer-pg-"))
    if os.geteuid() == 0:
        shutil.chown(folder, "nobody", "nogroup")
    server = Postgres(folder)
    try:
        server.make()
        server.start()
        yield server
    finally:
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def running_s3() -> Iterator[dict[str, str]]:
    """Start an S3 server; yield the environment of its clients, which have the bucket `board`."""
    pytest.importorskip("s3fs", reason="needs racer's extra board: s3fs")
    pytest.importorskip("flask_cors", reason="needs racer's extra dev: flask-cors")
    server_module = pytest.importorskip("moto.server", reason="needs racer's extra dev: moto")
    import logging

    import boto3

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = server_module.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    variables = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    try:
        client = boto3.client(
            "s3",
            endpoint_url=variables["AWS_ENDPOINT_URL"],
            aws_access_key_id="test",
            aws_secret_access_key="test",
            region_name="us-east-1",
        )
        client.create_bucket(Bucket="board")
        yield variables
    finally:
        server.stop()
