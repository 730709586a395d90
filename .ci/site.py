"""What the site has besides docs/: README and its like, ldif/, and the reference.

A hook of MkDocs, named in mkdocs.yml. Pages link to each other as they lie in the repository,
so that they can be read there as well; here README stands beside the pages of docs/.
"""

from __future__ import annotations

import posixpath
import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from support.reference import commands_page, schema_page  # noqa: E402 -- found by the line above

# Where files of the repository are in the site.
_PAGES = ("README.md", "CHANGELOG.md", "SECURITY.md", "ldif/README.md")
_COPIES = ("ldif/**/*.*", "benchmarks/operations.json", "LICENSE")
_LINK = re.compile(r"\]\((?!\w+:|#)([^)#\s]+)(#[^)\s]*)?\)")

_FROM_ELSEWHERE = re.compile(
    r"""<(?:script|img|iframe)\b[^>]*\bsrc=["']?(?:https?:)?//"""
    r"""|<link\b(?=[^>]*\brel=["']?(?:stylesheet|preconnect|preload))[^>]*\bhref=["']?(?:https?:)?//"""
)


def on_files(files: Files, *, config: Any) -> Files:
    """Add what does not lie in docs/."""
    for name in _PAGES:
        content = (ROOT / name).read_text(encoding="utf-8")
        files.append(File.generated(config, _in_site(name), content=content))
    copies = (path.relative_to(ROOT).as_posix() for each in _COPIES for path in ROOT.glob(each))
    for name in copies:
        if name not in _PAGES:
            files.append(File.generated(config, name, content=(ROOT / name).read_bytes()))
    files.append(File.generated(config, "reference/commands.md", content=commands_page()))
    files.append(File.generated(config, "reference/schema.md", content=schema_page()))
    return files


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Let links lead to where files are in the site."""
    here = _in_repository(page.file.src_uri)

    def moved(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(here), link[1]))
        if target == "ldif":
            target = "ldif/README.md"
        path = posixpath.relpath(_in_site(target), posixpath.dirname(page.file.src_uri) or ".")
        return f"]({path}{link[2] or ''})"

    return _LINK.sub(moved, markdown)


def on_post_page(output: str, *, page: Any, **_: Any) -> str:
    """See that a page needs nothing from elsewhere.

    Raises
    ------
    PluginError
        If a browser would fetch something.
    """
    found = _FROM_ELSEWHERE.search(output)
    if found:
        raise PluginError(f"{page.file.src_uri} fetches from elsewhere: {found[0]}")
    return output


def _in_site(name: str) -> str:
    """Tell where a file of the repository is; docs/ is the root there."""
    renamed = {"README.md": "readme.md", "ldif/README.md": "ldif/files.md"}
    return renamed.get(name, name.removeprefix("docs/"))


def _in_repository(uri: str) -> str:
    back = {_in_site(name): name for name in _PAGES}
    return back.get(uri, f"docs/{uri}")
