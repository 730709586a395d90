"""What another backend says that a user may start, one row for each right."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, Union

from ldapdb.model import Policy

__all__ = ["Problem", "Row", "Source"]


@dataclass(frozen=True)
class Row:
    """One user may start one image under one policy.

    Parameters
    ----------
    user_name : str
        As the other backend spells it.
    image : str
        Docker reference; checked when it is planned.
    policy : Policy
        How.
    where : str
        Where it was read, such as ``line 7``, for messages.
    """

    user_name: str
    image: str
    policy: Policy
    where: str


@dataclass(frozen=True)
class Problem:
    """What stands there and gives no right: it is told, and left out.

    Parameters
    ----------
    where : str
        As a row's.
    text : str
        What is wrong.
    """

    where: str
    text: str


class Source(Protocol):
    """Another backend, read as a stream."""

    @property
    def title(self) -> str:
        """What it is, for messages; without a password."""

    @property
    def lists_all(self) -> bool:
        """Whether users and images without any right are listed as well."""

    def rows(self) -> Iterator[Union[Row, Problem]]:
        """Read all rows, from the beginning at each call."""

    def users(self) -> Iterator[str]:
        """List the names of all users, also of those who may start nothing."""

    def images(self) -> Iterator[str]:
        """List all registered images, also those that nobody may start."""
