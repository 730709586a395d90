"""The commands ``ldapdb app grant`` and ``revoke``: who is given what, and until when.

The host's own tool has ``app grant IMAGE USER``; what is more than that comes after it.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Optional

import click

from ldapdb.cli.completion import complete_images, complete_users
from ldapdb.cli.options import (
    example,
    opened_store,
    with_json_or_csv,
    with_policy,
)
from ldapdb.cli.output import (
    Form,
    in_words,
    policy_fields,
    print_json,
    print_table,
    when,
    window_fields,
)
from ldapdb.cli.plans import Plan, with_plan, writing
from ldapdb.model import Policy, User, Window, mapping_id
from ldapdb.moments import parse_window

if TYPE_CHECKING:
    from ldapdb.store import Store
    from ldapdb.store.outcomes import Granted, Listed, Revoked

__all__ = ["grant", "print_grants", "revoke"]


def with_members(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add images and members: ``IMAGE [USER...] [--image IMAGE]... [--group GROUP]...``."""
    options = (
        click.argument("image", required=False, metavar="IMAGE", shell_complete=complete_images),
        click.argument("users", nargs=-1, metavar="[USER]...", shell_complete=complete_users),
        click.option(
            "--image",
            "more_images",
            multiple=True,
            metavar="IMAGE",
            shell_complete=complete_images,
            help="A further image; may be repeated.",
        ),
        click.option(
            "--group",
            "groups",
            multiple=True,
            metavar="GROUP",
            help="A group, by its name below groups_base or by its DN; may be repeated.",
        ),
    )

    @functools.wraps(command)
    def add_images(*, image: Optional[str], more_images: tuple[str, ...], **rest: Any) -> Any:
        images = (*([] if image is None else [image]), *more_images)
        return command(images=tuple(dict.fromkeys(images)), **rest)

    return functools.reduce(lambda wrapped, option: option(wrapped), reversed(options), add_images)


# The first argument, as the host's tool has it, is the image.
@click.command("grant", epilog=example("ldapdb app grant simphony/mayavi:0.5 alice --allow-home"))
@with_members
@click.option("--not-before", metavar="TIME", help="When it begins; at once by default.")
@click.option("--not-after", metavar="TIME", help="When it ends; never by default.")
@with_policy
@with_json_or_csv
@with_plan
def grant(
    *,
    images: tuple[str, ...],
    users: tuple[str, ...],
    groups: tuple[str, ...],
    not_before: Optional[str],
    not_after: Optional[str],
    policy: Policy,
    plan: Plan,
    form: Form,
) -> None:
    """Give users and groups an application and print the mapping ids.

    All that is named is looked for first. A TIME is a day, which counts whole, or a moment, in
    UTC where it names no zone (2027-01-31, 2027-01-31T18:00, 2027-01-31T18:00+01:00), or a while
    from now (12h, 30d, 8w). The last word counts: who has the same application and policy at
    other times has it at these from then on. What he has through groups, or by an entry that
    somebody else made, stays as it is.
    """
    _require(images, users, groups)
    window = parse_window(not_before, not_after, time.time())
    with writing(plan) as store:
        granted = store.grant_several(images, policy, window, users=users, groups=groups)
    for note in _notes(granted, window):
        click.echo(note, err=True)
    if form.as_json:
        _print_fields(list(map(_granted_fields, granted)))
    elif len(granted) == 1 and granted[0].id is not None and not form.as_csv:
        click.echo(granted[0].id)
    else:
        _print_ids(((each.image, _name(each), each.id or "-") for each in granted), form)


