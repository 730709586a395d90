"""Access reviews as files: an HTML page for people, CSV for spreadsheets, JSON for the next one.

A review is read by :meth:`ldapdb.store.Store.review`. Nothing here knows a directory.
"""

from __future__ import annotations

from ldapdb.report.changes import Change, compare, with_changes
from ldapdb.report.document import Document, read, write
from ldapdb.report.page import page
from ldapdb.report.table import table

__all__ = ["Change", "Document", "compare", "page", "read", "table", "with_changes", "write"]
