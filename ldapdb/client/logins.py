"""The logins of this process: how often a rejected password is sent again.

The host makes a new database whenever the last one could not be made, so what is known of
rejected logins belongs to the process and not to a database. ``attempts`` has the rules.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Optional, Union

from ldapdb.attempts import Attempts, Busy, Login, Pause
from ldapdb.client.deadline import Deadline
from ldapdb.errors import CredentialsRejected, DeadlineExceeded
from ldapdb.protocol.dn import DN
from ldapdb.settings import Settings
from ldapdb.shared import LOCK, Kept, Place, Waiters, renew_in_children
from ldapdb.syntaxes import said_time

__all__ = ["LOGINS", "Logins"]

log = logging.getLogger(__name__)


class Logins:
    """All logins of one process that send a password.

    Parameters
    ----------
    timer : callable
        Seconds of a monotonic clock.
    """

    def __init__(self, timer: Callable[[], float] = time.monotonic) -> None:
        self._timer = timer
        self._attempts = Kept(Attempts)
        self._waiters = Waiters()
        renew_in_children(self)

    def require(self, settings: Settings, uri: str) -> None:
        """See that a login may be sent now.

        Raises
        ------
        CredentialsRejected
            If it was rejected before and its time has not come.
        """
        if settings.authentication != "simple":
            return
        login = _login(settings, uri)
        with LOCK:
            pause = self._attempts.whole.pause(login, self._timer())
        if pause is not None:
            raise self._paused(settings, pause)

    def is_paused(self, settings: Settings, uri: str) -> bool:
        """Tell whether a login must not be sent now."""
        try:
            self.require(settings, uri)
        except CredentialsRejected:
            return True
        return False

    def send(
        self,
        settings: Settings,
        uri: str,
        deadline: Deadline,
        exchange: Callable[[], Optional[CredentialsRejected]],
    ) -> None:
        """Send a login when it may be sent, and note its outcome.

        Parameters
        ----------
        exchange : callable
            Sends it, and returns the rejection if the server has judged the password to be bad.

        Raises
        ------
        CredentialsRejected
            If it was rejected, now or before.
        DeadlineExceeded
            If other logins of the account do not end in time.
        """
        if settings.authentication != "simple":
            error = exchange()
            if error is not None:
                raise error
            return
        # Before the password is read: a file that changes between the two is tried once more.
        login, place = _login(settings, uri), Place()
        self._begin(settings, login, deadline, place)
        try:
            error = exchange()
            if error is not None:
                raise self._noted(settings, login, error)
            self._attempts.change(lambda attempts: attempts.accept(login, self._timer()))
        finally:
            self._attempts.change(lambda attempts: attempts.end(login, place))
            self._waiters.wake()

    def _begin(self, settings: Settings, login: Login, deadline: Deadline, place: Place) -> None:
        asked_at = self._timer()
        answer: Union[Busy, Pause, None] = None

        def is_decided() -> bool:
            nonlocal answer
            answer = self._attempts.change(
                lambda attempts: attempts.begin(login, self._timer(), asked_at, place)
            )
            return not isinstance(answer, Busy)

        if not self._waiters.wait_for(is_decided, deadline.remaining):
            raise DeadlineExceeded(
                f"another login of {settings.bind_dn} did not end in time; see whether the "
                "directory is slow"
            )
        if isinstance(answer, Pause):
            raise self._paused(settings, answer)

    def _noted(
        self, settings: Settings, login: Login, error: CredentialsRejected
    ) -> CredentialsRejected:
        now = self._timer()

        def reject(attempts: Attempts) -> Optional[Pause]:
            attempts.reject(login, now, str(error))
            return attempts.pause(login, now)

        pause = self._attempts.change(reject)
        noted = error if pause is None else self._paused(settings, pause, error.result_code)
        log.warning("%s", noted)  # once, and not for each call that is not sent
        return noted

    def _paused(
        self, settings: Settings, pause: Pause, code: Optional[int] = None
    ) -> CredentialsRejected:
        next_at = said_time(time.time() + pause.until - self._timer())
        remedy = (
            "fix bind_password and restart the process"
            if settings.bind_password_file is None
            else f"fix bind_password_file '{settings.bind_password_file}', which is tried at once "
            "when it is written again (touch is enough)"
        )
        error = CredentialsRejected(
            f"{pause.reason} The password is not sent again before {next_at}, so that the "
            f"directory does not lock the account; {remedy}",
            server=pause.server,
            result_code=code,
        )
        error.logged = True
        return error

    def renew_after_fork(self) -> None:
        """Start anew in a forked child, with what is known and without what is under way."""
        self._waiters = Waiters()
        self._attempts.change(Attempts.forget_under_way)


def _login(settings: Settings, uri: str) -> Login:
    return Login(
        account=_spelled(settings.bind_dn or ""),
        server=uri,
        servers=settings.servers,
        source=settings.password_source(),
    )


def _spelled(account: str) -> str:
    """Return one spelling of an account's name, so that each account has one count."""
    try:
        return str(DN.parse(account)).casefold()
    except ValueError:  # user@domain or DOMAIN\user
        return account.casefold()


LOGINS = Logins()
