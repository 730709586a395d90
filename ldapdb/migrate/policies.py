"""How the host writes policies: eight values, of which older releases have six."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Optional

from ldapdb.errors import InvalidValue
from ldapdb.model import Policy

__all__ = ["BOOLEANS", "COLUMNS", "SINCE_2_2", "policy_of"]

# As the host has them since 2.2, in its order.
COLUMNS = (
    "app_license",
    "allow_home",
    "allow_view",
    "allow_common",
    "volume_source",
    "volume_target",
    "volume_mode",
    "allow_startup_data",
)
SINCE_2_2 = frozenset({"app_license", "allow_startup_data"})
BOOLEANS = frozenset({"allow_home", "allow_view", "allow_common", "allow_startup_data"})


def policy_of(booleans: Mapping[str, bool], texts: Mapping[str, Optional[str]]) -> Policy:
    """Make a policy of the host's values.

    Parameters
    ----------
    booleans, texts : mapping
        By the names in `COLUMNS`; what an old release does not have may be missing. The host
        mounts a volume where `allow_common` says so, whatever else is there.

    Raises
    ------
    InvalidValue
        If no such policy can be granted.
    """
    source, target, mode = (
        texts.get(f"volume_{part}") or "" for part in ("source", "target", "mode")
    )
    volume = None
    if booleans["allow_common"]:
        if not (source and target and mode):
            raise InvalidValue(
                "allow_common is true, and of volume_source, volume_target and volume_mode one "
                "is missing"
            )
        volume = f"{source}:{target}:{mode}"
    return Policy.of(
        app_license=texts.get("app_license") or None,
        allow_home=booleans["allow_home"],
        allow_view=booleans["allow_view"],
        volume=volume,
        allow_startup_data=booleans.get("allow_startup_data", False),
    )