@click.command(
    "revoke",
    epilog=example("ldapdb app revoke simphony/mayavi:0.5 alice bob --group cfd-team --all"),
)
@with_members
@click.option("--revoke-all", "--all", "revoke_all", is_flag=True, help="Whatever the policy.")
@click.option(
    "--id",
    "identifiers",
    multiple=True,
    metavar="ID",
    help="What a mapping id stands for, without IMAGE and USER; may be repeated.",
)
@click.option(
    "--timeout",
    type=click.IntRange(1, 86_400),
    default=300,
    show_default=True,
    help="How long the grants may be searched for an --id, in seconds.",
)
@with_policy
@with_json_or_csv
@with_plan
def revoke(
    *,
    images: tuple[str, ...],
    users: tuple[str, ...],
    groups: tuple[str, ...],
    policy: Policy,
    revoke_all: bool,
    identifiers: tuple[str, ...],
    timeout: int,
    plan: Plan,
    form: Form,
) -> None:
    """Take an application from users and groups: under the policy given, or under all.

    All that is named is looked for first. Whoever has it through a group only is an error that
    names the group; nothing is revoked then. Whoever is in a group that carries the grant itself
    is taken out of that group, which is said, with the other grants that name it.
    """
    if revoke_all and policy != Policy():
        raise click.UsageError("--revoke-all takes no policy; drop it or the policy's options")
    if identifiers:
        if images or users or groups or revoke_all or policy != Policy():
            raise click.UsageError("--id says all; drop the images, members and policy")
        _revoke_ids(identifiers, timeout, plan, form)
        return
    _require(images, users, groups)
    wanted = None if revoke_all else policy
    with writing(plan) as store:
        revoked = store.revoke_several(images, wanted, users=users, groups=groups)
        _tell_left(revoked)
        still = [each for each in revoked if each.policies and _has_still(store, each, wanted)]
    if form.as_json:
        _print_fields(list(map(_revoked_fields, revoked)))
    else:
        if form.as_csv:
            _print_ids((row for each in revoked for row in _revoked_rows(each)), form)
        for each in revoked:
            if not each.policies:
                click.echo(_not_had(each, revoke_all=revoke_all), err=True)
    for each in still:
        click.echo(
            f"{_name(each)} still has {each.image} through a group; see `ldapdb explain "
            f"{_name(each)} {each.image}`",
            err=True,
        )


def _not_had(revoked: Revoked, *, revoke_all: bool) -> str:
    how = "" if revoke_all else " under that policy"
    text = f"{_name(revoked)} did not have {revoked.image}{how}"
    if not revoked.others:
        return text
    others = "; ".join(map(in_words, revoked.others))
    return f"{text}, and nothing was revoked; has it under: {others} (--all takes it under any)"


def _revoke_ids(identifiers: Sequence[str], timeout: float, plan: Plan, form: Form) -> None:
    for each in identifiers:
        if len(each) != len(mapping_id("", Policy(), 0)) or not set(each) <= set(
            "0123456789abcdef"
        ):
            raise click.UsageError(f"{each!r} is no mapping id, which has 32 digits 0-9a-f")
    with writing(plan, operation_timeout_seconds=timeout) as store:
        found = [(each, store.revoke_by_id(each)) for each in identifiers]
        _tell_left(each for _, revoked in found for each in revoked)
    if form.as_json:
        _print_fields([{"id": each, **_revoked_by_id(revoked)} for each, revoked in found])
        return
    for identifier, revoked in found:
        if not revoked:
            click.echo(f"no grant has the id {identifier}; nothing was revoked", err=True)
    rows = [(each.image, _name(each), name) for name, revoked in found for each in revoked]
    if rows or form.as_csv:
        _print_ids(rows, form)


def _print_ids(rows: Iterable[tuple[str, str, str]], form: Form) -> None:
    print_table(("IMAGE", "MEMBER", "ID"), list(rows), form=form)


def _revoked_rows(revoked: Revoked) -> Iterator[tuple[str, str, str]]:
    """Write a row for each policy; the members of a group have an id each."""
    member = revoked.member
    for policy in revoked.policies:
        identifier = "-"
        if isinstance(member, User):
            identifier = mapping_id(revoked.image, policy, member.id)
        yield revoked.image, member.name, identifier


