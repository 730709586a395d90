"""Remedies of ``ldapdb check``, carried out."""

from __future__ import annotations

import subprocess
from typing import Any

from ldapdb.store.checking import Finding
from support.directory import Directory

__all__ = ["apply"]


def apply(directory: Directory, finding: Finding, *codes: int) -> None:
    """Run a remedy as it was told, on this server and with its administrator's password."""
    server: Any = directory.server
    command = finding.remedy.replace("ldapi:///", getattr(server, "socket_uri", ""))
    command = command.replace(" -x -W -D ", f" -x -w {server.password} -D ")
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode in (codes or (0,)), (command, done.stdout, done.stderr)
