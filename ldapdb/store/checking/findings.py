"""What a check finds: a line, how bad it is, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

__all__ = ["Finding", "Level", "ok", "problem", "unchecked", "warning", "worst"]


class Level(Enum):
    """How bad a finding is, the least first."""

    OK = "ok"
    # It could not be looked at, and nothing says that it is wrong.
    NOT_CHECKED = "not checked"
    # It works, and is not as it should be.
    WARNING = "warning"
    # It does not work, or somebody sees what is not for him.
    PROBLEM = "problem"


@dataclass(frozen=True)
class Finding:
    """One line of a check.

    Parameters
    ----------
    check : str
        What was looked at, such as ``schema``.
    subject : str
        Where: a server's URI, a DN, or the name of a setting.
    level : Level
        How bad it is.
    text : str
        What was found.
    remedy : str
        What to do, as a command to copy; empty where there is nothing to do.
    """

    check: str
    subject: str
    level: Level
    text: str
    remedy: str = ""


def ok(check: str, subject: object, text: str) -> Finding:
    """Say that all is well."""
    return Finding(check, str(subject), Level.OK, text)


def unchecked(check: str, subject: object, text: str, remedy: str = "") -> Finding:
    """Say why something was not looked at, and how to look oneself."""
    return Finding(check, str(subject), Level.NOT_CHECKED, text, remedy)


def warning(check: str, subject: object, text: str, remedy: str) -> Finding:
    """Say that something works and is not as it should be."""
    return Finding(check, str(subject), Level.WARNING, text, remedy)


def problem(check: str, subject: object, text: str, remedy: str) -> Finding:
    """Say that something does not work, or is seen by those whom it is not for."""
    return Finding(check, str(subject), Level.PROBLEM, text, remedy)


def worst(findings: Iterable[Finding]) -> Level:
    """Return the worst level; OK where there is no finding."""
    order = list(Level)
    return max((each.level for each in findings), key=order.index, default=Level.OK)
