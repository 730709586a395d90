"""Whether the searches that ldapdb makes most are quick, by the server's indexes."""

from __future__ import annotations

import time
from collections.abc import Iterator

from ldapdb import filters
from ldapdb.connection.probing import search_once
from ldapdb.dn import DN
from ldapdb.entries import APPLICATION_CLASS, IMAGE, MEMBER, OBJECT_CLASS, Entry
from ldapdb.filters import Filter
from ldapdb.searching import NO_ATTRIBUTES, SUBTREE, Search
from ldapdb.store.checking.findings import Finding, ok, problem, unchecked, warning
from ldapdb.store.checking.visiting import Visit
from ldapdb.store.profile import Base, Profile
from ldapdb.vendors import ACTIVE_DIRECTORY, DS389, OPENLDAP

__all__ = ["check_indexes", "missing_of", "said_indexes"]

_CHECK = "indexes"
_TRIALS = 3
# A call makes several of them.
_SLOW_SHARE = 1 / 50
# What nobody has: an index says so at once, and without one every entry is looked at.
_ABSENT_IMAGE = "ldapdb/check-absent:0"
_ABSENT_NAME = "ldapdb-check-absent"
# Active Directory's searchFlags: an index over the whole domain, and one in each container.
_INDEXED = 1 | 2


def check_indexes(visit: Visit) -> Iterator[Finding]:
    """Read the server's list of indexes, where the account may; time the searches in any case."""
    wanted = _attributes(visit.profile)
    indexed = _listed(visit)
    if indexed is None:
        yield unchecked(
            _CHECK, visit.uri,
            f"this account may not read the server's list of indexes, which is to have "
            f"{', '.join(wanted)}; the searches are timed below", _show(visit),
        )  # fmt: skip
    else:
        missing = missing_of(wanted, indexed)
        for name in missing:
            text = f"{name} has no index for equality, so that searches for it read all entries"
            yield warning(_CHECK, visit.uri, text, _add(visit, name))
        if not missing:
            yield ok(_CHECK, visit.uri, f"{', '.join(wanted)} are indexed")
    for name, base, search_filter in _searches(visit.profile):
        yield _timed(visit, name, base, search_filter)


def missing_of(wanted: tuple[str, ...], indexed: frozenset[str]) -> list[str]:
    """List the attributes that have no index."""
    return [name for name in wanted if name.lower() not in indexed]


def _attributes(profile: Profile) -> tuple[str, ...]:
    names = [*profile.user_name_attributes, profile.user_id_attribute]
    if profile.in_chain_rule is None:
        names += profile.member_attributes
    if profile.notation.needs_schema:
        names.append(IMAGE)
    return tuple(dict.fromkeys([OBJECT_CLASS, *names]))


# --- what the server lists


def _listed(visit: Visit) -> frozenset[str] | None:
    """Return the attributes that have an index, in lower case; None if it is hidden."""
    if visit.vendor is ACTIVE_DIRECTORY:
        return _of_active_directory(visit)
    if visit.vendor is DS389:
        entries = _look(
            visit, "cn=ldbm database,cn=plugins,cn=config", "nsIndex", "cn", "nsIndexType"
        )
        names = [each.value("cn") for each in entries if "eq" in each.values("nsIndexType")]
        return frozenset(name.lower() for name in names if name) or None
    context = filters.equal("olcSuffix", str(visit.context))
    entries = _look(visit, "cn=config", "olcDatabaseConfig", "olcDbIndex", also=context)
    if not entries:
        return None
    return said_indexes([text for entry in entries for text in entry.values("olcDbIndex")])


def said_indexes(values: list[str]) -> frozenset[str]:
    """Read values of ``olcDbIndex``: names, then kinds; those for equality, in lower case."""
    found = set()
    for value in values:
        names, _, kinds = value.partition(" ")
        # Without kinds the database's default holds, which is said by the name "default".
        if not kinds or "eq" in kinds.replace(" ", "").split(","):
            found |= {name.strip().lower() for name in names.split(",")}
    return frozenset(found)


