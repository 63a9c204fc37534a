"""What checks annotations in tests: beartype, of functions that say the shapes of arrays.

Of the others pyright sees all there is. A whole number is a float too (PEP 484).
"""

from collections.abc import Callable

from beartype import BeartypeConf, beartype
from beartype.roar import BeartypeDecorHintPepUnsupportedException

_check = beartype(conf=BeartypeConf(is_pep484_tower=True))


def checked(function: Callable) -> Callable:
    says_shapes = any("jaxtyping." in repr(hint) for hint in function.__annotations__.values())
    try:
        return _check(function) if says_shapes else function
    except BeartypeDecorHintPepUnsupportedException:  # of a named tuple that is generic, as Batch
        return function
