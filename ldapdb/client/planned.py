"""A directory to which nothing is written: changes are kept, and shown by what is read.

A :class:`PlannedDirectory` asks the servers as a :class:`Directory` does. Instead of
changing an entry it reads it and keeps it as it would be; searches are answered by the
server, and for these entries here. So the code that makes changes need not know that they
are planned, and several of them see each other.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Optional, TypeVar

from ldapdb.client.answers import EVERYTHING, RootDSE
from ldapdb.client.call import Call
from ldapdb.client.deadline import Deadline
from ldapdb.client.directory import Directory
from ldapdb.client.overlay import LINKS, Plan, Planned, chosen, name_of
from ldapdb.client.reads import Reads, Use
from ldapdb.client.results import NO_SUCH_OBJECT, result_error
from ldapdb.entries import OBJECT_SID, read_dn
from ldapdb.errors import LDAPDBError, NoSuchEntry
from ldapdb.matching import key, matches, values_of
from ldapdb.modifying import (
    RefusedError,
    as_account,
    check_classes,
    check_naming,
    modified,
    named,
    renamed,
)
from ldapdb.protocol.codec import NO_ATTRIBUTES
from ldapdb.protocol.dn import DN, RDN
from ldapdb.protocol.entry import OBJECT_CLASS, Entry, Modification, Operation
from ldapdb.protocol.filters import Filter, any_of, attributes_of, equal
from ldapdb.protocol.ldif import Add, Change, Delete, Modify, Rename, Step, matched, step_of
from ldapdb.settings import Settings
from ldapdb.syntaxes import write_identifier

__all__ = ["PlannedCall", "PlannedDirectory"]

T = TypeVar("T")

_ENTRY_EXISTS, _NOT_ALLOWED_ON_NON_LEAF, _UNWILLING = 68, 66, 53
_ALL = ("*", "+")  # and operational ones (RFC 3673)
_MEMBER_OF = "memberof"
_PAGE = 500
_BATCH = 100


class PlannedDirectory(Directory):
    """The servers of one setting, from which is read alone.

    Parameters
    ----------
    settings, timer
        As for :class:`Directory`.
    """

    def __init__(self, settings: Settings, timer: Callable[[], float] = time.monotonic) -> None:
        super().__init__(settings, timer)
        self.plan = Plan()

    def call(self, uris: Sequence[str], deadline: Optional[Deadline] = None) -> PlannedCall:
        """Begin a call."""
        return PlannedCall(self, uris, deadline or self.deadline(), self.plan)

    def write(self, call: Reads, use: Use[None]) -> str:
        """Refuse: a write that comes here was not planned, and would be made."""
        raise NotImplementedError("a planned directory is never written to")

    def root_dse(self, call: Reads) -> RootDSE:
        """Read the root DSE.

        A rule by which the server follows groups would not see what is planned.
        """
        found = super().root_dse(call)
        return replace(found, vendor=replace(found.vendor, in_chain_rule=None))


class PlannedCall(Call):
    """One public call: reads as they would be answered, and writes that are kept.

    Parameters
    ----------
    directory, uris, deadline
        As for :class:`Call`.
    plan : Plan
        What other calls have planned, and what this one does.
    """

    def __init__(
        self, directory: Directory, uris: Sequence[str], deadline: Deadline, plan: Plan
    ) -> None:
        super().__init__(directory, uris, deadline)
        self._plan = plan

    # --- reading

    def read(
        self, dn: DN, attributes: Sequence[str], search_filter: Filter = EVERYTHING
    ) -> tuple[str, list[Entry]]:
        """Read one entry as it would be."""
        planned = self._plan.entries.get(dn)
        if planned is None:
            return super().read(dn, attributes, search_filter)
        server = self._server()
        self.asked.append(server)
        if planned.attributes is None:
            raise self._no_such(dn)
        return server, self._among([planned], search_filter, attributes)

    def search(self, base: DN, search_filter: Filter, attributes: Sequence[str]) -> list[Entry]:
        """Search a subtree as it would be."""
        if not self._plan.entries:
            return super().search(base, search_filter, attributes)
        found: list[Entry] = []
        if self._asks_server(base):
            found = self._untouched(super().search(base, search_filter, attributes))
        return found + self._among(self._plan.below(base, search_filter), search_filter, attributes)

    def search_all(
        self,
        base: DN,
        search_filter: Filter,
        attributes: Sequence[str],
        page_size: int,
        take: Callable[[list[Entry]], list[T]],
    ) -> list[T]:
        """Search a subtree as it would be, in pages."""
        if not self._plan.entries:
            return super().search_all(base, search_filter, attributes, page_size, take)
        taken: list[T] = []
        if self._asks_server(base):
            taken = super().search_all(
                base, search_filter, attributes, page_size, lambda page: take(self._untouched(page))
            )
        return taken + take(
            self._among(self._plan.below(base, search_filter), search_filter, attributes)
        )

    def sees(self, base: DN, search_filter: Filter) -> bool:
        """Tell whether anything in a subtree would match."""
        return bool(self.search_all(base, search_filter, NO_ATTRIBUTES, _PAGE, list))

    def values(self, dn: DN, attribute: str) -> list[bytes]:
        """Read all values that an attribute would have."""
        planned = self._plan.entries.get(dn)
        if planned is None:
            return super().values(dn, attribute)
        if planned.attributes is None:
            raise self._no_such(dn)
        return values_of(planned.attributes, attribute)

    def _server(self) -> str:
        return self.asked[-1] if self.asked else self.root_dse().server

    def _no_such(self, dn: DN) -> LDAPDBError:
        return result_error(NO_SUCH_OBJECT, self._server(), f"searching {dn}", str(dn), None)

    def _asks_server(self, base: DN) -> bool:
        """Tell whether the server has anything below a base that it would still have."""
        planned = self._plan.entries.get(base)
        if planned is None:
            return True
        if planned.attributes is None:
            raise self._no_such(base)
        return planned.origin == base

    def _untouched(self, entries: Iterable[Entry]) -> list[Entry]:
        return [entry for entry in entries if name_of(entry) not in self._plan.entries]

    def _among(
        self, planned: Iterable[Planned], search_filter: Filter, attributes: Sequence[str]
    ) -> list[Entry]:
        """Return those that would match, with the attributes asked for."""
        asked = set(map(str.lower, attributes_of(search_filter)))
        if _MEMBER_OF in asked and self._plan.changes_members:
            self._plan.doubt(
                f"the filter {search_filter} asks for memberOf, which the directory makes itself: "
                "whether changed members change it is not taken into account"
            )
        return [
            Entry(str(each.dn), chosen(each.attributes, attributes), each.dn.matching)
            for each in planned
            if each.attributes is not None and self._is_match(each, search_filter)
        ]

    def _is_match(self, planned: Planned, search_filter: Filter) -> bool:
        def ask(item: Filter) -> Optional[bool]:
            """Let the server tell what has not been changed."""
            changed = set(map(str.lower, attributes_of(item))) & planned.changed
            if planned.origin is None or changed:
                return None
            try:
                return bool(super(PlannedCall, self).read(planned.origin, NO_ATTRIBUTES, item)[1])
            except NoSuchEntry:  # gone meanwhile
                return False

        answer = matches(search_filter, planned.attributes or {}, ask, planned.dn.matching)
        if answer is None:
            self._plan.doubt(
                f"whether '{planned.dn}' would match {search_filter} only the directory can tell; "
                "it is taken as not matching"
            )
        return answer is True

    # --- writing

    def add(
        self, dn: DN, object_classes: Sequence[str], attributes: Mapping[str, Sequence[str]]
    ) -> None:
        """Plan to add an entry."""
        whole = {OBJECT_CLASS: object_classes, **attributes}
        self.apply(Add(dn, {name: [each.encode() for each in whole[name]] for name in whole}))

    def modify(self, dn: DN, modifications: Sequence[Modification]) -> None:
        """Plan to modify an entry."""
        self.apply(Modify(dn, tuple(map(step_of, modifications))))

    def delete(self, dn: DN) -> None:
        """Plan to delete an entry."""
        self.apply(Delete(dn))

    def rename(self, dn: DN, rdn: RDN) -> None:
        """Plan to give an entry another RDN."""
        self.apply(Rename(dn, rdn))

    def apply(self, change: Change) -> None:
        """Plan any change.

        Raises
        ------
        UnexpectedResult
            The kind that a server would make of it, as far as it is known here. Whether the
            account may make the change is not.
        """
        change = matched(change, self.root_dse().vendor.name_matching)
        make: dict[type[Change], Callable[..., None]] = {
            Add: self._add, Modify: self._modify, Delete: self._delete, Rename: self._rename,
        }  # fmt: skip
        try:
            make[type(change)](change)
        except RefusedError as error:
            dn = str(change.dn)
            doing = f"planning to change {dn}"
            raise result_error(error.code, self._server(), doing, dn, error.said) from error
        self._plan.changes.append(change)
        self.written.append(self._server())

    def _add(self, change: Add) -> None:
        dn = change.dn
        if self._load(dn) is not None:
            raise RefusedError(_ENTRY_EXISTS, "the entry exists already")
        self._require_parent(dn)
        steps = (
            Step(Operation.ADD, name, tuple(values)) for name, values in change.attributes.items()
        )
        attributes = named(modified({}, steps, dn.matching), dn)
        vendor = self.root_dse().vendor
        if vendor.makes_accounts:
            attributes = as_account(attributes, self._domain(dn), uuid.uuid4().int >> 97)
        check_classes(attributes, vendor)
        form = vendor.identifier_form(vendor.identifier_attribute)
        assert form is not None  # noqa: S101 -- every record lists its own identifier
        made_up = write_identifier(uuid.uuid4().int, form)
        attributes.setdefault(vendor.identifier_attribute.lower(), [made_up or b""])
        self._plan.keep(Planned(dn, attributes, None, set(attributes)))

    def _domain(self, dn: DN) -> bytes:
        """Read the objectSid of the domain that an entry is in; empty if it is not shown."""
        entries = super().read(self._context(dn), (OBJECT_SID,))[1]
        sids = entries[0].attributes.get(OBJECT_SID.lower(), ()) if entries else ()
        return bytes(sids[0]) if sids else b""

    def _context(self, dn: DN) -> DN:
        holding = [each for each in self.root_dse().naming_contexts if dn.is_under(each)]
        return max(holding, key=lambda context: len(context.rdns), default=DN(()))

    def _modify(self, change: Modify) -> None:
        before = self._require(change.dn)
        assert before.attributes is not None  # noqa: S101 -- it is there
        after = modified(before.attributes, change.steps, change.dn.matching)
        check_naming(after, change.dn)
        check_classes(after, self.root_dse().vendor)
        changed = before.changed | {step.attribute.lower() for step in change.steps}
        new = [(step.attribute, step.values) for step in change.steps]
        self._plan.keep(replace(before, attributes=after, changed=changed), new)

    def _delete(self, change: Delete) -> None:
        before = self._require(change.dn)
        if len(self._subtree(change.dn)) > 1:
            raise RefusedError(_NOT_ALLOWED_ON_NON_LEAF, "there are entries below it")
        self._relink({change.dn: None})
        self._plan.keep(replace(before, attributes=None, changed=set(before.attributes or ())))

    def _rename(self, change: Rename) -> None:
        old, new = change.dn, change.new_dn
        self._require(old)
        if new != old:
            if self._load(new) is not None:
                raise RefusedError(_ENTRY_EXISTS, "the entry exists already")
            if new.is_under(old):
                raise RefusedError(_UNWILLING, "an entry cannot be moved below itself")
            self._require_parent(new)
        moved = {each.dn: each for each in self._subtree(old)}
        below = {dn: dn.rdns[: len(dn.rdns) - len(old.rdns)] for dn in moved}
        names = {dn: DN((*rdns, *new.rdns), new.matching) for dn, rdns in below.items()}
        top = moved[old]
        top.attributes = renamed(top.attributes or {}, old, new, deletes_old=change.deletes_old)
        naming = {ava.attribute.lower() for dn in (old, new) for ava in dn.rdns[0]}
        top.changed = top.changed | naming
        for dn in moved:
            self._plan.keep(Planned(dn, None, dn))
        for dn, each in moved.items():
            self._plan.keep(replace(each, dn=names[dn]))
        if new != old:
            self._relink(names)

    # --- what is changed, whole

    def _require(self, dn: DN) -> Planned:
        found = self._load(dn)
        if found is None:
            raise self._no_such(dn)
        return found

    def _require_parent(self, dn: DN) -> None:
        if dn in self.root_dse().naming_contexts:
            return
        try:
            self.read(dn.parent, NO_ATTRIBUTES)
        except NoSuchEntry as error:
            raise self._no_such(dn) from error

    def _load(self, dn: DN) -> Optional[Planned]:
        """Read an entry whole; None if it would not be there."""
        planned = self._plan.entries.get(dn)
        if planned is not None:
            return planned if planned.attributes is not None else None
        try:
            entries = super().read(dn, self._everything())[1]
        except NoSuchEntry:
            return None
        return self._whole(entries[0]) if entries else None

    def _everything(self) -> tuple[str, ...]:
        return (*_ALL, self.root_dse().vendor.identifier_attribute)

    def _whole(self, entry: Entry) -> Planned:
        """Read the values that the server has kept back (Active Directory, from 1,500 on)."""
        dn = read_dn(entry)
        attributes = {name: list(map(bytes, values)) for name, values in entry.attributes.items()}
        for name in [name for name in attributes if ";range=" in name]:
            del attributes[name]
            whole = name.partition(";range=")[0]
            attributes[whole] = super().values(dn, whole)
        return Planned(dn, {name: values for name, values in attributes.items() if values}, dn)

    def _subtree(self, dn: DN) -> list[Planned]:
        """Read an entry and all that is below it."""
        found: list[Planned] = []
        if self._asks_server(dn):
            entries = super().search_all(dn, EVERYTHING, self._everything(), _PAGE, self._untouched)
            found = [self._whole(entry) for entry in entries]
        return [*found, *(replace(each) for each in self._plan.below(dn))]

    def _relink(self, names: Mapping[DN, Optional[DN]]) -> None:
        """Let groups name what they named before by its new name, where the directory does so."""
        vendor, dns = self.root_dse().vendor, list(names)
        base = self._context(dns[0])
        for some in (dns[start : start + _BATCH] for start in range(0, len(dns), _BATCH)):
            if vendor.links_follow:
                self._follow(base, any_of(*(equal("member", str(dn)) for dn in some)), names)
                continue
            if all(names[dn] is None for dn in some):
                continue  # whoever named it names nobody from then on, one way or the other
            naming = any_of(*(equal(link, str(dn)) for link in LINKS for dn in some))
            for entry in self.search_all(base, naming, NO_ATTRIBUTES, _PAGE, list):
                self._plan.doubt(
                    f"'{entry.dn}' names an entry that is renamed or moved; whether the directory "
                    "changes that too (referential integrity) cannot be told: it is taken as not "
                    "doing so"
                )

    def _follow(self, base: DN, naming: Filter, names: Mapping[DN, Optional[DN]]) -> None:
        by_key: dict[Hashable, Optional[DN]] = {dn.key: name for dn, name in names.items()}
        for entry in self.search_all(base, naming, NO_ATTRIBUTES, _PAGE, list):
            holder = self._load(read_dn(entry))
            if holder is None or holder.attributes is None:
                continue
            values = []
            for value in values_of(holder.attributes, "member"):
                name = by_key.get(key("member", value, holder.dn.matching), value)
                if name is not None:
                    values.append(value if name is value else str(name).encode())
            attributes = {**holder.attributes, "member": values}
            changed = holder.changed | {"member"}
            self._plan.keep(replace(holder, attributes=attributes, changed=changed))
