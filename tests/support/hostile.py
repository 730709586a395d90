"""Hostile searches and comparisons, and whether the answers to them depend on a secret.

A secret has two values. All requests are sent while the directory holds the first values, and
again while it holds the second ones. A user who may not read the secrets must get the same
answers both times, to the octet. So no request needs an expected answer of its own.
"""

from __future__ import annotations

import itertools
import random
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Optional
from urllib.parse import unquote, urlsplit

from ldapdb.protocol import ber
from support.benches import Account, Bench

__all__ = ["Client", "Facts", "Secret", "ask_with_password", "requests", "revealing"]

Answer = tuple[bytes, ...]

_ANSWER, _ENTRY, _REFERENCE = 2, 0x64, 0x73
# OpenLDAP closes a connection on which more than 100 requests wait.
_AT_ONCE = 50
_SECONDS = 30.0

DN_ATTRIBUTES = (
    "member", "2.5.4.31", "member;lang-en", "owner", "seeAlso", "roleOccupant", "distinguishedName",
    "uniqueMember", "manager", "secretary", "memberOf", "associatedName", "documentAuthor",
    "aliasedObjectName", "creatorsName", "modifiersName", "entryDN",
)  # fmt: skip
TEXT_ATTRIBUTES = (
    "remoteAppLicense", "remoteAppLicense;lang-en", "userPassword", "description", "employeeNumber",
    "telephoneNumber", "uid", "cn", "name", "memberUid", "uidNumber", "unicodePwd",
    "supplementalCredentials",
)  # fmt: skip
DN_RULES = (
    "distinguishedNameMatch", "dnSuperiorMatch", "dnSubordinateMatch", "dnSubtreeMatch",
    "dnOneLevelMatch", "2.5.13.1", "uniqueMemberMatch", "1.2.840.113556.1.4.1941",
)  # fmt: skip
TEXT_RULES = (
    "caseExactMatch", "caseIgnoreMatch", "2.5.13.5", "octetStringMatch", "caseExactSubstringsMatch",
    "caseIgnoreIA5Match", "integerMatch", "integerOrderingMatch", "componentFilterMatch",
    "2.16.840.1.113730.3.3.2.0.1.6", "1.2.840.113556.1.4.803", "1.2.840.113556.1.4.804",
)  # fmt: skip
# What means something in a set of OpenLDAP, a rule of 389 DS, a filter, a DN, a URL or a pattern.
_FRAGMENTS = (
    "]", "[", "] | ", " | [", "] & ", " & [", "user", "this", "this/member*", "] | user | [",
    "] | this/member* | [", "/member", "/member*", "/-1", "/-*", "/entryDN", "->member", "(", ")",
    "*", "$", "$1", "${v0}", "${v1}", "${d0}", "${v0", "($dn)", "[$dn]", "||", "&", "|",
    "($attr.member)",
    "\\5D", "\\5b", "\\00", "\\0a", "\\2A", "\\5C", "\\,", "#", "%5d", "%", "ldap:///", "?",
    "\t", "a", "\N{FULLWIDTH RIGHT SQUARE BRACKET}", "\N{FULLWIDTH LEFT SQUARE BRACKET}",
    "\u00e9",
)  # fmt: skip


@dataclass(frozen=True)
class Facts:
    """What an attacker knows or guesses about a directory.

    Parameters
    ----------
    suffix : str
        Where searches begin: the naming context, or a branch of it.
    own : sequence of str
        DNs of the attacker, and of the groups and grants that the attacker is in.
    others : sequence of str
        DNs of other users, and of their groups and grants.
    guesses : sequence of str
        Licences, passwords and numbers, of which some are right.
    schema : str
        The server's matching rules as it lists them; a server may reject a search by another one
        before it looks at any entry.
    """

    suffix: str
    own: Sequence[str]
    others: Sequence[str]
    guesses: Sequence[str]
    schema: str

    def known(self, rules: Sequence[str]) -> list[str]:
        """Return those rules that the server knows."""
        return [each for each in rules if f"{each} " in self.schema.replace("'", " ")]


