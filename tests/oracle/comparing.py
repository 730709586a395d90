"""Asks ldapdb everything about a directory, and compares each answer with the expected one."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Optional

from oracle.names import dn_key
from oracle.product import Product, right_of
from oracle.rights import Person, Right, World

__all__ = ["QUESTIONS", "Comparison", "Difference"]

_MAPPING_ID = re.compile("[0-9a-f]{32}")
# What a name that no user has, or that two have, is answered with.
_NOBODY, _AMBIGUOUS = "nobody", "ambiguous"
_DATABASES = ("direct", "cached", "cached")


@dataclass(frozen=True)
class Difference:
    """One answer that is not the expected one."""

    question: str
    subject: str
    expected: Any
    answer: Any

    def __str__(self) -> str:
        """Return both answers, sets without what they have in common."""
        expected, answer = self.expected, self.answer
        if isinstance(expected, frozenset) and isinstance(answer, frozenset):
            expected, answer = expected - answer, answer - expected
        return f"{self.question}, {self.subject}\n  expected: {expected}\n  answer:   {answer}"


@dataclass
class Comparison:
    """The comparisons of one directory: how many there were, and what differed.

    Parameters
    ----------
    world : World
        What is expected.
    product : Product
        What is asked.

    Attributes
    ----------
    kinds : list of str
        Of each difference, which of QUESTIONS it is an answer to.
    """

    world: World
    product: Product
    count: int = 0
    differences: list[Difference] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    _mapping_ids: dict[tuple[Any, ...], str] = field(default_factory=dict)

    def ask(self, *questions: str) -> Comparison:
        """Ask some questions, by default all."""
        for question in questions or QUESTIONS:
            before = len(self.differences)
            _QUESTIONS[question](self, question)
            self.kinds += [question] * (len(self.differences) - before)
        return self

    # --- one answer, and answers about many users

    def _compare(self, question: str, subject: object, expected: Any, answer: Any) -> None:
        self.count += 1
        if expected != answer:
            self.differences.append(Difference(question, str(subject), expected, answer))

    def _compare_each(
        self, question: str, expected: Mapping[Any, Any], answer: Iterable[tuple[Any, Any]]
    ) -> None:
        """Compare answers about users one by one; a user who is answered twice differs."""
        given: dict[Any, Any] = {}
        for key, value in answer:
            given[key] = ("twice", given[key], value) if key in given else value
        for key in [*expected, *(key for key in given if key not in expected)]:
            self._compare(question, _subject(key), expected.get(key), given.get(key))

    def _json(self, *args: str) -> Any:
        answer = self.product.cli(*args)
        try:
            return json.loads(answer["out"])
        except ValueError:
            raise RuntimeError(f"`ldapdb {' '.join(args)}`: {answer}") from None

    def _key(self, dn: str) -> Any:
        return dn_key(dn, self.world.place.vendor)

    def _names(self) -> list[str]:
        """List names to ask for: of users, of others, and of nobody."""
        # Every third in another case: login names are compared without it.
        return [
            name.upper() if number % 3 == 2 else name
            for number, name in enumerate([*self.world.login_names(), "nobody-here"])
        ]

    def _found(self, name: str) -> Any:
        """Return the one user of a name, or what is answered for none."""
        found = self.world.named(name)
        if len(found) > 1:
            return _AMBIGUOUS
        return found[0] if found else _NOBODY

    def _exported(self) -> dict[str, Person]:
        """Return those whom an export names, if nobody else is named so."""
        named: dict[str, list[Person]] = {}
        for each in self.world.found:
            named.setdefault(each.name, []).append(each)
        return {name: found[0] for name, found in named.items() if len(found) == 1}

    def _is_shared(self, name: str) -> bool:
        """Return whether several users are named so who can log in; exports merge them."""
        return sum(each.name == name for each in self.world.found) > 1

    def _rights(self, person: Person) -> frozenset[Right]:
        return frozenset(self.world.rights(person))

    def _accounted(self, user: object, accounting: Iterable[Mapping[str, Any]]) -> Any:
        """Read rights, and compare their ids with those of the same right elsewhere."""
        rights = []
        for each in accounting:
            right = right_of(each["image"], each["policy"])
            rights.append(right)
            if not _MAPPING_ID.fullmatch(each["id"]):
                return f"not a mapping id: {each['id']}"
            halves = {("right", right): each["id"][:16], ("user", user): each["id"][16:]}
            for key, half in halves.items():
                if self._mapping_ids.setdefault(key, half) != half:
                    return f"two ids of {key}: {self._mapping_ids[key]} and {half}"
        return frozenset(rights) if len(set(rights)) == len(rights) else f"twice: {rights}"

    # --- commands

    def _user_list(self, question: str) -> None:
        expected = {each.key: (each.name, each.id) for each in self.world.listed}
        found = self._json("user", "list", "--json")
        self._compare_each(
            question,
            expected,
            ((self._key(each["dn"]), (each["name"], each["id"])) for each in found),
        )

    def _user_list_with_apps(self, question: str) -> None:
        expected = {each.key: self._rights(each) for each in self.world.listed}
        found = self._json("user", "list", "--show-apps", "--show-licences", "--json")
        self._compare_each(
            question,
            expected,
            (
                (self._key(each["dn"]), self._accounted(each["id"], each["accounting"]))
                for each in found
            ),
        )

    def _user_show(self, question: str) -> None:
        for name in self._names():
            found = self._found(name)
            answer = self.product.cli("user", "show", name)
            if isinstance(found, str):
                self._compare(question, name, 1, answer["code"])
                continue
            expected = (found.key, found.name, found.id, self._rights(found))
            self._compare(question, name, expected, self._shown(answer))

    def _shown(self, answer: Mapping[str, Any]) -> Any:
        if answer["code"]:
            return answer["err"]
        shown = json.loads(answer["out"])
        rights = self._accounted(shown["id"], shown["accounting"])
        return self._key(shown["dn"]), shown["name"], shown["id"], rights

    def _who(self, question: str) -> None:
        images = {
            *self.world.registered,
            *(right.image for grant in self.world.grants for right in grant.rights),
        }
        for image in sorted(images):
            expected = {
                each.key: frozenset(rights)
                for each in self.world.found
                if (rights := {right for right in self.world.rights(each) if right.image == image})
            }
            found = self._json("who", image, "--show-licences", "--json")
            self._compare(question, f"{image}, is anybody", bool(expected), found["anybody"])
            held: dict[Any, set[Right]] = {}
            for each in found["holders"]:
                if each["holds"]:
                    right = right_of(image, each["policy"])
                    held.setdefault(self._key(each["dn"]), set()).add(right)
            answer = ((key, frozenset(rights)) for key, rights in held.items())
            self._compare_each(f"{question} {image}", expected, answer)

    def _export_json(self, question: str) -> None:
        exported = self._exported()
        expected = {
            name: frozenset((right, ends and ends.timestamp()) for right, ends in rights.items())
            for name, each in exported.items()
            if (rights := self.world.rights(each))
        }
        answer = (
            (
                each["user"],
                frozenset(
                    (right_of(right["image"], right["policy"]), _at(right["not_after"]))
                    for right in each["rights"]
                ),
            )
            for each in self._json("export", "--json")
            if not self._is_shared(each["user"])
        )
        self._compare_each(question, expected, answer)

    def _export_csv(self, question: str) -> None:
        expected = {
            name: rights
            for name, each in self._exported().items()
            if (rights := self._rights(each))
        }
        held: dict[str, set[Right]] = {}
        for row in csv.DictReader(io.StringIO(self.product.cli("export", "--csv")["out"])):
            if not self._is_shared(row["user.name"]):
                held.setdefault(row["user.name"], set()).add(_right_of_row(row))
        self._compare_each(question, expected, ((k, frozenset(v)) for k, v in held.items()))

    def _report(self, question: str) -> None:
        review = self._json("report", "--json")
        expected = {
            each.key: (
                frozenset(map(_without_licence, self.world.rights(each))),
                frozenset(map(_without_licence, rights)),
            )
            for each in self.world.found
            if (rights := self.world.all_rights(each))
        }
        self._compare_each(question, expected, self._reviewed(review))

    def _reviewed(self, review: Mapping[str, Any]) -> Iterator[tuple[Any, Any]]:
        rights = [(_reviewed_right(each), each["state"] == "now") for each in review["rights"]]
        for user in review["users"]:
            if user["obstacle"] is None:
                held = [rights[place] for place in user["rights"]]
                now = frozenset(right for right, is_now in held if is_now)
                yield self._key(user["dn"]), (now, frozenset(right for right, _ in held))

    # --- the host's calls

    def _host_users(self, question: str) -> None:
        for database in _DATABASES:
            for name in self._names():
                found = self._found(name)
                expected = found if isinstance(found, str) else (found.name, found.id)
                answer = self.product.host(database, "get_user", user_name=name)
                self._compare(f"{question}, {database}", name, expected, _user(answer))

    def _host_ids(self, question: str) -> None:
        for database in _DATABASES:
            for person in self.world.persons:
                expected: Any = (person.name, person.id)
                if not self.world.has_own_id(person):
                    expected = _AMBIGUOUS
                elif len(self.world.named(person.name)) > 1:
                    continue  # found by id, without a name of its own: not promised
                answer = self.product.host(database, "get_user", id=person.id)
                self._compare(f"{question}, {database}", person.entry.dn, expected, _user(answer))

    def _host_accounting(self, question: str) -> None:
        for database in _DATABASES:
            for name in self._names():
                found = self._found(name)
                expected = found if isinstance(found, str) else self._rights(found)
                if expected == _NOBODY:
                    expected = frozenset()
                answer = self.product.host(database, "accounting_of_name", name=name)
                user = found if isinstance(found, str) else found.id
                self._compare(
                    f"{question} by name, {database}", name, expected, self._told(user, answer)
                )
            for person in self.world.listed:
                answer = self.product.host(database, "accounting_of_id", id=person.id)
                self._compare(
                    f"{question} by id, {database}",
                    person.entry.dn,
                    self._rights(person),
                    self._told(person.id, answer),
                )

    def _told(self, user: object, answer: Any) -> Any:
        return _error(answer) or self._accounted(user, answer)

    def _host_lists(self, question: str) -> None:
        for database in _DATABASES:
            users = self.product.host(database, "list_users")
            self._compare_each(
                f"{question} list_users, {database}",
                {each.id: each.name for each in self.world.listed},
                ((each["id"], each["name"]) for each in users),
            )
            images = self.product.host(database, "list_applications")
            self._compare(
                f"{question} list_applications",
                database,
                sorted(self.world.registered),
                sorted(each["image"] for each in images),
            )


_QUESTIONS: dict[str, Callable[[Comparison, str], None]] = {
    "user list": Comparison._user_list,
    "user list --show-apps": Comparison._user_list_with_apps,
    "user show": Comparison._user_show,
    "who": Comparison._who,
    "export --json": Comparison._export_json,
    "export --csv": Comparison._export_csv,
    "report": Comparison._report,
    "get_user by name": Comparison._host_users,
    "get_user by id": Comparison._host_ids,
    "get_accounting_for_user": Comparison._host_accounting,
    "host": Comparison._host_lists,
}
QUESTIONS = tuple(_QUESTIONS)


def _subject(key: Any) -> str:
    """Write a DN's key, or another one, for people."""
    if not isinstance(key, tuple):
        return str(key)
    return ",".join("+".join(sorted(map("=".join, rdn))) for rdn in key)


