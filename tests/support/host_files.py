"""The files of ``compose/host/``, as an operator reads and changes them."""

from __future__ import annotations

from servers.machine import CHECKOUT

__all__ = ["HOST", "changed", "read", "with_block"]

HOST = CHECKOUT / "compose" / "host"


def read(name: str) -> str:
    """Read one as it stands."""
    return (HOST / name).read_text(encoding="utf-8")


def changed(name: str, *changes: tuple[str, str]) -> str:
    """Read one, and put in what is another company's."""
    text = read(name)
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    return text


def with_block(name: str, begin: str) -> str:
    """Read one, and take a block of it that is commented out."""
    before, found, rest = read(name).partition(f"# {begin}")
    assert found
    block, _, after = rest.partition("\n\n")
    heading, *lines = block.split("\n")
    assert lines
    taken = "\n".join(line.removeprefix("# ") for line in lines)
    return f"{before}{found}{heading}\n{taken}\n\n{after}"
