"""Programs in the small Debian that ``.ci/prepare machine`` unpacked.

Each program sees that root with folders of its own mounted over some of it, in a mount
namespace that ends with it. So every path inside is the distribution's, and nothing
of the machine around is touched. The network is the machine's.
"""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Optional

from ldapdb.errors import LDAPDBError

CHECKOUT = Path(__file__).resolve().parents[2]
MACHINE = CHECKOUT / ".cache" / "machine"
_TOOL_SECONDS = 120.0
_ALONE = ("--pid", "--fork", "--kill-child")

# What a program inside gets. The environment here may name libraries for slapd.
_ENVIRONMENT = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LC_ALL": "C.UTF-8",
}

# Every step is an exec, so that the process that was started is the program itself and
# a signal needs no forwarding. As number 1 of its own process namespace, it takes all
# that it started with it.
_ENTER = r"""
set -e
root=$1 uid=$2 && shift 2
mount --rbind /dev "$root/dev"
mount -t tmpfs shm "$root/dev/shm"
# Of its own processes only, where it is alone; within a container that may be refused.
{ [ $$ = 1 ] && mount -t proc proc "$root/proc" 2>/dev/null; } || mount --rbind /proc "$root/proc"
while [ "$1" != -- ]; do
    mount --bind "$1" "$root$2" && shift 2
done
shift
[ "$uid" != 0 ] || exec chroot "$root" "$@"
exec unshare --user --map-user="$uid" --map-group="$uid" --root="$root" --wd=/ \
    setpriv --pdeathsig KILL "$@"
"""


def unshare(*options: str) -> list[str]:
    """Begin a command in namespaces of its own, as root or as one who is root inside.

    The kernel kills it when whoever started it is killed.
    """
    root = () if os.geteuid() == 0 else ("unshare", "--user", "--map-root-user")
    return [*root, "setpriv", "--pdeathsig", "KILL", "unshare", "--mount", *options]


@dataclass(frozen=True)
class Namespace:
    """The unpacked root with folders mounted over it.

    Parameters
    ----------
    mounts : mapping
        Folders or files here, each with its path inside.
    server_uid : int
        Who servers are, where we are not root and so cannot give them the right
        to become whom they want.
    root : Path
        The unpacked root.
    """

    mounts: Mapping[Path, str]
    server_uid: int = 0
    root: Path = MACHINE

    def start(
        self, command: Sequence[str], output: IO[Any], *, alone: bool = False
    ) -> subprocess.Popen[bytes]:
        """Start a server; the process returned is the server's own.

        It is killed when the thread that called this ends, too.

        Parameters
        ----------
        alone : bool
            Whether it starts processes of its own: it sees no others, and takes those with it
            when the process returned, which is not its own then, is killed.
        """
        return subprocess.Popen(
            self._command(command, self.server_uid, *(_ALONE if alone else ())),
            env=_ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )

    def run(self, *command: str, text: str = "", alone: bool = False) -> str:
        """Run a tool to its end and return what it wrote to standard output.

        Parameters
        ----------
        text : str
            What it reads from standard input.
        alone : bool
            Whether it is a maker that starts the server: it sees no process but its own, takes
            those with it, and is who the server is.

        Raises
        ------
        LDAPDBError
            With all it said, if its exit status is not 0 or it does not come back.
        """
        try:
            done = subprocess.run(
                self._command(command, self.server_uid, *_ALONE)
                if alone
                else self._command(command),
                env=_ENVIRONMENT,
                input=text.encode(),
                capture_output=True,
                timeout=_TOOL_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise LDAPDBError(f"{command[0]} did not end within {_TOOL_SECONDS:g} s") from error
        if done.returncode:
            said = (done.stderr + done.stdout).decode(errors="replace").strip()
            raise LDAPDBError(f"{command[0]} failed ({done.returncode}): {said}")
        return done.stdout.decode()

    def _command(self, command: Sequence[str], uid: int = 0, *options: str) -> list[str]:
        uid = 0 if os.geteuid() == 0 else uid
        mounts = [word for here, inside in self.mounts.items() for word in (str(here), inside)]
        enter = ["sh", "-c", _ENTER, "enter", str(self.root), str(uid), *mounts, "--", *command]
        return [*unshare(*options), *enter]


@functools.cache
def missing(title: str, program: str, server_uid: int) -> Optional[str]:
    """Say why a server of the machine cannot run here; None if it can.

    Parameters
    ----------
    title : str
        What to call it.
    program : str
        Its path inside.
    server_uid : int
        As in :class:`Namespace`.
    """
    if not sys.platform.startswith("linux"):
        return f"{title} runs in namespaces of Linux"
    if not (MACHINE / program.lstrip("/")).exists():
        return f"{title} is not there; `.ci/prepare machine` fetches it where apt-get is"
    try:
        Namespace({}, server_uid).run("true", alone=True)
    except FileNotFoundError:
        return f"{title} needs util-linux (unshare, mount, setpriv)"
    except LDAPDBError as error:
        return f"{title} needs namespaces, which this machine refuses: {error}"
    return None
