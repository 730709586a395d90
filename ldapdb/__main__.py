"""The command line's entry point, which works far enough without its libraries to say so."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line."""
    try:
        import click  # noqa: F401, PLC0415 -- an extra: the host cannot bear it
        import rich  # noqa: F401, PLC0415 -- as above
    except ImportError as error:
        sys.exit(
            f"ldapdb: the command line needs {error.name}; install it in an environment of its "
            "own, not in the host's: pip install '/path/to/ldapdb[cli]'"
        )
    from ldapdb.cli import run  # noqa: PLC0415 -- needs click

    sys.exit(run())


if __name__ == "__main__":
    main()
