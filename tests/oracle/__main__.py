"""Compares ldapdb with the oracle: ``PYTHONPATH=tests python -m oracle --comparisons 20000``."""

# ruff: noqa: T201 -- what it prints is what it is for

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Sequence

from oracle.entries import Place
from oracle.making import SHAPES
from oracle.product import Product
from oracle.running import Run, Server
from support.servers import VENDORS, parse_vendors, server_class, why_missing

# A slow machine is no difference.
_PATIENCE = {"connect_timeout_seconds": 30, "operation_timeout_seconds": 60}


def compare(vendor: str, seed: int, comparisons: int, shapes: Sequence[str], size: int) -> Run:
    """Start a server, and compare on it."""
    with server_class(vendor)(**({"sample": False} if vendor == "openldap" else {})) as server:
        names = ("admin_dn", "password", "suffix", "users_base", "groups_base", "base_dn")
        place = Place(vendor, server.uri, *(getattr(server, name) for name in names))
        settings = {**server.database_kwargs(), **_PATIENCE}
        settings.pop("groups_base", None)
        with Product() as product:
            run = Run(Server(place), product, settings, shapes, size, print)
            run.until(comparisons, seed)
    return run


def main() -> int:
    """Read the arguments, and exit with 1 on any difference."""
    parser = argparse.ArgumentParser(prog="oracle", description=__doc__)
    parser.add_argument("--vendors", type=parse_vendors, default=VENDORS)
    parser.add_argument("--comparisons", type=int, default=20000, help="on each server")
    parser.add_argument("--seed", type=int, help="of directories to repeat")
    parser.add_argument("--size", type=int, default=16, help="about how many users")
    parser.add_argument("--shapes", help=f"only some of {', '.join(SHAPES)}")
    parser.add_argument("--without", default="", help="all but some of these")
    arguments = parser.parse_args()
    without = arguments.without.split(",")
    shapes = arguments.shapes.split(",") if arguments.shapes else list(SHAPES)
    unknown = {*shapes, *filter(None, without)} - set(SHAPES)
    if unknown:
        parser.error(f"not a shape: {', '.join(sorted(unknown))}; there are {', '.join(SHAPES)}")
    shapes = [each for each in shapes if each not in without]
    seed = random.SystemRandom().randrange(10**6) if arguments.seed is None else arguments.seed
    print(f"oracle: seed {seed}, shapes {', '.join(shapes)}", flush=True)
    differs = False
    for vendor in arguments.vendors:
        missing = why_missing(vendor)
        if missing is not None:
            parser.error(missing)
        began = time.monotonic()
        run = compare(vendor, seed, arguments.comparisons, shapes, arguments.size)
        total = sum(run.differences.values())
        print(
            f"{vendor}: {run.count} comparisons in {run.directories} directories, "
            f"{total} differences, {time.monotonic() - began:.0f} s",
            flush=True,
        )
        for question, number in sorted(run.differences.items()):
            print(f"  {question}: {number}")
        differs = differs or total > 0
    return 1 if differs else 0


if __name__ == "__main__":
    sys.exit(main())
