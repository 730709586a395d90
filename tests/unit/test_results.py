"""ldap3's exceptions and LDAP's result codes become errors of ours, all of them."""

from __future__ import annotations

import pytest
from ldap3.core import exceptions
from ldap3.core.results import RESULT_CODES
from pyasn1.error import PyAsn1Error

from ldapdb import errors
from ldapdb.client.answers import partial
from ldapdb.client.credentials import rejection
from ldapdb.client.results import SUCCESS, WIRE_ERRORS, result_error
from ldapdb.client.session import CLIENT_ERRORS
from ldapdb.protocol.ber import BrokenAnswer
from ldapdb.protocol.codec import Result
from ldapdb.protocol.dn import DN
from ldapdb.settings import load

SERVER = "ldaps://directory.example.org"
COMPARED = {5, 6}  # compareFalse, compareTrue: answers and no errors
CODES = sorted(set(RESULT_CODES) - {SUCCESS} - COMPARED)

EXCEPTIONS = [
    value
    for value in vars(exceptions).values()
    if isinstance(value, type) and issubclass(value, exceptions.LDAPException)
]


@pytest.mark.parametrize(
    "kind", [kind for kind in EXCEPTIONS if issubclass(kind, exceptions.LDAPExceptionError)]
)
def test_every_error_of_ldap3_is_caught(kind: type[Exception]) -> None:
    """No error of ldap3 reaches the host as it is."""
    with pytest.raises(CLIENT_ERRORS):
        raise kind


def test_what_is_not_caught_are_results_alone() -> None:
    """ldap3's other exceptions stand for result codes and are never raised: we read the codes."""
    others = [kind for kind in EXCEPTIONS if not issubclass(kind, CLIENT_ERRORS)]
    assert others
    for kind in others:
        assert kind is exceptions.LDAPException or issubclass(kind, exceptions.LDAPOperationResult)


@pytest.mark.parametrize("kind", [PyAsn1Error, OSError, TimeoutError, KeyError, UnicodeDecodeError])
def test_a_broken_answer_is_caught(kind: type[Exception]) -> None:
    """What ldap3 and pyasn1 raise over garbage is an error of the connection."""
    assert issubclass(kind, CLIENT_ERRORS)


def test_who_may_not_write_is_told_whose_account_writes() -> None:
    said = str(result_error(50, SERVER, "adding cn=a as cn=reader", "cn=a", None))
    assert "(adding cn=a as cn=reader; result code 50)" in said
    assert "set bind_dn to an account that may, such as the writer of ldif/services.ldif" in said


@pytest.mark.parametrize("kind", [BrokenAnswer, OSError, TimeoutError, UnicodeDecodeError])
def test_what_our_own_reading_raises_is_caught(kind: type[Exception]) -> None:
    assert issubclass(kind, WIRE_ERRORS)


@pytest.mark.parametrize(
    "kind", [KeyboardInterrupt, SystemExit, GeneratorExit, MemoryError, AssertionError]
)
def test_what_is_no_answer_is_not_caught(kind: type[BaseException]) -> None:
    """An interrupt or a mistake of ours is not the directory's fault."""
    assert not issubclass(kind, (*WIRE_ERRORS, *CLIENT_ERRORS))


@pytest.mark.parametrize("code", [*CODES, 9999])
def test_every_result_code_is_an_error_of_ours(code: int) -> None:
    """The message names server, operation and code; the error carries them too."""
    error = result_error(code, SERVER, "adding cn=a", "cn=a", "no such luck")
    message = str(error)
    assert isinstance(error, errors.LDAPDBError)
    assert (error.server, error.dn, error.result_code) == (SERVER, "cn=a", code)
    assert message.startswith(f"the directory at {SERVER} ")
    assert f"(adding cn=a; result code {code})" in message
    assert message.endswith(' It said: "no such luck"')


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("said", [None, "", "  "])
def test_a_server_may_say_nothing(code: int, said: str | None) -> None:
    """Without a diagnostic message nothing is quoted, and the message is whole all the same."""
    message = str(result_error(code, SERVER, "binding", None, said))
    assert "It said" not in message
    assert message.endswith(f"(binding; result code {code}).")
    assert len(message.removeprefix(f"the directory at {SERVER} ")) > 20


@pytest.mark.parametrize("code", [49, 53, 9999])
def test_what_a_server_says_stays_within_its_line(code: int) -> None:
    """It may hold what a client sent: no line of a log is forged, and no terminal is steered."""
    said = "no\nERROR forged \x1b[2J\u2028\r\n\0"
    message = str(result_error(code, SERVER, "binding", None, said))
    assert message.endswith(r' It said: "no\nERROR forged \x1b[2J\u2028"')
    assert len(str(result_error(code, SERVER, "binding", None, "x" * 100_000))) < 1500


def test_where_a_referral_leads_stays_within_its_line() -> None:
    message = str(partial(SERVER, DN.parse("dc=org"), ["ldap://a", "x\nERROR forged \x1b[2J"]))
    assert r"(ldap://a, x\nERROR forged \x1b[2J)" in message


def test_the_refusal_of_a_log_in_stays_within_its_line() -> None:
    settings = load(uri=SERVER, base_dn="dc=org", bind="gssapi")
    refused = Result(49, "no\nERROR forged \x1b[2J")
    assert str(rejection(settings, SERVER, refused)).endswith(
        r'It said: "no\nERROR forged \x1b[2J"'
    )


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (3, errors.IncompleteResult),
        (4, errors.IncompleteResult),
        (10, errors.ReadOnly),
        (11, errors.IncompleteResult),
        (8, errors.AccessDenied),
        (13, errors.CredentialsRejected),
        (16, errors.NoSuchValue),
        (17, errors.SchemaMissing),
        (20, errors.ValueExists),
        (32, errors.NoSuchEntry),
        (49, errors.CredentialsRejected),
        (50, errors.AccessDenied),
        (51, errors.DirectoryUnavailable),
        (52, errors.DirectoryUnavailable),
        (53, errors.AccessDenied),
        (65, errors.ObjectClassViolation),
        (68, errors.EntryExists),
        (80, errors.UnexpectedResult),
    ],
)
def test_a_code_says_what_can_be_done(code: int, kind: type[errors.LDAPDBError]) -> None:
    """The error's class follows from the code (RFC 4511, appendix A)."""
    assert type(result_error(code, SERVER, "searching", None, None)) is kind


def test_only_a_busy_or_closing_server_is_an_outage() -> None:
    """A server that answers is not down: old answers are not served over its refusals."""
    outages = {
        code
        for code in CODES
        if isinstance(result_error(code, SERVER, "x", None, None), errors.DirectoryUnavailable)
    }
    assert outages == {51, 52}


def test_only_code_32_is_an_absent_entry() -> None:
    """No other code lets anybody believe that an entry is not there."""
    absent = {
        code
        for code in CODES
        if isinstance(result_error(code, SERVER, "x", None, None), errors.NoSuchEntry)
    }
    assert absent == {32}
