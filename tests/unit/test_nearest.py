"""What was perhaps meant by a name that there is not."""

from __future__ import annotations

import pytest

from ldapdb.errors import InvalidValue
from ldapdb.store.nearest import like, like_image
from ldapdb.wellformed import check_image

IMAGES = ["simphony/mayavi:0.5", "simphony/mayavi:0.6", "simphony/numerrin:05", "r.org:5000/cad@1"]


@pytest.mark.parametrize(
    ("image", "meant"),
    [
        ("simphony/mayavi:05", "; did you mean 'simphony/mayavi:0.5' or 'simphony/mayavi:0.6'?"),
        ("simphony/mayavy:0.6", "; did you mean 'simphony/mayavi:0.5' or 'simphony/mayavi:0.6'?"),
        ("mayavi:0.5", "; did you mean 'simphony/mayavi:0.5' or 'simphony/mayavi:0.6'?"),
        ("simphony/paraview:05", ""),
        ("r.org:5000/cad@2", "; did you mean 'r.org:5000/cad@1'?"),
    ],
)
def test_images_of_the_same_application_are_meant(image: str, meant: str) -> None:
    said = like_image(image, IMAGES)
    assert sorted(said.split("'")[1::2]) == meant.split("'")[1::2]
    assert said.startswith("; did you mean") == meant.startswith("; did you mean")


def test_what_is_not_near_is_not_meant() -> None:
    assert like("alcie", ["alice", "alice", "bob"]) == "; did you mean 'alice'?"
    assert like("zzz", ["alice"]) == ""


@pytest.mark.parametrize(("image", "told"), [("a/Foo:1", True), ("a/foo:1:2", False)])
def test_capitals_in_a_name_are_told(image: str, *, told: bool) -> None:
    with pytest.raises(InvalidValue) as refused:
        check_image(image)
    assert ("capitals" in str(refused.value)) == told
    check_image("a/foo:Latest")
