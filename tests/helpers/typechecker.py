"""What checks annotations in tests: beartype, of functions that say the shapes of arrays.

Of the others pyright sees all there is. A whole number is a float too (PEP 484).
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import jaxtyping
from beartype import BeartypeConf, beartype
from beartype.roar import BeartypeDecorHintPepUnsupportedException

_check = beartype(conf=BeartypeConf(is_pep484_tower=True))
_jaxtyped = jaxtyping.jaxtyped


def checked(function: Callable) -> Callable:
    try:
        return _check(function) if _says_shapes(function) else function
    except BeartypeDecorHintPepUnsupportedException:  # of a named tuple that is generic, as Batch
        return function


def jaxtyped(function: Any = None, *, typechecker: Callable) -> Any:
    """As jaxtyping's, but what says no shapes stays as it is, and its calls take no longer."""
    if function is None:
        return functools.partial(jaxtyped, typechecker=typechecker)
    called = function.__init__ if inspect.isclass(function) else function
    if inspect.isfunction(called) and not _says_shapes(called):
        return function
    return _jaxtyped(function, typechecker=typechecker)


def _says_shapes(function: Callable) -> bool:
    return any("jaxtyping." in repr(hint) for hint in function.__annotations__.values())
