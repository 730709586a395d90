"""Moving in and out: from the host's SQL database or CSV file, and to CSV, JSON and LDIF."""

from __future__ import annotations

from ldapdb.migrate.rows import Problem, Row, Source

__all__ = ["Problem", "Row", "Source"]
