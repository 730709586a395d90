"""Answers about random directories are those of an independent program; see ``tests/oracle``."""

from __future__ import annotations

import pytest

from oracle.entries import Place
from oracle.making import SHAPES
from oracle.product import Product
from oracle.running import Run, Server
from support import Directory


@pytest.mark.live("openldap", "389ds", "ad", reason="the oracle reads our schema only")
@pytest.mark.slow
def test_answers_equal_the_oracle_s(directory: Directory) -> None:
    """A short form of ``make oracle``, with one seed."""
    server = directory.server
    place = Place(
        directory.vendor,
        server.uri,
        server.admin_dn,
        server.password,
        server.suffix,
        server.users_base,
        server.groups_base,
        server.base_dn,
    )
    settings = {**directory.database_kwargs(), "operation_timeout_seconds": 60}
    settings.pop("groups_base", None)
    said: list[str] = []
    with Product() as product:
        run = Run(Server(place), product, settings, list(SHAPES), size=8, say=said.append)
        run.one("1")
        run.server.clear()
    assert said == []
    assert run.count >= 100
