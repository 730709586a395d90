"""Errors without the variables of the calls that raised them.

Error reporters print the variables of each call in a traceback. Passwords and licence keys
are in some of them, so an error leaves ldapdb with its lines and without its variables.
"""

from __future__ import annotations

import functools
import traceback
from collections.abc import Callable, Iterator
from typing import Any, Optional, TypeVar, cast

__all__ = ["chain", "wipe", "wiped"]

_Call = TypeVar("_Call", bound=Callable[..., Any])
_Error = TypeVar("_Error", bound=BaseException)


def wipe(error: _Error) -> _Error:
    """Clear the variables of all finished calls in an error's traceback, and in its causes'."""
    for each in chain(error):
        traceback.clear_frames(each.__traceback__)
    return error


def chain(error: Optional[BaseException]) -> Iterator[BaseException]:
    """Yield an error, and all errors that led to it, shown or hidden."""
    seen: set[int] = set()
    left = [error]
    while left:
        each = left.pop()
        if each is not None and id(each) not in seen:
            seen.add(id(each))
            left += [each.__cause__, each.__context__]
            yield each


def wiped(call: _Call) -> _Call:
    """Let the errors of a function leave it without variables, its own arguments included."""

    @functools.wraps(call)
    def without_variables(*args: Any, **kwargs: Any) -> Any:
        try:
            return call(*args, **kwargs)
        except BaseException as error:
            wipe(error)
            raise
        finally:
            del args, kwargs

    return cast(_Call, without_variables)
