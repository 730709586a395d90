"""The engine, the images and the stacks that tests of ``compose/`` share."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from compose.replicated import COMPANY
from compose.stack import Stack, composers, make_site

_ALL = "openldap,ha,389ds,ad,admin"
# Services with an image of their own, by profile.
_OTHERS = {"389ds": "ds389", "ad": "ad", "admin": "admin"}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the profiles be chosen."""
    parser.addoption(
        "--profiles",
        default="all",
        help=f"test these profiles of compose/compose.yaml (default: all, {_ALL})",
    )
    parser.addoption("--pictures", metavar="FOLDER", help="keep pictures of the web tool there")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests of profiles that were not chosen."""
    chosen = _profiles(config)
    left_out = [
        item
        for item in items
        if (marker := item.get_closest_marker("compose")) and not chosen.issuperset(marker.args)
    ]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def _profiles(config: pytest.Config) -> set[str]:
    text: str = config.getoption("--profiles")
    return set((_ALL if text == "all" else text).split(","))


@pytest.fixture(scope="session")
def composer_of() -> dict[str, list[str]]:
    """Each generation of the program; a missing one is replaced by the other on a laptop."""
    problem = "no Docker engine answers; `.ci/docker make compose-test` starts one as root"
    try:
        docker.from_env().ping()
        found = composers()
        if not found:
            problem = "neither `docker compose` nor docker-compose is installed"
    except docker.errors.DockerException:
        found = {}
    in_ci = os.environ.get("CI") == "true"
    if in_ci and set(found) != {"v1", "v2"}:
        pytest.fail(f"both generations of compose are needed, found {sorted(found)}: {problem}")
    if not found:
        pytest.skip(problem)
    any_one = next(iter(found.values()))
    return {name: found.get(name, any_one) for name in ("v1", "v2")}


@pytest.fixture(scope="session")
def site(
    tmp_path_factory: pytest.TempPathFactory,
    composer_of: dict[str, list[str]],
    request: pytest.FixtureRequest,
) -> Path:
    """What an operator copies, with the images built from it."""
    folder = tmp_path_factory.mktemp("site")
    make_site(folder)
    profiles = sorted(_profiles(request.config))
    stack = Stack(folder, composer_of["v2"], *profiles, "client")
    # The second generation builds them side by side. "secrets" has the image of all of OpenLDAP.
    stack.compose(
        "build", "secrets", "client", *(_OTHERS[each] for each in profiles if each in _OTHERS)
    )
    stack.engine.close()
    return folder


@pytest.fixture(scope="session")
def openldap(site: Path, composer_of: dict[str, list[str]]) -> Iterator[Stack]:
    """The profile that starts by default."""
    with Stack(site, composer_of["v2"], "openldap", "client") as stack:
        yield stack


@pytest.fixture(scope="session")
def cluster(
    site: Path, composer_of: dict[str, list[str]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """The profile ``ha``, with the authority of a company, which has made other certificates."""
    own = tmp_path_factory.mktemp("company")
    shutil.copytree(site / "compose", own / "compose")
    COMPANY.cert_pem.write_to_path(str(own / "compose" / "given" / "ca.pem"))
    COMPANY.private_key_pem.write_to_path(str(own / "compose" / "given" / "ca.key"))
    with Stack(own, composer_of["v1"], "ha", "client") as stack:
        yield stack


@pytest.fixture(scope="session")
def ca_file(openldap: Stack, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The authority's certificate, on the host's side."""
    return openldap.save_ca(tmp_path_factory.mktemp("ca") / "ca.pem")
