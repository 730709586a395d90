"""From the name in a URI to an open socket, under the deadline."""

from __future__ import annotations

import socket
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, Optional
from urllib.parse import unquote, urlsplit

from ldapdb.client.deadline import Deadline
from ldapdb.errors import DirectoryUnavailable
from ldapdb.shared import Waiters, renew_in_children

__all__ = ["connect"]

_PORTS = {"ldap": 389, "ldaps": 636}  # RFC 4516, section 2, and the registry of IANA

# What getaddrinfo returns: family, type, protocol, canonical name, address.
_Address = tuple[int, int, int, str, Any]


def connect(uri: str, deadline: Deadline) -> socket.socket:
    """Open a socket to a server.

    Each of its addresses gets an equal share of what is left of the time.

    Parameters
    ----------
    uri : str
        The server.
    deadline : Deadline
        When it must be open.

    Raises
    ------
    DirectoryUnavailable
        If the name cannot be looked up in time, or no address accepts a connection.
    """
    addresses = _addresses(uri, deadline)
    failures = [] if addresses else ["it has no address here"]
    for position, (family, kind, protocol, _, address) in enumerate(addresses):
        try:
            plain = socket.socket(family, kind, protocol)
        except OSError as error:  # none of that family here, or too many files are open
            failures.append(str(error))
            continue
        try:
            plain.settimeout(deadline.remaining() / (len(addresses) - position))
            plain.connect(address)
        except OSError as error:
            plain.close()
            where = address[0] if isinstance(address, tuple) else address
            failures.append(f"{where}: {error}")
        except BaseException:
            plain.close()
            raise
        else:
            return plain
    raise DirectoryUnavailable(
        f"the directory at {uri} cannot be reached: {'; '.join(failures)}", server=uri
    )


def _addresses(uri: str, deadline: Deadline) -> Sequence[_Address]:
    parts = urlsplit(uri)
    if parts.scheme == "ldapi":
        return [(socket.AF_UNIX, socket.SOCK_STREAM, 0, "", unquote(parts.netloc))]
    host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
    try:
        found = _look_up(host, port, deadline)
    except (OSError, ValueError) as error:  # a name of impossible form is a ValueError
        raise DirectoryUnavailable(
            f"the directory at {uri} cannot be reached: the name {host!r} was not found "
            f"({error}); check uri and this machine's name servers",
            server=uri,
        ) from error
    if found is None:
        raise DirectoryUnavailable(
            f"the directory at {uri} cannot be reached: looking up the name {host!r} took too "
            "long; check this machine's name servers",
            server=uri,
        )
    if host == "localhost":
        # Plain text is allowed to it, so it means this machine whatever answers for the
        # name (RFC 6761, section 6.3).
        found = [each for each in found if ip_address(each[4][0]).is_loopback]
    return sorted(found, key=lambda address: address[0] != socket.AF_INET)


@dataclass
class _LookUp:
    """The look-up of a name, for all who wait for it."""

    is_done: bool = False
    waiters: Waiters = field(default_factory=Waiters)
    found: Sequence[_Address] = ()
    error: Optional[Exception] = None


class _Running:
    """The look-ups that run: one a name, however many wait, and however long it hangs."""

    def __init__(self) -> None:
        self.renew_after_fork()

    def renew_after_fork(self) -> None:
        """Forget all: in a forked child nobody ends them, or lets the lock go."""
        self.lock = threading.RLock()
        self.by_name: dict[tuple[str, int], _LookUp] = {}


_running = _Running()
renew_in_children(_running)


def _look_up(host: str, port: int, deadline: Deadline) -> Optional[Sequence[_Address]]:
    """Return the addresses of a name; None if that takes longer than there is time."""
    try:
        return socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
        )  # which asks nobody
    except OSError:
        pass
    name = (host, port)
    with _running.lock:
        look_up = _running.by_name.get(name)
        if look_up is None:
            look_up = _LookUp()
            # The system's resolver has no time-out that could be set: the thread may hang.
            threading.Thread(
                target=_ask, args=(name, look_up), name=f"ldapdb look-up {host}", daemon=True
            ).start()
            _running.by_name[name] = look_up
    if not look_up.waiters.wait_for(lambda: look_up.is_done, deadline.remaining):
        return None
    if look_up.error is not None:
        raise look_up.error
    return look_up.found


def _ask(name: tuple[str, int], look_up: _LookUp) -> None:
    try:
        look_up.found = socket.getaddrinfo(*name, type=socket.SOCK_STREAM)
    except Exception as error:  # noqa: BLE001 -- those who wait raise it
        look_up.error = error
    finally:
        with _running.lock:
            _running.by_name.pop(name, None)
        look_up.is_done = True
        look_up.waiters.wake()