class Client:
    """A connection that sends what no LDAP library would, many requests at a time.

    Parameters
    ----------
    uri : str
        The server, as ldap:// or ldapi://.
    """

    def __init__(self, uri: str) -> None:
        parts = urlsplit(uri)
        if parts.scheme == "ldapi":
            self._socket = socket.socket(socket.AF_UNIX)
            self._socket.settimeout(_SECONDS)
            self._socket.connect(unquote(parts.netloc))
        else:
            address = (parts.hostname or "", parts.port or 389)
            self._socket = socket.create_connection(address, _SECONDS)
        self._received = b""

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def log_in(self, dn: str, password: str) -> None:
        """Bind with a password."""
        self._bind(ber.element(password.encode(), 0x80), dn)

    def log_in_by_socket(self) -> None:
        """Bind as the user of this process (SASL EXTERNAL)."""
        self._bind(ber.sequence(_text("EXTERNAL"), _text(""), tag=0xA3))

    def ask(self, wanted: Sequence[bytes]) -> list[Answer]:
        """Send all requests and return the answer to each: entries in any order, and the result."""
        answers: list[Answer] = []
        for start in range(0, len(wanted), _AT_ONCE):
            answers += self._ask_at_once(wanted[start : start + _AT_ONCE])
        return answers

    def _bind(self, credentials: bytes, dn: str = "") -> None:
        request = ber.sequence(ber.integer(3), _text(dn), credentials, tag=0x60)
        [answer] = self.ask([request])
        assert answer[-1][2:5] == b"\x0a\x01\x00", answer

    def _ask_at_once(self, wanted: Sequence[bytes]) -> list[Answer]:
        message = (ber.sequence(ber.integer(n), each) for n, each in enumerate(wanted, start=1))
        self._socket.sendall(b"".join(message))
        parts: dict[int, list[bytes]] = {number: [] for number in range(1, len(wanted) + 1)}
        open_ = len(wanted)
        while open_:
            number, part = self._receive()
            parts[number].append(part)
            open_ -= part[0] not in (_ENTRY, _REFERENCE)
        return [(*sorted(each[:-1]), each[-1]) for each in parts.values()]

    def _receive(self) -> tuple[int, bytes]:
        while True:
            whole = _length(self._received)
            if whole is not None and whole <= len(self._received):
                break
            octets = self._socket.recv(1 << 16)
            assert octets, "the server closed the connection"
            self._received += octets
        message, self._received = self._received[:whole], self._received[whole:]
        [outer] = ber.children(message, 0, len(message))
        number, operation = ber.children(message, outer[1], outer[2])[:_ANSWER]
        start = number[2]
        return int.from_bytes(message[number[1] : number[2]], "big"), message[start : operation[2]]


def _length(received: bytes) -> Optional[int]:
    if len(received) < ber.HEADER:
        return None
    more = received[1] & 0x7F if received[1] & ber.LONG_FORM else 0
    if len(received) < ber.HEADER + more:
        return None
    length = int.from_bytes(received[2 : 2 + more], "big") if more else received[1]
    return ber.HEADER + more + length


def ask_with_password(who: Account, wanted: Sequence[bytes]) -> list[Answer]:
    """Send all requests as somebody who has a password, or who does not log in."""
    client = Client(who.uri)
    try:
        if who.dn:
            client.log_in(who.dn, who.password)
        return client.ask(wanted)
    finally:
        client.close()


# -- secrets --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Secret:
    """An attribute with two values, of which nobody but those who may read it knows which it has.

    Parameters
    ----------
    dn, attribute : str
        Where it is.
    first, second : str
        The values, one after the other; empty for none. One that has "; " stands for several.
    """

    dn: str
    attribute: str
    first: str
    second: str

    def record(self, value: str) -> str:
        """Write the change that sets it."""
        values = [f"{self.attribute}: {each}" for each in value.split("; ") if each]
        lines = [f"dn: {self.dn}", "changetype: modify", f"replace: {self.attribute}", *values]
        return "\n".join(lines) + "\n\n"


def revealing(
    bench: Bench, secrets: Sequence[Secret], ask: Callable[[], list[Answer]]
) -> Sequence[int]:
    """Return which answers depend on a secret, by their places.

    Parameters
    ----------
    bench : Bench
        The server; its administrator sets the secrets.
    secrets : sequence of Secret
        All of them, which get their first values again in the end.
    ask : callable
        Sends the same requests each time.
    """
    firsts = "".join(each.record(each.first) for each in secrets)
    seconds = "".join(each.record(each.second) for each in secrets)
    answers = []
    for text in (firsts, seconds):
        done = bench.admin.run("ldapmodify", text=text)
        assert done.returncode == 0, done.stderr
        answers.append(ask())
    assert bench.admin.run("ldapmodify", text=firsts).returncode == 0
    return [place for place, (one, other) in enumerate(zip(*answers)) if one != other]


