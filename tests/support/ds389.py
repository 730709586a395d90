"""389 Directory Server: nothing that the common words do not say already."""

from __future__ import annotations

from support.directory import Directory


class DS389Directory(Directory):
    """389 Directory Server, whose groupOfNames may be empty."""
