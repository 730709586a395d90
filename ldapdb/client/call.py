"""One public call on a directory: operations that share a deadline."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence

from ldapdb.client.deadline import Deadline
from ldapdb.client.reads import Reads
from ldapdb.client.results import SUCCESS, result_error
from ldapdb.client.session import Session
from ldapdb.errors import DirectoryUnavailable
from ldapdb.protocol.codec import Result
from ldapdb.protocol.dn import DN, RDN
from ldapdb.protocol.entry import OBJECT_CLASS, Modification

__all__ = ["Call"]

log = logging.getLogger(__name__)


class Call(Reads):
    """One public call: reads and writes that share a deadline; made as :class:`Reads` is."""

    def add(
        self, dn: DN, object_classes: Sequence[str], attributes: Mapping[str, Sequence[str]]
    ) -> None:
        """Add an entry.

        Raises
        ------
        EntryExists, NoSuchEntry, AccessDenied
            If it is there, its parent is not, or the account may not. It may be there because
            of this very call: see ``answer_lost``.
        """
        whole = {OBJECT_CLASS: object_classes, **attributes}
        self._write(dn, "adding", lambda session, by: session.add(by, str(dn), whole))

    def modify(self, dn: DN, modifications: Sequence[Modification]) -> None:
        """Modify an entry, all modifications or none.

        Raises
        ------
        NoSuchEntry, ValueExists, NoSuchValue, ObjectClassViolation, AccessDenied
            By the server's result code.
        """
        self._write(dn, "modifying", lambda session, by: session.modify(by, str(dn), modifications))

    def delete(self, dn: DN) -> None:
        """Delete an entry that has nothing below it.

        Raises
        ------
        NoSuchEntry, AccessDenied
            By the server's result code.
        """
        self._write(dn, "deleting", lambda session, by: session.delete(by, str(dn)))

    def rename(self, dn: DN, rdn: RDN) -> None:
        """Give an entry another RDN, where it is; the old one's values go.

        Raises
        ------
        NoSuchEntry, EntryExists, AccessDenied
            By the server's result code.
        """
        new = str(DN((rdn,)))
        self._write(dn, "renaming", lambda session, by: session.rename(by, str(dn), new))

    def _write(self, dn: DN, doing: str, write: Callable[[Session, Deadline], Result]) -> None:
        def use(session: Session, deadline: Deadline) -> None:
            began = time.perf_counter()
            result = write(session, deadline)
            milliseconds = (time.perf_counter() - began) * 1000
            log.debug("%s %s: result code %d, %.1f ms", doing, dn, result.code, milliseconds)
            if result.code != SUCCESS:
                what = f"{doing} {dn} as {session.account}"
                raise result_error(result.code, session.uri, what, str(dn), result.said)

        try:
            self.written.append(self._directory.write(self, use))
        except DirectoryUnavailable as error:
            if not error.answer_lost:
                raise
            raise error.restated(
                f"no answer to {doing} '{dn}', which may have been done or not; repeat the call "
                f"when the directory answers again, that does no harm: {error}",
                DirectoryUnavailable,
                dn=str(dn),
            ) from error