# -- requests -------------------------------------------------------------------------------


def requests(
    facts: Facts, *, seed: int, most: Optional[int] = None, compares: bool = True
) -> list[bytes]:
    """Write the requests: the ordinary ones for each attribute, then those that are made up.

    Parameters
    ----------
    facts : Facts
        What they are about.
    seed : int
        The same seed gives the same requests.
    most : int, optional
        How many to choose of each kind, for a slow server; all by default.
    compares : bool
        Whether to compare, as well as search.
    """
    chosen = random.Random(seed)
    kinds = [list(_about_dns(facts)), list(_about_texts(facts))]
    kinds.append([*_injected(facts), *_cut(facts), *_taken(1000, _mangled(facts, chosen))])
    kinds.append(_taken(500, _joined([each for kind in kinds for each in kind], chosen)))
    found = [_search(facts.suffix, _present("objectClass"), *DN_ATTRIBUTES, *TEXT_ATTRIBUTES)]
    found += [_search(facts.suffix, each) for each in _negated_choices(facts)]
    for kind in kinds:
        found += [_search(facts.suffix, each) for each in _some(kind, most, chosen)]
    return found + (_some(list(_compares(facts)), most, chosen) if compares else [])


def _some(kind: list[bytes], most: Optional[int], chosen: random.Random) -> list[bytes]:
    return kind if most is None or most > len(kind) else chosen.sample(kind, most)


def _taken(number: int, endless: Iterator[bytes]) -> list[bytes]:
    return list(itertools.islice(endless, number))


def _about_dns(facts: Facts) -> Iterator[bytes]:
    parents = (facts.suffix, f"ou=people,{facts.suffix}", "")
    values = (*facts.own, *facts.others, *parents)
    for attribute in DN_ATTRIBUTES:
        yield _present(attribute)
        yield _negated(_present(attribute))
        for value in values:
            yield from _ordinary(attribute, value)
            yield _negated(_equal(attribute, value))
            yield from (_extensible(rule, attribute, value) for rule in facts.known(DN_RULES))
    for rule, value in itertools.product(facts.known(DN_RULES), values):
        yield _extensible(rule, "", value)
        yield _extensible(rule, "", value, of_dn=True)


def _about_texts(facts: Facts) -> Iterator[bytes]:
    for attribute, value in itertools.product(TEXT_ATTRIBUTES, facts.guesses):
        yield from _ordinary(attribute, value)
        yield _negated(_equal(attribute, value))
        yield _negated(_present(attribute))
        yield from (_starts(attribute, value[:length]) for length in range(1, 8))
        yield from (_extensible(rule, attribute, value) for rule in facts.known(TEXT_RULES))
    for rule, value in itertools.product(facts.known(TEXT_RULES), facts.guesses):
        yield _extensible(rule, "", value, of_dn=True)


def _negated_choices(facts: Facts) -> Iterator[bytes]:
    """Ask what is in none of two attributes, of which one may be searched for and one may not."""
    harmless = _equal("cn", "x")
    for attribute, value in itertools.product(("remoteAppLicense", "description"), facts.guesses):
        for secret in (_equal(attribute, value), _starts(attribute, value[:2])):
            yield _negated(ber.sequence(harmless, secret, tag=0xA1))


def _injected(facts: Facts) -> Iterator[bytes]:
    """Close the name that a rule may copy the value into, and go on in its language."""
    for tail, search in itertools.product(facts.own, _questions(facts)):
        for attribute in ("owner", "manager"):
            url = f"ldap:///{_encoded(facts.suffix)}??sub?{_encoded(search)}"
            value = f"cn=a] | [{url}]/{attribute} | [b,{tail}"
            yield _extensible("dnSuperiorMatch", "member", value)
    for tail in (*facts.own, *facts.others):
        for inside in ("] | user | [b", "] | this/member* | [b", "\\5D | user | \\5Bb"):
            for attribute, rule in itertools.product(("member", "owner"), facts.known(DN_RULES)):
                yield _extensible(rule, attribute, f"cn=a{inside},{tail}")


def _questions(facts: Facts) -> Iterator[str]:
    for attribute, value in itertools.product(("member", "manager"), facts.others):
        yield f"({attribute}={value})"
    hidden = (
        "remoteAppLicense",
        "userPassword",
        "employeeNumber",
        "telephoneNumber",
        "description",
    )
    for attribute in hidden:
        yield f"({attribute}=*)"
        for value in facts.guesses:
            yield f"({attribute}={value})"
            yield f"({attribute}={value[:3]}*)"


