"""Draws what was measured: ``python -m benchmarks.plots``; needs matplotlib (``.ci/peers``).

It reads what ``make bench`` and ``make bench-site`` have written and measures nothing.
"""

# ruff: noqa: T201 -- what it prints is what it is for

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

from benchmarks.directory import CACHE

mpl.use("agg")

from matplotlib import pyplot as plt

__all__ = ["draw_goals", "draw_growth", "draw_site", "growth_of"]

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
_INCHES, _DOTS = (7.0, 4.2), 100
_GROWTH, _COLD = "growth, ", ", cold"
_COLOURS = {True: "tab:green", False: "tab:red", None: "tab:gray"}


def draw_site(result: dict[str, Any], path: Path) -> None:
    """Draw latency and slapd's processor time against the sessions, for one server.

    Parameters
    ----------
    result : dict
        What ``benchmarks/site.py`` wrote.
    path : Path
        Of the PNG.
    """
    found = result["capacity"][0]
    about = result["about"]
    trials = sorted(
        (each for each in found["sweep"] if "views" in each), key=lambda each: int(each["sessions"])
    )
    sessions = [each["sessions"] / 1000 for each in trials]
    figure, (upper, lower) = plt.subplots(2, 1, sharex=True, figsize=_INCHES)
    for name, marker in (("p99", "o"), ("p50", "s")):
        times = [each["views"][name] * 1000 for each in trials]
        upper.plot(sessions, times, marker=marker, label=name)
    upper.axhline(about["limit_seconds"] * 1000, color="gray", linestyle=":", label="limit")
    upper.set_yscale("log")
    upper.set_ylabel("page view (ms)")
    upper.legend()
    lower.plot(sessions, [100 * each["slapd_cpu"] for each in trials], marker="o")
    lower.set_ylabel("slapd (% of one CPU)")
    lower.set_ylim(0, 105)
    lower.set_xlabel("sessions (thousands)")
    upper.set_title(
        f"One slapd, {about['users']:,} users, TTL {about['ttl']:g} s, "
        f"{about['views']:g} page a minute",
        fontsize="medium",
    )
    _finish(figure, (upper, lower), path)


def growth_of(result: dict[str, Any]) -> dict[str, tuple[list[int], list[float]]]:
    """Take the cold calls at each size out of what ``make bench`` wrote.

    Returns
    -------
    dict
        Numbers of users and milliseconds, by call. Each size of one call was measured in turn
        with the other one.
    """
    series = {}
    for row in result["rows"]:
        if row["what"].startswith(_GROWTH) and row["what"].endswith(_COLD):
            call = row["what"][len(_GROWTH) : -len(_COLD)]
            points = sorted(
                (int(key.replace(",", "")), 1e3 * value) for key, value in row["seconds"].items()
            )
            series[call] = ([users for users, _ in points], [value for _, value in points])
    return series


def draw_growth(result: dict[str, Any], path: Path) -> None:
    """Draw what cold calls take in small and large directories.

    Raises
    ------
    ValueError
        If growth was not measured (``--growth``).
    """
    series = growth_of(result)
    if not series:
        raise ValueError("growth was not measured: give make bench BENCH_ARGS='--growth FROM TO'")
    figure, axes = plt.subplots(figsize=_INCHES)
    for call, (users, times) in series.items():
        line = axes.plot(users, times, marker="o", label=f"{call}, cold")[0]
        allowed = [times[0], times[0] * 1.3]
        axes.plot(
            [users[0], users[-1]], allowed, color=line.get_color(), linestyle=":", linewidth=1
        )
    axes.plot([], [], color="gray", linestyle=":", label="goal: at most 1.3 ×")
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("users in the directory")
    axes.set_ylabel("median of a call (ms)")
    axes.legend()
    _finish(figure, (axes,), path)


def draw_goals(result: dict[str, Any], path: Path) -> None:
    """Draw each goal's ratio, as a part of what it is to be at the most or at the least."""
    rows = [row for row in result["rows"] if row["ratio"] is not None and row["limit"]]
    figure, axes = plt.subplots(figsize=(_INCHES[0] + 1, 1 + 0.28 * len(rows)))
    shares = [
        row["limit"] / row["ratio"] if row["at_least"] else row["ratio"] / row["limit"]
        for row in rows
    ]
    axes.barh(
        [f"{row['what']} ({row['goal']})" for row in rows],
        shares,
        color=[_COLOURS[row["met"]] for row in rows],
    )
    axes.axvline(1, color="gray", linestyle=":")
    axes.set_xscale("log")
    axes.invert_yaxis()
    axes.tick_params(axis="y", labelsize="small")
    axes.set_xlabel("measured / goal (less is better; 1 is the goal)")
    _finish(figure, (axes,), path)


def _finish(figure: Any, axes: Sequence[Any], path: Path) -> None:
    for each in axes:
        each.grid(visible=True, alpha=0.3)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    # Without the version of matplotlib in it, the same numbers make the same file.
    figure.savefig(path, dpi=_DOTS, metadata={"Software": None})
    plt.close(figure)
    print(f"{path}: {path.stat().st_size / 1024:.0f} KiB")


def main() -> None:
    """Draw whatever has been measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.plots", description=__doc__)
    parser.add_argument("--results", type=Path, default=CACHE, help="folder of the JSON files")
    parser.add_argument("--images", type=Path, default=IMAGES, help="folder of the PNG files")
    arguments = parser.parse_args()
    for name, drawings in (
        ("site", {"site": draw_site}),
        ("result", {"growth": draw_growth, "goals": draw_goals}),
    ):
        file = arguments.results / f"{name}.json"
        if not file.is_file():
            print(f"{file} is not there: nothing was measured")
            continue
        result = json.loads(file.read_text(encoding="utf-8"))
        for image, draw in drawings.items():
            try:
                draw(result, arguments.images / f"{image}.png")
            except ValueError as error:
                print(f"{image}: {error}")


if __name__ == "__main__":
    main()
