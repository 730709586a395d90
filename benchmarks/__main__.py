"""Runs the benchmarks: ``PYTHONPATH=tests python -m benchmarks``."""

# ruff: noqa: PLC0415 -- what it prints is what it is for; counting needs no peers

from __future__ import annotations

import argparse
import sys


def main() -> int:
    """Count operations, or measure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--operations",
        action="store_true",
        help="count operations only, and fail if there are more than operations.json allows",
    )
    parser.add_argument("--users", type=int, default=100_000, help="size of the directory")
    parser.add_argument(
        "--growth",
        type=int,
        nargs=2,
        metavar=("FROM", "TO"),
        help="sizes of two more directories, for how costs grow",
    )
    parser.add_argument(
        "--seconds", type=float, default=10.0, help="how long each comparison is repeated"
    )
    arguments = parser.parse_args()
    if arguments.operations:
        from benchmarks import operations

        return operations.main()
    from benchmarks import run

    run.main(arguments.users, arguments.growth, arguments.seconds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
