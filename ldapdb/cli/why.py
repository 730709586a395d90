"""The commands that say why: ``explain`` for a user, ``who`` for an image."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any, Optional

import click

from ldapdb.cli.completion import complete_images, complete_users
from ldapdb.cli.options import (
    example,
    opened_store,
    with_forms,
    with_json_or_csv,
    with_licences,
    with_timeout,
)
from ldapdb.cli.output import (
    Form,
    Node,
    in_words,
    policy_fields,
    print_json,
    print_table,
    print_tree,
)
from ldapdb.errors import DirectoryUnavailable, LDAPDBError
from ldapdb.model import Window
from ldapdb.store import Store
from ldapdb.store.explaining import Explanation, Holder, Reason, Right, Way, Who
from ldapdb.syntaxes import said_time
from ldapdb.wellformed import escaped

__all__ = ["explain", "who"]

_NO, _FAILED = 1, 2


@contextlib.contextmanager
def _telling(**settings: Any) -> Iterator[Store]:
    """Open the store; whatever fails there is no "no", and has no code in common with it."""
    try:
        with opened_store(**settings) as store:
            yield store
    except DirectoryUnavailable:
        raise
    except LDAPDBError as error:
        click.echo(f"ldapdb: {escaped(str(error))}", err=True)
        raise click.exceptions.Exit(_FAILED) from error


@click.command(epilog=example("ldapdb explain alice simphony/mayavi:0.5"))
@click.argument("user_name", metavar="USER", shell_complete=complete_users)
@click.argument("image", required=False, shell_complete=complete_images)
@with_licences
@with_json_or_csv
def explain(*, user_name: str, image: Optional[str], licences: bool, form: Form) -> None:
    """Say whether a user may start an image, under which policy, and why.

    Without an image: all that he may start. It is read from the directory, not from memory,
    and shows each way from the user through groups to a grant, or what is missing.

    Exit code: 0 yes, 1 no, 2 it cannot be told, 3 no server answered.
    """
    with _telling() as store:
        found = store.explain(user_name, image)
        near = "" if found.user is not None else store.like_user(user_name)
        ttl = store.settings.cache_ttl_seconds
    if form.as_json:
        print_json(_explanation_fields(found, ttl, licences=licences))
    elif form.as_csv:
        _print_rights(found, form, licences=licences)
    else:
        nodes = [*_explanation_nodes(found, licences=licences), *_source_nodes(found, ttl)]
        print_tree(_verdict(found), nodes, style="green" if found.is_allowed else "red")
    if near:
        click.echo(f"ldapdb: there is no user {user_name!r}{near}", err=True)
    if not found.is_allowed:
        raise click.exceptions.Exit(_NO)


@click.command(epilog=example("ldapdb who simphony/mayavi:0.5"))
@click.argument("image", shell_complete=complete_images)
@with_licences
@with_timeout
@with_forms
def who(*, image: str, licences: bool, timeout: int, form: Form) -> None:
    """Say who may start an image, under which policy, and through what.

    Groups in groups are followed. Who may at another time is listed too, and so is what gives
    nobody anything: grants that cannot be read or have expired, members that are no entry.

    Exit code: 0 somebody, 1 nobody, 2 it cannot be told, 3 no server answered.
    """
    with _telling(operation_timeout_seconds=timeout) as store:
        found = store.who(image)
    if form.as_json:
        print_json(_who_fields(found, licences=licences))
    else:
        columns = ("USER", "MAY", "POLICY", "TIME", "THROUGH")
        rows = [
            row
            for each in found.holders
            for policy in [in_words(each.policy, licences=licences)]
            for row in _rows(each, found.at, each.user.name, policy, obstacle=each.obstacle)
        ]
        print_table(columns, rows, form=form)
        for reason in found.reasons:
            click.echo(escaped(reason.text), err=True)
    if not found.is_anybody:
        raise click.exceptions.Exit(_NO)


def _print_rights(found: Explanation, form: Form, *, licences: bool) -> None:
    """Print a row for each way, and the reasons in words, as ``who`` does."""
    rows = [
        row
        for right in found.rights
        for accounting in [right.accounting]
        for policy in [in_words(accounting.application_policy, licences=licences)]
        for row in _rows(right, found.at, accounting.application.image, policy)
    ]
    print_table(("IMAGE", "MAY", "POLICY", "TIME", "THROUGH"), rows, form=form)
    for reason in found.reasons:
        click.echo(escaped(reason.text), err=True)


# --- for people


def _verdict(found: Explanation) -> str:
    what = found.image or "something"
    if found.user is None:
        return f"no: there is no user {found.user_name!r}"
    if found.is_allowed:
        return f"yes: {found.user.name} may start {what}"
    return f"no: {found.user.name} may not start {found.image or 'anything'}"


def _explanation_nodes(found: Explanation, *, licences: bool) -> Iterator[Node]:
    for right in found.rights:
        when = "now" if right.holds else "not now"
        image, policy = right.accounting.application.image, right.accounting.application_policy
        ways = [_way_node(way, found) for way in right.ways]
        said = in_words(policy, licences=licences)
        yield Node(f"{image}, {when}, policy: {said}", ways)
    if found.reasons:
        title = "besides" if found.is_allowed else "why not"
        yield Node(title, [Node(reason.text) for reason in found.reasons])


def _way_node(way: Way, found: Explanation) -> Node:
    """Draw a way from the user down to what the grant states."""
    time = _time(way.grant.window, found.at)
    end = Node(f"{found.stated_in}: {', '.join(way.grant.images)}")
    node = end
    for link in reversed(way.links):
        is_grant = node is end
        what = f"grant{f', {time}' if time else ''}" if is_grant else "group"
        node = Node(f"{link.dn} ({what}, by {link.attribute})", [node])
    return Node(str(found.user.dn) if found.user else found.user_name, [node])


def _source_nodes(found: Explanation, ttl: float) -> Iterator[Node]:
    servers = " and ".join(found.servers)
    yield Node(
        f"read just now, at {said_time(found.at)}, from {servers}; a host may still answer by what "
        f"it read up to {ttl:g} s before (cache_ttl_seconds)"
    )


def _rows(of: Holder | Right, at: float, *first: str, obstacle: str = "") -> Iterator[list[str]]:
    """Write a row for each way, which begins with the same cells."""
    *names, policy = first
    for way in of.ways:
        holds = of.holds and way.grant.window.contains(at)
        may = "yes" if holds else f"no: {obstacle}" if obstacle else "no"
        time = _time(way.grant.window, at) or "-"
        through = " > ".join(str(link.dn) for link in way.links)
        yield list(map(escaped, (*names, may, policy, time, through)))


def _time(window: Window, at: float) -> str:
    """Say when a grant holds, if not always."""
    parts = []
    if window.not_before is not None:
        begins = "begins" if window.is_before(at) else "since"
        parts.append(f"{begins} {said_time(window.not_before)}")
    if window.not_after is not None:
        ends = "expired" if window.is_over(at) else "until"
        parts.append(f"{ends} {said_time(window.not_after)}")
    return ", ".join(parts)


# --- for programs


def _explanation_fields(found: Explanation, ttl: float, *, licences: bool) -> dict[str, Any]:
    user = found.user
    return {
        "asked": {"user": found.user_name, "image": found.image},
        "user": user and {"name": user.name, "id": user.id, "dn": str(user.dn)},
        "allowed": found.is_allowed,
        "rights": [_right_fields(right, licences=licences) for right in found.rights],
        "reasons": _reason_fields(found.reasons),
        "groups": [str(dn) for dn in found.groups],
        "servers": list(found.servers),
        "at": _moment(found.at),
        "cache_ttl_seconds": ttl,
    }


def _right_fields(right: Right, *, licences: bool) -> dict[str, Any]:
    accounting = right.accounting
    return {
        "id": accounting.id,
        "image": accounting.application.image,
        "policy": policy_fields(accounting.application_policy, licences=licences),
        "holds": right.holds,
        "ways": _way_fields(right.ways),
    }


def _way_fields(ways: Iterable[Way]) -> list[dict[str, Any]]:
    return [
        {
            "grant": str(way.grant.dn),
            "not_before": _moment(way.grant.window.not_before),
            "not_after": _moment(way.grant.window.not_after),
            "links": [{"dn": str(link.dn), "attribute": link.attribute} for link in way.links],
        }
        for way in ways
    ]


def _who_fields(found: Who, *, licences: bool) -> dict[str, Any]:
    return {
        "image": found.image,
        "registered": found.application is not None,
        "anybody": found.is_anybody,
        "holders": [
            {
                "name": each.user.name,
                "id": each.user.id,
                "dn": str(each.user.dn),
                "policy": policy_fields(each.policy, licences=licences),
                "holds": each.holds,
                "obstacle": each.obstacle or None,
                "ways": _way_fields(each.ways),
            }
            for each in found.holders
        ],
        "reasons": _reason_fields(found.reasons),
        "servers": list(found.servers),
        "at": _moment(found.at),
    }


def _reason_fields(reasons: Iterable[Reason]) -> list[dict[str, Any]]:
    return [{"kind": each.kind, "text": each.text, "dn": each.dn} for each in reasons]


def _moment(moment: Optional[float]) -> Optional[str]:
    return None if moment is None else said_time(moment).replace(" UTC", "Z").replace(" ", "T")
