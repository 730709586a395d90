"""The files that TLS is verified by: read once, and anew when they change."""

from __future__ import annotations

from pathlib import Path

import pytest
import trustme

from ldapdb.client import tls
from ldapdb.errors import SettingsError
from ldapdb.settings import Settings, load


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    own = authority.issue_cert("client.example.org")
    own.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "own.pem"))
    (tmp_path / "own.pem").chmod(0o600)
    return load(
        uri="ldaps://localhost",
        base_dn="dc=example,dc=org",
        ca_file=str(tmp_path / "ca.pem"),
        client_cert_file=str(tmp_path / "own.pem"),
    )


def test_files_are_read_once(settings: Settings) -> None:
    """Connections share what was read, so that each costs a handshake and no more."""
    assert tls._context(settings) is tls._context(settings)


@pytest.mark.parametrize("name", ["ca.pem", "own.pem"])
def test_a_file_that_is_replaced_is_read_again(
    settings: Settings, tmp_path: Path, name: str
) -> None:
    """A renewed certificate counts from the next connection on, as it always did."""
    before = tls._context(settings)
    (tmp_path / "new").write_bytes((tmp_path / name).read_bytes())
    (tmp_path / "new").chmod(0o600)
    (tmp_path / "new").rename(tmp_path / name)
    assert tls._context(settings) is not before


def test_a_key_that_others_may_read_is_refused_at_the_next_connection(
    settings: Settings, tmp_path: Path
) -> None:
    tls._context(settings)
    (tmp_path / "own.pem").chmod(0o644)
    with pytest.raises(SettingsError, match="client_cert_file"):
        tls._context(settings)


def test_what_cannot_be_read_is_tried_again(settings: Settings, tmp_path: Path) -> None:
    """An error is not remembered."""
    whole = (tmp_path / "ca.pem").read_bytes()
    (tmp_path / "ca.pem").write_bytes(b"")
    with pytest.raises(SettingsError, match="ca_file"):
        tls._context(settings)
    (tmp_path / "ca.pem").write_bytes(whole)
    assert tls._context(settings).get_ca_certs()