def _of_active_directory(visit: Visit) -> frozenset[str]:
    call = visit.call()
    wanted = _attributes(visit.profile)
    names = filters.any_of(*(filters.equal("lDAPDisplayName", name) for name in wanted))
    attributes = ("lDAPDisplayName", "searchFlags", "linkID")
    found = call.search(call.root_dse().subschema.parent, names, attributes)
    return frozenset(
        (each.value("lDAPDisplayName") or "").lower()
        for each in found
        # Links have a table of their own.
        if int(each.value("searchFlags") or 0) & _INDEXED or each.value("linkID")
    )


def _look(
    visit: Visit, base: str, object_class: str, *attributes: str, also: Filter | None = None
) -> list[Entry]:
    wanted = filters.equal(OBJECT_CLASS, object_class)
    if also is not None:
        wanted = filters.all_of(wanted, also)
    search = Search(base, SUBTREE, wanted, attributes)
    return visit.run(lambda session, deadline: search_once(session, deadline, search))[0]


# --- how long it takes


def _searches(profile: Profile) -> Iterator[tuple[str, Base, Filter]]:
    for base in profile.users:
        named = filters.any_of(
            *(filters.equal(name, _ABSENT_NAME) for name in profile.user_name_attributes)
        )
        yield "a user's name", base, filters.all_of(profile.users_filter, named)
    nobody = str(profile.users[0].dn.child("cn", _ABSENT_NAME))
    if profile.in_chain_rule is not None:
        member = filters.matches(MEMBER, profile.in_chain_rule, nobody)
    else:
        member = filters.any_of(
            *(filters.equal(name, nobody) for name in profile.member_attributes)
        )
    yield "a member", profile.groups, member
    image = profile.notation.of_images(APPLICATION_CLASS, [_ABSENT_IMAGE])
    yield "an image", profile.applications, image


def _timed(visit: Visit, name: str, base: Base, search_filter: Filter) -> Finding:
    search = Search(str(base.dn), SUBTREE, search_filter, NO_ATTRIBUTES)
    best = min(_seconds(visit, search) for _ in range(_TRIALS))
    subject, milliseconds = f"searching {name}", best * 1000
    limit = visit.settings.operation_timeout_seconds
    if best < limit * _SLOW_SHARE:
        return ok(subject, visit.uri, f"{milliseconds:.1f} ms for one that is not there")
    text = (
        f"{milliseconds:.0f} ms for one that is not there, as if all entries were read: "
        f"{search_filter}"
    )
    if best > limit / 2:
        more = f"; a call may take {limit:g} s in all (operation_timeout_seconds)"
        return problem(subject, visit.uri, text + more, _show(visit))
    return warning(subject, visit.uri, text, _show(visit))


def _seconds(visit: Visit, search: Search) -> float:
    began = time.perf_counter()
    visit.run(lambda session, deadline: search_once(session, deadline, search))
    return time.perf_counter() - began


# --- remedies


def _show(visit: Visit) -> str:
    if visit.vendor is OPENLDAP:
        return visit.tools.search(
            DN.parse("cn=config"), f"(olcSuffix={visit.context})", "olcDbIndex"
        )
    if visit.vendor is DS389:
        base = "cn=ldbm database,cn=plugins,cn=config"
        return visit.tools.search(base, "(objectClass=nsIndex)", "cn", "nsIndexType")
    schema = visit.call().root_dse().subschema.parent
    return visit.tools.search(schema, "(lDAPDisplayName=remoteAppImage)", "searchFlags")


def _add(visit: Visit, name: str) -> str:
    if visit.vendor is OPENLDAP:
        return visit.tools.configure("add: olcDbIndex", f"olcDbIndex: {name} eq")
    if visit.vendor is DS389:
        if name == IMAGE:
            return visit.tools.load("389ds/indexes.ldif", carry_on=True)
        options = f"--attr {name} --index-type eq --reindex userRoot"
        return f"dsconf INSTANCE backend index add {options}"
    return _index_on_active_directory(visit, name)


def _index_on_active_directory(visit: Visit, name: str) -> str:
    """Set one bit of the flags: the others say who may read the attribute, among other things."""
    call = visit.call()
    schema = call.root_dse().subschema.parent
    [entry] = call.search(schema, filters.equal("lDAPDisplayName", name), ("searchFlags",))
    flags = int(entry.value("searchFlags") or 0) | _INDEXED
    return visit.tools.modify(entry.dn, "replace: searchFlags", f"searchFlags: {flags}")
