"""From nested dictionaries, as configs and JSON files hold them, to frozen dataclasses."""

import dataclasses
import difflib
import math
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TypeVar

from vimogen_jax.errors import BadInput

T = TypeVar("T")


def parse(cls: type[T], given: Any, name: str) -> T:
    """Make the dataclass `cls` from a mapping, which is called `name` in what is raised.

    Fields that are dataclasses are made from mappings within, lists become tuples, and what is made
    already is taken as it is.

    Raises:
        BadInput: a key is unknown or missing, or a value is not of its field's type, or refused by
            the dataclass, whose message begins with the name of the field.
    """
    if isinstance(given, cls):
        return given
    if not isinstance(given, Mapping):
        raise BadInput(f"{name} must be a dictionary, not {given!r}")
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    for key in given:
        if key not in fields:
            raise BadInput(f"{name}.{key} is unknown{nearest(key, fields)}")
    for key, field in fields.items():
        needed = field.default is field.default_factory is dataclasses.MISSING
        if needed and key not in given:
            raise BadInput(f"{name}.{key} is not set")
    hints = typing.get_type_hints(cls)
    values = {key: _value(hints[key], value, f"{name}.{key}") for key, value in given.items()}
    try:
        return cls(**values)
    except ValueError as fault:
        raise BadInput(f"{name}.{fault}") from None


def nearest(key: Any, known: Iterable[str]) -> str:
    """What to add to a sentence about an unknown key: the known one that looks most like it."""
    found = difflib.get_close_matches(str(key), known, 1)
    return f"; did you mean {found[0]}?" if found else f"; known are {', '.join(known)}"


def _value(kind: Any, value: Any, name: str) -> Any:
    """The value as the type `kind` has it. Raises BadInput if it is of another."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):  # of one type and None
        nothing = value is None or value == {}  # a section of which nothing is set
        return None if nothing else _value(inner[0], value, name)
    if origin is Literal:
        if value not in list(inner):  # a list, as values may be anything
            raise BadInput(f"{name} must be {' or '.join(map(str, inner))}, not {value!r}")
        return value
    if dataclasses.is_dataclass(kind):
        return parse(kind, value, name)  # type: ignore[arg-type]
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(value, Mapping):
            raise BadInput(f"{name} must be a dictionary, not {value!r}")
        return {key: _value(inner[1], one, f"{name}.{key}") for key, one in value.items()}
    if origin is not None and issubclass(origin, Sequence):
        if not isinstance(value, list | tuple):
            raise BadInput(f"{name} must be a list, not {value!r}")
        fixed = origin is tuple and inner[-1] is not Ellipsis
        if fixed and len(value) != len(inner):
            raise BadInput(f"{name} must have {len(inner)} values, not {value!r}")
        return tuple(_value(inner[0], one, name) for one in value)
    fits = isinstance(value, int | float if kind is float else kind)
    if not fits or (isinstance(value, bool) and kind is not bool):
        raise BadInput(f"{name} must be {_WORDS[kind]}, not {value!r}")
    if kind is not float:
        return value
    try:
        number = float(value)
    except OverflowError:  # of a whole number beyond all floats
        number = math.inf
    if not math.isfinite(number):
        raise BadInput(f"{name} must be finite, not {number!r}")
    return number


_WORDS = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
