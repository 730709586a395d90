"""ldif/sample.ldif says at its head who should see what; this holds it to that."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from support import Private

pytestmark = pytest.mark.live(
    "openldap", reason="ldif/sample.ldif is for OpenLDAP, as the demo shows it"
)

NONE: dict[str, object] = {
    "app_license": None,
    "allow_home": False,
    "allow_view": False,
    "allow_common": False,
    "volume_source": None,
    "volume_target": None,
    "volume_mode": None,
    "allow_startup_data": False,
}
HOME: dict[str, object] = {"allow_home": True}
VIEW: dict[str, object] = {"allow_view": True}
SHARED: dict[str, object] = {
    "allow_common": True,
    "volume_source": "/data/shared",
    "volume_target": "/data",
    "volume_mode": "ro",
}
LATTICE = "simphony/lattice@sha256:9f1d6b0c5a7e42d38b64e0c1f7a92d5536c8be14d07f3a2b9e6150c4d8a7b3f2"
EXPECTED: dict[str, list[tuple[str, dict[str, object]]]] = {
    "alice": [
        ("simphony/mayavi:0.5", HOME | VIEW),
        ("simphony/paraview:5.11", VIEW),
        ("simphony/paraview:5.11", HOME | SHARED),
        ("simphony/jupyter:LTS-2023", VIEW),
        ("simphony/jupyter:LTS-2023", HOME | {"allow_startup_data": True}),
        (
            "registry.example.org:5000/solver/stress:2023.1",
            HOME | {"app_license": "27000@licence.example.org"},
        ),
        (LATTICE, HOME),
        ("simphony/tutorial:2.0", VIEW),
    ],
    "bob": [
        ("registry.example.org:5000/cad/freecad:0.21", HOME | VIEW),
        ("simphony/tutorial:2.0", VIEW),
    ],
    "carol": [],
    "dieter": [
        ("registry.example.org:5000/cad/freecad:0.21", HOME | VIEW),
        ("simphony/tutorial:2.0", VIEW),
        ("simphony/openfoam:v2212", VIEW),
    ],
}


def show(directory: Private, name: str) -> subprocess.CompletedProcess[str]:
    settings = {
        f"LDAPDB_{key.upper()}": value for key, value in directory.database_kwargs().items()
    }
    return subprocess.run(
        [sys.executable, "-m", "ldapdb", "user", "show", name],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("name", EXPECTED)
@pytest.mark.lengthy
def test_user_show_gives_exactly_what_a_reader_of_the_ldif_expects(
    sample: Private, name: str
) -> None:
    shown = show(sample, name)
    assert shown.returncode == 0, shown.stderr
    user = json.loads(shown.stdout)
    assert user["name"].lower() == name
    assert user["dn"].lower().startswith(f"uid={name},")
    got = [(each["image"], each["policy"]) for each in user["accounting"]]
    expected = [(image, {**NONE, **policy}) for image, policy in EXPECTED[name]]
    assert sorted(map(repr, got)) == sorted(
        repr((image, {key: policy[key] for key in NONE})) for image, policy in expected
    )
    assert len({each["id"] for each in user["accounting"]}) == len(expected)


def test_the_expired_and_the_broken_grant_are_named_in_the_log(sample: Private) -> None:
    said = show(sample, "alice").stderr
    assert "cn=alice-openfoam-broken,ou=grants" in said
    assert "cn=alice-freecad-2020,ou=grants" in said


def test_an_unknown_user_is_an_error_of_one_line(sample: Private) -> None:
    shown = show(sample, "nobody")
    assert (shown.returncode, shown.stdout) == (1, "")
    assert shown.stderr.count("\n") == 1
