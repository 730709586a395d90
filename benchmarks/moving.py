"""How long moving in takes, and how much memory: SQLite's rows into a slapd, as commands.

Run as ``python -m benchmarks.moving --rows 100000``. It ends with the parity report, which has
to say "identical".
"""

# ruff: noqa: T201 -- what it prints is what it is for

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.data import GRANTS_OF_A_USER, Size, people
from benchmarks.directory import BenchDirectory
from benchmarks.sql import create, fill
from ldapdb.embedded import EmbeddedDirectory

__all__ = ["Done", "measure"]

# The command line, and then Linux's word on the most memory that this program had. What wait4
# tells would be that of whoever started it, where that was more.
_PROGRAM = """
import sys
from pathlib import Path
from ldapdb.cli import run
code = run()
peak = Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]
sys.stdout.write(f"\\n{peak}")
sys.exit(code)
"""


@dataclass(frozen=True)
class Done:
    """What a command took.

    Parameters
    ----------
    what : str
        Its name in the table.
    seconds : float
        From its start to its end, Python's included.
    megabytes : float
        The most memory that it had at once.
    said : str
        The last line that it printed.
    """

    what: str
    seconds: float
    megabytes: float
    said: str

    def __str__(self) -> str:
        """Write a row of the table."""
        return f"{self.what:14} {self.seconds:7.1f} s {self.megabytes:6.0f} MB   {self.said}"


class _Newcomers(BenchDirectory):
    """The same people, and nothing granted to them."""

    def entries(self) -> Iterator[str]:
        """Make what is there before the import."""
        return people(self.size)


def measure(what: str, settings: Mapping[str, object], *arguments: str) -> Done:
    """Run ``ldapdb``, and see what it takes.

    Parameters
    ----------
    what : str
        Its name in the table.
    settings : mapping of str to object
        As ``LDAPDatabase`` takes them.
    *arguments : str
        The command line.

    Raises
    ------
    RuntimeError
        If it fails, with what it said.
    """
    environment = {f"LDAPDB_{name.upper()}": str(value) for name, value in settings.items()}
    began = time.perf_counter()
    process = subprocess.run(
        [sys.executable, "-c", _PROGRAM, *arguments],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - began
    said, _, kilobytes = process.stdout.rpartition("\n")
    if process.returncode:
        raise RuntimeError(f"{' '.join(arguments)} ended with {process.returncode}: {said}")
    last = said.rstrip().rpartition("\n")[2].rpartition("db: ")[2]
    return Done(what, seconds, int(kilobytes) * 1024 / 1_000_000, last)


def _measured(directory: BenchDirectory, folder: Path, size: Size) -> Iterator[Done]:
    """Yield what each step takes, in the order in which an administrator takes them."""
    settings = EmbeddedDirectory.database_kwargs(directory)  # no more time than usual
    nothing, company = folder / "nothing.db", folder / "company.db"
    create(nothing)
    fill(company, size)
    source = f"sqlite:///{company}"
    yield measure("no row at all", settings, "import", f"sqlite:///{nothing}", "--yes")
    yield measure("import", settings, "import", source, "--yes")
    again = measure("import again", settings, "import", source, "--yes")
    assert " 0 rights to grant, " in again.said, again.said
    yield again
    compared = measure("compare", settings, "compare", source)
    assert compared.said.endswith("; identical"), compared.said
    yield compared


def main() -> None:
    """Measure, and print a row as each is there."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.moving", description=__doc__)
    parser.add_argument(
        "--rows", type=int, default=100_000, help="about so many accounting rows; 5,000 or more"
    )
    size = Size(parser.parse_args().rows // GRANTS_OF_A_USER)
    with tempfile.TemporaryDirectory() as folder, _Newcomers(size=size, kept=False) as directory:
        for done in _measured(directory, Path(folder), size):
            print(done, flush=True)


if __name__ == "__main__":
    main()
