"""How applications and grants are written where the directory has our schema."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ldapdb.entries import (
    ALLOW_HOME,
    ALLOW_VIEW,
    APPLICATION_CLASS,
    GRANT_ATTRIBUTES,
    GRANT_CLASS,
    IMAGE,
    LICENSE,
    MEMBER,
    POLICY_ATTRIBUTES,
    is_application,
    is_grant,
)
from ldapdb.notation import Notation, SchemaNotation
from ldapdb.protocol import filters
from ldapdb.protocol.entry import OBJECT_CLASS, Entry, Modification, Operation
from ldapdb.stock import StockNotation

MAYAVI = "simphony/mayavi:0.5"
PARAVIEW = "simphony/paraview:5.11"
OURS = (APPLICATION_CLASS, GRANT_CLASS)
SCHEMA = SchemaNotation()


def _entry(*classes: str, **attributes: list[str]) -> Entry:
    made = {OBJECT_CLASS: list(classes), IMAGE: [MAYAVI], **attributes}
    return Entry(
        "cn=x,dc=example,dc=org",
        {name.lower(): [value.encode() for value in values] for name, values in made.items()},
    )


# -- asking ---------------------------------------------------------------------------------


@pytest.mark.parametrize("notation", [SchemaNotation(), StockNotation()])
def test_both_notations_answer_every_question(notation: Notation) -> None:
    """Whatever the way of writing, classes can be asked for; so mypy and this test say."""
    assert OBJECT_CLASS in notation.attributes
    assert notation.needs_schema is isinstance(notation, SchemaNotation)
    for object_class in OURS:
        for asked in (
            notation.licensed(),
            notation.carrying(object_class),
            notation.of_images(object_class, [MAYAVI]),
        ):
            assert filters.parse(str(asked)) == asked


def test_a_grant_is_asked_for_whole() -> None:
    """All that decides about access is asked for, and the schema must be there."""
    assert SCHEMA.attributes == GRANT_ATTRIBUTES
    assert SCHEMA.needs_schema


@pytest.mark.parametrize("object_class", OURS)
def test_a_class_is_what_entries_carry(object_class: str) -> None:
    """An entry of ours is found by its class."""
    assert str(SCHEMA.carrying(object_class)) == f"(objectClass={object_class})"


@pytest.mark.parametrize(
    ("images", "text"),
    [
        ([MAYAVI], f"({IMAGE}={MAYAVI})"),
        ([MAYAVI, PARAVIEW], f"(|({IMAGE}={MAYAVI})({IMAGE}={PARAVIEW}))"),
        (["a*)(b"], f"({IMAGE}=a\\2a\\29\\28b)"),
    ],
)
def test_images_are_asked_for_by_name(images: list[str], text: str) -> None:
    """Class and image both have to fit; no image escapes from its filter."""
    asked = str(SCHEMA.of_images(GRANT_CLASS, images))
    assert asked == f"(&(objectClass={GRANT_CLASS}){text})"


@pytest.mark.parametrize("notation", [SchemaNotation(), StockNotation()])
def test_no_image_is_no_question(notation: Notation) -> None:
    """An empty list does not become a search for everything."""
    with pytest.raises(ValueError, match="at least one part"):
        notation.of_images(GRANT_CLASS, [])


def test_an_entry_is_read_as_it_is() -> None:
    """The directory's attributes are ours."""
    entry = _entry("groupOfNames", GRANT_CLASS)
    assert SCHEMA.read(entry) is entry


# -- writing --------------------------------------------------------------------------------


@pytest.mark.parametrize("object_class", OURS)
def test_a_new_entry_has_the_class_and_the_attributes(object_class: str) -> None:
    """What is to be said is written as it is, beside one class of ours."""
    said = {IMAGE: (MAYAVI,), ALLOW_HOME: ("TRUE",), MEMBER: ("uid=a",)}
    assert SCHEMA.new(object_class, said) == (
        [object_class],
        {IMAGE: [MAYAVI], ALLOW_HOME: ["TRUE"], MEMBER: ["uid=a"]},
    )


def test_a_new_entry_s_attributes_are_the_caller_s_to_add_to() -> None:
    """More may be added to what is returned; what was given stays."""
    said = {IMAGE: [MAYAVI]}
    _, written = SCHEMA.new(GRANT_CLASS, said)
    written[IMAGE].append(PARAVIEW)
    written[MEMBER] = ["uid=a"]
    assert said == {IMAGE: [MAYAVI]}


def test_an_image_is_taken_out_by_value() -> None:
    """The other images stay, and so do those that somebody adds at the same time."""
    entry = _entry(GRANT_CLASS, remoteAppImage=[MAYAVI, PARAVIEW])
    assert SCHEMA.without_image(entry, MAYAVI) == [Modification(Operation.DELETE, IMAGE, (MAYAVI,))]