def _error(answer: Any) -> Optional[str]:
    if not isinstance(answer, dict) or "error" not in answer:
        return None
    return (
        _AMBIGUOUS if answer["error"] == "AmbiguousName" else f"{answer['error']}: {answer['text']}"
    )


def _user(answer: Any) -> Any:
    if answer is None:
        return _NOBODY
    return _error(answer) or (answer["name"], answer["id"])


def _at(text: Optional[str]) -> Optional[float]:
    """Read a time as RFC 3339 writes it."""
    return None if text is None else datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def _right_of_row(row: Mapping[str, str]) -> Right:
    policy: dict[str, Any] = {name.partition(".")[2]: value for name, value in row.items()}
    for name, value in policy.items():
        policy[name] = value == "1" if name.startswith("allow_") else value or None
    return right_of(row["application.image"], policy)


def _without_licence(right: Right) -> Right:
    licence = None if right.licence is None else "licensed"
    return Right(right.image, licence, right.home, right.view, right.startup_data, right.volume)


def _reviewed_right(each: Mapping[str, Any]) -> Right:
    policy = each["policy"]
    return Right(
        each["image"],
        "licensed" if policy["licensed"] else None,
        home=policy["allow_home"],
        view=policy["allow_view"],
        startup_data=policy["allow_startup_data"],
        volume=policy["volume"],
    )
