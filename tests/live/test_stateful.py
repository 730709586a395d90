"""Random operations on LDAPDatabase and on a plain model, compared after every step."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from ldapdb import errors
from support import Directory

pytestmark = [pytest.mark.live("openldap", "389ds", "ad", stock=True), pytest.mark.slow]

USERS = ("alice", "bob", "jürgen")
IMAGES = ("simphony/mayavi:0.5", "simphony/mayavi:0.5A", "simphony/mayavi:0.5a")
POLICIES = ((False, False, None), (True, False, None), (False, True, "/a:/b:ro"))
GROUPS = {"inner": ("alice",), "outer": ("alice", "bob")}

# As many as each server does in about a quarter of a minute.
EXAMPLES = {"openldap": 25, "389ds": 12, "ad": 6}

users = st.sampled_from(USERS)
images = st.sampled_from(IMAGES)
policies = st.sampled_from(POLICIES)


class Machine(RuleBasedStateMachine):
    """The model: a set of images, sets of direct and of group grants."""

    directory: Directory
    # Under which names they log in.
    names: dict[str, str]

    def __init__(self) -> None:
        super().__init__()
        self.database: Any = self.directory.open()
        self.applications: set[str] = set()
        self.direct: set[tuple[str, str, Any]] = set()
        self.by_group: dict[tuple[str, str], None] = {}
        self.ids: dict[tuple[str, str, Any], str] = {}

    def teardown(self) -> None:
        for image in IMAGES:
            self.database.remove_application(app_name=image)
        self.database.close()

    def granted_to_group(self, user: str, image: str) -> bool:
        return any(user in GROUPS[name] for name, each in self.by_group if each == image)

    @rule(image=images)
    def create(self, image: str) -> None:
        if image in self.applications:
            with pytest.raises(errors.Exists):
                self.database.create_application(image)
        else:
            self.database.create_application(image)
            self.applications.add(image)

    @rule(image=images)
    def remove(self, image: str) -> None:
        self.database.remove_application(app_name=image)
        self.applications.discard(image)
        self.direct = {each for each in self.direct if each[1] != image}
        self.by_group = {each: None for each in self.by_group if each[1] != image}

    @rule(user=users, image=images, policy=policies)
    def grant(self, user: str, image: str, policy: Any) -> None:
        if image not in self.applications:
            with pytest.raises(errors.NotFound):
                self.database.grant_access(image, self.names[user], *policy)
            return
        mapping_id = self.database.grant_access(image, self.names[user], *policy)
        assert self.ids.setdefault((user, image, policy), mapping_id) == mapping_id
        self.direct.add((user, image, policy))

    @rule(user=users, image=images, policy=policies, by_id=st.booleans())
    def revoke(self, user: str, image: str, policy: Any, by_id: bool) -> None:
        mapping_id = self.ids.get((user, image, policy))

        def call() -> None:
            if by_id and mapping_id is not None:
                self.database.revoke_access_by_id(mapping_id)
            else:
                self.database.revoke_access(image, self.names[user], *policy)

        what = (user, image, policy)
        if image not in self.applications and not (by_id and mapping_id):
            with pytest.raises(errors.NotFound):
                call()
        elif what in self.direct:
            call()
            self.direct.discard(what)
        elif policy == POLICIES[0] and self.granted_to_group(user, image):
            with pytest.raises(errors.HeldThroughGroup):
                call()
        else:
            call()

    @rule(name=st.sampled_from(sorted(GROUPS)), image=images)
    def grant_to_group_by_hand(self, name: str, image: str) -> None:
        if image not in self.applications or (name, image) in self.by_group:
            return
        entry = f"{name} {IMAGES.index(image)}"
        dn = f"cn={entry},ou=grants,{self.directory.base_dn}"
        if self.directory.exists(dn):  # its application was removed, and it lost the class
            self.directory.delete(dn)
        group = f"cn={name},{self.directory.groups_base}"
        self.directory.granted(entry, images=[image], members=[group])
        self.by_group[name, image] = None
        self.database.close()
        self.database = self.directory.open()

    @invariant()
    def applications_agree(self) -> None:
        listed = [each.image for each in self.database.list_applications()]
        assert sorted(listed) == sorted(self.applications)

    @invariant()
    def accountings_agree(self) -> None:
        for name in USERS:
            user = self.database.get_user(user_name=self.names[name])
            got = sorted(
                (
                    each.application.image,
                    each.application_policy.allow_home,
                    each.application_policy.allow_view,
                    each.application_policy.volume_source is not None,
                )
                for each in self.database.get_accounting_for_user(user)
            )
            wanted = {
                (image, policy[0], policy[1], policy[2] is not None)
                for owner, image, policy in self.direct
                if owner == name
            }
            wanted |= {
                (image, False, False, False)
                for image in self.applications
                if self.granted_to_group(name, image)
            }
            assert got == sorted(wanted), name


def test_random_operations_agree_with_a_plain_model(directory: Directory) -> None:
    alice, bob = directory.person("alice"), directory.person("bob")
    full = "Jürgen, M."
    if directory.quirk("account names"):
        full = "Jürgen M"
    elif directory.quirk("7-bit names"):
        full = "Juergen, M."
    directory.person(full, rdn=r"cn=Jürgen\2C M.")
    inner = directory.group("inner", alice)
    directory.group("outer", inner, bob)
    Machine.directory = directory
    Machine.names = {"alice": "alice", "bob": "bob", "jürgen": full}
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=EXAMPLES[directory.vendor], stateful_step_count=25, deadline=None
        ),
    )
