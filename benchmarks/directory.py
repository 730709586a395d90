"""A real slapd with the company in it, kept between runs by its size."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.data import Size, ldif
from ldapdb import embedded
from ldapdb.embedded import EmbeddedDirectory, ldif_folder
from ldapdb.errors import LDAPDBError

__all__ = ["CACHE", "BenchDirectory"]

# Beside what .ci/prepare fetches.
CACHE = Path(__file__).resolve().parent.parent / ".cache" / "benchmarks"
_MAX_BYTES = 16 << 30
_SMALL_MAX_SIZE = "olcDbMaxSize: 1073741824"


@dataclass
class BenchDirectory(EmbeddedDirectory):
    """A private slapd with so many users, and the indexes of ``ldif/openldap/indexes.ldif``.

    The configuration is new for each run, the database of an earlier run is taken again.
    Whoever writes has to undo it.

    Parameters
    ----------
    size : Size
        How much there is.
    kept : bool
        Whether the next run finds the database.
    """

    sample: bool = False
    size: Size = field(default_factory=lambda: Size(10_000))
    kept: bool = True

    @property
    def database(self) -> Path:
        """The folder of the database. What it was made by is in its name."""
        if not self.kept:
            return self.folder / "database"
        digest = hashlib.sha256()
        here = Path(__file__).parent
        sources = [here / name for name in ("data.py", "directory.py", "sql.py")]
        sources += [Path(embedded.__file__), ldif_folder() / "openldap" / "schema.ldif"]
        for source in sources:
            digest.update(source.read_bytes())
        return CACHE / f"users-{self.size.users}-{digest.hexdigest()[:12]}"

    def database_kwargs(self) -> dict[str, Any]:
        """Return the settings with which ldapdb uses this directory; time is not to end a list."""
        return {**super().database_kwargs(), "operation_timeout_seconds": 600}

    def start(self) -> None:
        """Start on the database that was kept, or load it first.

        Raises
        ------
        LDAPDBError
            If slapd refuses, with what it said.
        """
        self.folder = Path(tempfile.mkdtemp(prefix="ldapdb-"))
        try:
            (self.folder / "config").mkdir()
            if not self.database.is_dir():
                self._load()
            (self.folder / "data").symlink_to(self.database)
            self._add(0, self._configuration())
            self.run()
        except BaseException:
            self.stop()
            raise

    def entries(self) -> Iterator[str]:
        """Make what is loaded, parents first."""
        return ldif(self.size)

    def _load(self) -> None:
        """Let slapadd make the database, which appears only when it is complete."""
        partial = self.database.with_suffix(".partial")
        for old in CACHE.glob(f"users-{self.size.users}-*") if self.kept else ():
            shutil.rmtree(old) if old.is_dir() else old.unlink()
        partial.mkdir(parents=True)
        config = self.folder / "config-to-load"
        config.mkdir()
        written = self._configuration().replace(str(self.folder / "data"), str(partial))
        slapadd = [str(self._slapd.program), "-T", "add", "-F", str(config), "-d", "0"]
        subprocess.run([*slapadd, "-n", "0"], input=written.encode(), check=True)
        command = [*slapadd, "-n", "1", "-q"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, text=True) as process:
            assert process.stdin is not None
            with contextlib.suppress(BrokenPipeError):  # it says itself why it ended
                for entry in self.entries():
                    process.stdin.write(entry)
                process.stdin.close()
        if process.returncode:
            raise LDAPDBError(f"slapadd failed: exit status {process.returncode}")
        partial.rename(self.database)

    def _configuration(self) -> str:
        configuration = super()._configuration()
        for line in _advised_indexes():
            attribute, _, kind = line.partition(" ")
            if not any(
                attribute in words and kind in words
                for words in map(_words, configuration.splitlines())
            ):
                raise LDAPDBError(f"the embedded directory lacks the advised index {line!r}")
        assert _SMALL_MAX_SIZE in configuration
        return configuration.replace(_SMALL_MAX_SIZE, f"olcDbMaxSize: {_MAX_BYTES}")


def _words(line: str) -> list[str]:
    name, _, value = line.partition(": ")
    return value.replace(",", " ").split() if name == "olcDbIndex" else []


def _advised_indexes() -> list[str]:
    text = (ldif_folder() / "openldap" / "indexes.ldif").read_text(encoding="utf-8")
    return [line.partition(": ")[2] for line in text.splitlines() if line.startswith("olcDbIndex")]
