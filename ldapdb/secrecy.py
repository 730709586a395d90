"""Errors without the variables of the calls that raised them.

Error reporters print the variables of each call in a traceback. Passwords and licence keys
are in some of them, so an error leaves ldapdb with its lines and without its variables.
"""

from __future__ import annotations

import functools
import inspect
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import Any, Optional, TypeVar, cast

from ldapdb.errors import LDAPDBError

__all__ = ["chain", "wipe", "wiped", "wiped_methods"]

_Call = TypeVar("_Call", bound=Callable[..., Any])
_Class = TypeVar("_Class", bound=type)
_Error = TypeVar("_Error", bound=BaseException)


def wipe(error: _Error, outer: Optional[BaseException] = None) -> _Error:
    """Clear the variables of all finished calls in an error's traceback, and in its causes'.

    An error of ours says all that matters of its cause. A cause of somebody else's is taken away,
    because it may hold what was read: a UnicodeDecodeError has the octets, a database driver's
    error the URL.

    Parameters
    ----------
    outer : BaseException, optional
        What the caller was handling already; it is left alone.
    """
    for each in chain(error, outer):
        traceback.clear_frames(each.__traceback__)
        if isinstance(each, LDAPDBError):
            if not isinstance(each.__cause__, (LDAPDBError, OSError)):
                each.__cause__ = None
            if not isinstance(each.__context__, (LDAPDBError, OSError)):
                each.__context__ = None
    return error


def chain(
    error: Optional[BaseException], outer: Optional[BaseException] = None
) -> Iterator[BaseException]:
    """Yield an error, and all errors that led to it, shown or hidden; none from `outer` on."""
    seen = {id(outer)}
    left = [error]
    while left:
        each = left.pop()
        if each is not None and id(each) not in seen:
            seen.add(id(each))
            yield each
            left += [each.__cause__, each.__context__]


def wiped(call: _Call) -> _Call:
    """Let the errors of a function leave it without variables, its own arguments included."""

    @functools.wraps(call)
    def without_variables(*args: Any, **kwargs: Any) -> Any:
        outer = sys.exc_info()[1]
        try:
            return call(*args, **kwargs)
        except BaseException as error:
            wipe(error, outer)
            raise
        finally:
            del args, kwargs, outer

    @functools.wraps(call)
    def without_variables_between(*args: Any, **kwargs: Any) -> Iterator[Any]:
        outer = sys.exc_info()[1]
        try:
            yield from call(*args, **kwargs)
        except BaseException as error:
            wipe(error, outer)
            raise
        finally:
            del args, kwargs, outer

    is_generator = inspect.isgeneratorfunction(call)
    return cast(_Call, without_variables_between if is_generator else without_variables)


def wiped_methods(owner: _Class) -> _Class:
    """Let the errors of a class's constructor and public methods leave them without variables."""
    for name, value in list(vars(owner).items()):
        if inspect.isfunction(value) and (name == "__init__" or not name.startswith("_")):
            setattr(owner, name, wiped(value))
    return owner