def print_grants(form: Form, timeout: float, *, licences: bool) -> None:
    """Print the grants as entries: what each says, and how many it names."""
    with opened_store(operation_timeout_seconds=timeout) as store:
        listed = store.list_grants()
    if form.as_json:
        print_json([_listed_fields(each, licences=licences) for each in listed])
        return
    rows = [
        (
            str(each.grant.dn),
            " ".join(each.grant.images),
            in_words(each.grant.policy, licences=licences),
            "-" if each.grant.window == Window() else when(each.grant.window),
            str(each.members),
        )
        for each in listed
    ]
    print_table(("GRANT", "IMAGES", "POLICY", "TIME", "MEMBERS"), rows, form=form)


def _require(images: Sequence[str], users: Sequence[str], groups: Sequence[str]) -> None:
    if not images:
        raise click.UsageError("missing argument 'IMAGE'")
    if not users and not groups:
        raise click.UsageError("missing argument 'USER', or --group")
    for given in (*users, *groups):
        if not given.strip():
            raise click.UsageError("a user or group without a name")


def _tell_left(revoked: Iterable[Revoked]) -> None:
    """Say what else is lost, or would be by what is planned."""
    for each in revoked:
        for note in each.notes:
            click.echo(note, err=True)


def _has_still(store: Store, revoked: Revoked, policy: Optional[Policy]) -> bool:
    if not isinstance(revoked.member, User):
        return False
    now = time.time()  # also of an account that has ended: it may be enabled again
    return any(
        each.accounting.application.image == revoked.image
        and policy in (None, each.accounting.application_policy)
        and any(grant.window.contains(now) for grant in each.grants)
        for each in store.list_all_entitlements(revoked.member)
    )


# --- for people


def _name(of: Granted | Revoked) -> str:
    return of.member.name


def _notes(granted: Sequence[Granted], window: Window) -> Iterator[str]:
    """Say when it holds, what this took the place of, and what goes on besides."""
    if window != Window():
        yield f"granted {when(window)}"
    for each in granted:
        for other in each.replaced:
            yield (f"{_name(each)} had {each.image} {when(other)}; this grant has taken its place")
        for kept in each.kept:
            yield (
                f"{_name(each)} has {each.image} {when(kept.window)} too, by '{kept.dn}', which "
                "goes on: it was made by hand, or is a member of other groups"
            )
        for besides in each.besides:
            yield (
                f"{_name(each)} has {each.image} {when(besides.window)} too, through a group in "
                f"the grant '{besides.dn}', which goes on"
            )


# --- for programs


def _print_fields(fields: Sequence[dict[str, Any]]) -> None:
    """Print a single one as it is, several as a list."""
    print_json(fields[0] if len(fields) == 1 else fields)


def _member_fields(of: Granted | Revoked) -> dict[str, Any]:
    if isinstance(of.member, User):
        return {"user": of.member.name}
    return {"group": str(of.member.dn)}


def _granted_fields(granted: Granted) -> dict[str, Any]:
    return {
        "id": granted.id,
        **_member_fields(granted),
        "image": granted.image,
        "policy": policy_fields(granted.policy),
        **window_fields(granted.window),
    }


def _listed_fields(listed: Listed, *, licences: bool) -> dict[str, Any]:
    grant = listed.grant
    return {
        "dn": str(grant.dn),
        "images": list(grant.images),
        "policy": policy_fields(grant.policy, licences=licences),
        **window_fields(grant.window),
        "members": listed.members,
    }


def _revoked_fields(revoked: Revoked) -> dict[str, Any]:
    fields = {
        **_member_fields(revoked),
        "image": revoked.image,
        "policies": list(map(policy_fields, revoked.policies)),
    }
    if isinstance(revoked.member, User):
        member = revoked.member
        fields["revoked"] = [mapping_id(revoked.image, p, member.id) for p in revoked.policies]
    if revoked.left:
        fields["left"] = [
            {"dn": str(each.dn), "grants": list(map(str, each.grants))} for each in revoked.left
        ]
    if revoked.others:
        fields["others"] = list(map(policy_fields, revoked.others))
    return fields


def _revoked_by_id(revoked: Sequence[Revoked]) -> dict[str, Any]:
    return _revoked_fields(revoked[0]) if revoked else {"revoked": []}