def test_images_are_exchanged_by_value_and_what_stays_is_not_touched() -> None:
    """So that what somebody adds at the same time is kept."""
    entry = _entry(GRANT_CLASS, remoteAppImage=[MAYAVI, PARAVIEW])
    assert SCHEMA.with_images(entry, [PARAVIEW, "simphony/new:1"]) == [
        Modification(Operation.DELETE, IMAGE, (MAYAVI,)),
        Modification(Operation.ADD, IMAGE, ("simphony/new:1",)),
    ]


# -- taking a class off ---------------------------------------------------------------------


def _deleted(entry: Entry, object_class: str) -> set[tuple[str, tuple[str, ...]]]:
    modifications = SCHEMA.without_class(entry, object_class)
    assert all(each.operation is Operation.DELETE for each in modifications)
    return {(each.attribute, each.values) for each in modifications}


def test_a_group_loses_the_grant_and_nothing_else() -> None:
    """The class goes with those of its attributes that are there."""
    entry = _entry(
        "groupOfNames",
        GRANT_CLASS,
        member=["uid=a"],
        cn=["x"],
        remoteAppAllowHome=["TRUE"],
        remoteAppVolume=[],
    )
    assert _deleted(entry, GRANT_CLASS) == {
        (OBJECT_CLASS, (GRANT_CLASS,)),
        (IMAGE, ()),
        (ALLOW_HOME, ()),
    }


def test_the_image_stays_for_the_other_class() -> None:
    """An entry that is application and grant keeps what the class that stays demands."""
    both = _entry(APPLICATION_CLASS, GRANT_CLASS, remoteAppAllowView=["TRUE"])
    assert _deleted(both, GRANT_CLASS) == {(OBJECT_CLASS, (GRANT_CLASS,)), (ALLOW_VIEW, ())}
    assert _deleted(both, APPLICATION_CLASS) == {(OBJECT_CLASS, (APPLICATION_CLASS,))}


def test_an_application_loses_its_image() -> None:
    """Without the class nothing allows the image; policy attributes are none of it."""
    entry = _entry(APPLICATION_CLASS, remoteAppAllowHome=["TRUE"])
    assert _deleted(entry, APPLICATION_CLASS) == {(OBJECT_CLASS, (APPLICATION_CLASS,)), (IMAGE, ())}


def _applied(entry: Entry, modifications: list[Modification]) -> Entry:
    """Do what a directory does with deletions, which refuses to delete what is not there."""
    left: dict[str, list[Any]] = {name: list(each) for name, each in entry.attributes.items()}
    for each in modifications:
        values = left.pop(each.attribute.lower())
        assert values
        if each.values:
            for value in each.values:
                values.remove(value.encode())
            left[each.attribute.lower()] = values
    return Entry(entry.dn, left)


VALUES = st.lists(st.sampled_from(["TRUE", "a", "b"]), max_size=2, unique=True)


@given(
    st.sets(st.sampled_from(OURS), min_size=1),
    st.sampled_from(OURS),
    st.dictionaries(st.sampled_from(POLICY_ATTRIBUTES), VALUES),
)
def test_what_is_left_is_allowed_by_what_is_left(
    classes: set[str], gone: str, said: dict[str, list[str]]
) -> None:
    """A directory that checks its schema takes the change: no attribute is without its class."""
    if gone not in classes:
        return
    entry = _entry("groupOfNames", *classes, member=["uid=a"], **said)
    left = _applied(entry, SCHEMA.without_class(entry, gone))
    assert not left.has_class(gone)
    assert left.has_class("groupOfNames")
    assert left.values(MEMBER) == ["uid=a"]
    assert bool(left.values(IMAGE)) is (is_application(left) or is_grant(left))
    if gone == GRANT_CLASS:
        assert not any(left.values(name) for name in POLICY_ATTRIBUTES)
    else:
        assert all(left.values(name) == values for name, values in said.items())


def test_an_image_that_goes_registers_no_other() -> None:
    """An entry of several images registers none; what is left of it must not either."""
    both = _entry(APPLICATION_CLASS, GRANT_CLASS, **{IMAGE: [MAYAVI, PARAVIEW]})
    assert SCHEMA.without_image(both, MAYAVI) == [
        Modification(Operation.DELETE, IMAGE, (MAYAVI,)),
        Modification(Operation.DELETE, OBJECT_CLASS, (APPLICATION_CLASS,)),
    ]


def test_licences_have_an_attribute() -> None:
    """It is hidden by access rules, so that any may be written."""
    assert str(SCHEMA.licensed()) == f"(&(objectClass={GRANT_CLASS})({LICENSE}=*))"
    SCHEMA.require_licence_allowed("KEY")