def _cut(facts: Facts) -> Iterator[bytes]:
    """Fill the room into which a rule may be copied, so that its end is cut off."""
    for dn in (*facts.own, *facts.others):
        for length in (255, 511, *range(1000, 1030), 2047, 4095):
            value = f"cn={'a' * (length - len(dn) - 4)},{dn}"
            yield _extensible("dnSuperiorMatch", "member", value)


def _mangled(facts: Facts, chosen: random.Random) -> Iterator[bytes]:
    attributes = (*DN_ATTRIBUTES, "member", "member", "")
    rules = facts.known(DN_RULES)
    while True:
        dn = chosen.choice((*facts.own, *facts.others))
        pieces = chosen.choices(_FRAGMENTS, k=chosen.randint(1, 6))
        odd = "".join(pieces)
        value = chosen.choice((f"cn=a{odd},{dn}", f"{dn}{odd}", f"{odd}{dn}", f"cn={odd}", odd))
        attribute = chosen.choice(attributes)
        yield chosen.choice(
            (
                _extensible(chosen.choice(rules), attribute, value),
                _equal(attribute or "member", value),
                _substring(attribute or "member", pieces),
            )
        )


def _joined(some: Sequence[bytes], chosen: random.Random) -> Iterator[bytes]:
    while True:
        parts = chosen.choices(some, k=chosen.randint(2, 4))
        yield ber.sequence(*parts, tag=chosen.choice((0xA0, 0xA1)))
        yield _negated(ber.sequence(*parts, tag=0xA1))


def _compares(facts: Facts) -> Iterator[bytes]:
    for entry in (*facts.own, *facts.others):
        for attribute in ("member", "owner", "distinguishedName", "manager"):
            for value in (*facts.own, *facts.others):
                yield _compare(entry, attribute, value)
        for attribute in TEXT_ATTRIBUTES:
            for value in facts.guesses:
                yield _compare(entry, attribute, value)


def _ordinary(attribute: str, value: str) -> Iterator[bytes]:
    for tag in (0xA3, 0xA5, 0xA6, 0xA8):  # equality, >=, <=, ~=
        yield ber.sequence(_text(attribute), _text(value), tag=tag)
    yield _extensible("", attribute, value)


def _equal(attribute: str, value: str) -> bytes:
    return ber.sequence(_text(attribute), _text(value), tag=0xA3)


def _present(attribute: str) -> bytes:
    return ber.element(attribute.encode(), 0x87)


def _negated(one: bytes) -> bytes:
    return ber.element(one, 0xA2)


def _starts(attribute: str, start: str) -> bytes:
    piece = ber.element(start.encode(), 0x80)
    return ber.sequence(_text(attribute), ber.sequence(piece), tag=0xA4)


def _substring(attribute: str, pieces: Sequence[str]) -> bytes:
    inside = (ber.element(each.encode(), 0x81) for each in pieces)
    return ber.sequence(_text(attribute), ber.sequence(*inside), tag=0xA4)


def _extensible(rule: str, attribute: str, value: str, *, of_dn: bool = False) -> bytes:
    parts = ((0x81, rule), (0x82, attribute))
    given = [ber.element(each.encode(), tag) for tag, each in parts if each]
    of = [ber.element(b"\xff", 0x84)] if of_dn else []
    return ber.sequence(*given, ber.element(value.encode(), 0x83), *of, tag=0xA9)


def _search(base: str, wanted: bytes, *attributes: str) -> bytes:
    scope, aliases = ber.integer(2, ber.ENUMERATED), ber.integer(0, ber.ENUMERATED)
    limits = ber.integer(0) + ber.integer(0) + ber.element(b"\0", 0x01)
    named = ber.sequence(*map(_text, attributes or ("1.1",)))
    return ber.sequence(_text(base), scope, aliases, limits, wanted, named, tag=0x63)


def _compare(dn: str, attribute: str, value: str) -> bytes:
    assertion = ber.sequence(_text(attribute), _text(value))
    return ber.sequence(_text(dn), assertion, tag=0x6E)


def _text(value: str) -> bytes:
    return ber.element(value.encode())


def _encoded(text: str) -> str:
    """Encode for a URL all that would not come through as a value in a DN."""
    plain = (c if c.isascii() and (c.islower() or c.isdigit()) else None for c in text)
    return "".join(c or f"%{ord(old):02x}" for c, old in zip(plain, text))
