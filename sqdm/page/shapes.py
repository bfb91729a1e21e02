"""Checks what was read from a JSON file against the fields that the page needs."""

from numbers import Real

from sqdm.errors import UserError

NUMBER = (Real, "a number")
OPTIONAL = (Real, type(None), "a number or null")
TEXT = (str, "text")
OBJECT = (dict, "an object")

#: A field that must exist: a pair of types and their name (above), ``{key: shape}``, ``[shape of every item]``, or
#: ``{...: shape}`` for an object of any keys.
Shape = tuple | dict | list


def check(value: object, shape: Shape, where: str) -> None:
    """Raise `UserError`, naming the place, unless ``value`` has all fields of ``shape``; it may have more."""
    if isinstance(shape, tuple):
        *types, name = shape
        if not isinstance(value, tuple(types)) or isinstance(value, bool):
            raise UserError(f"{where} must be {name}, not {_shown(value)}")
    elif isinstance(shape, list):
        if not isinstance(value, list):
            raise UserError(f"{where} must be a list, not {_shown(value)}")
        for index, item in enumerate(value):
            check(item, shape[0], f"{where}[{index}]")
    else:
        if not isinstance(value, dict):
            raise UserError(f"{where} must be an object, not {_shown(value)}")
        keys = value if ... in shape else shape
        for key in keys:
            if key not in value:
                raise UserError(f"{where} must have a field {key!r}, but has none")
            check(value[key], shape[... if ... in shape else key], f"{where}.{key}")


def _shown(value: object) -> str:
    """The value, short enough for a line."""
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
