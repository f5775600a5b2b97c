"""Type checks for the fields of frozen dataclasses. Needs neither torch nor numpy.

An error is one line with the class, the field, its value and the expected type. If the fix is obvious, the line says
what to write: ``Objective: params is 'encoder', and should be a tuple of text. Write ('encoder',).``
"""

from __future__ import annotations

import dataclasses
import numbers
import types
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Literal, Self, Union, get_args, get_origin, get_type_hints

from zoo.core.errors import PluginError, suggest

SHOWN = 60
"""The largest number of characters of a value in an error message."""

TORCH = {"nn": types.SimpleNamespace(Module=Any), "Tensor": Any, "Optimizer": Any}
"""Names in annotations that only type checkers import."""


class Misfit(Exception):
    """A value does not have the declared type. `path` says where it is below the field, such as ``["image"]``."""

    def __init__(self, path: str, value: Any, hint: Any) -> None:
        super().__init__(path)
        self.path, self.value, self.hint = path, value, hint


class Checked:
    """Base of the contract's frozen dataclasses: raises :class:`PluginError` for an unknown field or a wrong type."""

    def __new__(cls, *values: Any, **fields: Any) -> Self:
        known = [field.name for field in dataclasses.fields(cls) if field.init]  # type: ignore[arg-type]
        for key in fields:
            if key not in known:
                raise PluginError(_no_field(cls, key, known))
        return super().__new__(cls)

    def __post_init__(self) -> None:
        check(self)


def check(value: Any) -> None:
    """Convert each field of a frozen dataclass to its declared type (a list to a tuple, an int to a float).

    Raises :class:`PluginError` for the first field that has another type.
    """
    for name, hint in types_of(type(value)).items():
        given = getattr(value, name)
        try:
            fitted = fit(given, hint)
        except Misfit as misfit:
            raise PluginError(f"{type(value).__name__}: {_sentence(name, misfit)}") from None
        if fitted is not given:
            object.__setattr__(value, name, fitted)


def types_of(cls: type) -> Mapping[str, Any]:
    """Return the declared type of every field of a dataclass by name."""
    return _types_of(cls)


@cache
def _types_of(cls: type) -> Mapping[str, Any]:
    hints = get_type_hints(cls, localns=TORCH)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


def fit(value: Any, hint: Any, path: str = "") -> Any:
    """Return `value` as the type `hint`, or raise :class:`Misfit`."""
    origin, args = get_origin(hint), get_args(hint)
    if hint is Any:
        return value
    if origin is Literal:
        if any(type(value) is type(choice) and value == choice for choice in args):
            return value
    elif origin in (Union, types.UnionType):
        return _fit_one(value, hint, args, path)
    elif origin is tuple:
        if isinstance(value, (tuple, list)):
            return _fit_items(value, hint, args, path)
    elif isinstance(origin, type) and issubclass(origin, Mapping):
        if isinstance(value, Mapping):
            if any(type(key) is not str for key in value):
                raise Misfit(path, value, hint)
            return {key: fit(item, args[1], f"{path}[{key!r}]") for key, item in value.items()}
    elif origin is Callable:
        if callable(value):
            return value
    elif origin is type:
        if isinstance(value, type) and issubclass(value, args[0]):
            return value
    elif hint in (int, float) and not isinstance(value, bool) and isinstance(value, numbers.Integral):
        try:
            return value if type(value) is hint else hint(value)
        except OverflowError:  # an integer that is too large for a float
            raise Misfit(path, value, hint) from None
    elif hint in (int, float, bool):
        if type(value) is hint:
            return value
    elif isinstance(value, hint):
        return value
    raise Misfit(path, value, hint)


def _fit_one(value: Any, hint: Any, choices: tuple[Any, ...], path: str) -> Any:
    """Fit a value to the first matching type of a union. A class does not count as an instance, although callable."""
    if not (isinstance(value, type) and value in choices):
        for choice in choices:
            try:
                return fit(value, choice, path)
            except Misfit as misfit:
                if misfit.path != path:  # this type was meant, and an item inside the value is wrong
                    raise
    raise Misfit(path, value, hint)


def _fit_items(value: Any, hint: Any, args: tuple[Any, ...], path: str) -> tuple[Any, ...]:
    items = args[:1] * len(value) if args[-1] is Ellipsis else args
    if len(items) != len(value):
        raise Misfit(path, value, hint)
    return tuple(fit(item, kind, f"{path}[{i}]") for i, (item, kind) in enumerate(zip(value, items, strict=True)))


def fits(value: Any, hint: Any) -> bool:
    """Return whether `value` is of the type `hint`."""
    try:
        fit(value, hint)
    except Misfit:
        return False
    return True


def describe(hint: Any, *, many: bool = False) -> str:
    """Describe a type in words: ``"an integer"``, ``"a tuple of text"``, ``"zoo.AdamW or zoo.RMSprop"``."""
    origin, args = get_origin(hint), get_args(hint)
    plain = {int: "integers" if many else "an integer", float: "numbers" if many else "a number", str: "text"}
    if hint in plain:
        return plain[hint]
    if hint is bool:
        return "true or false"
    if hint is type(None):
        return "None"
    if origin is Literal:
        return "one of " + ", ".join(map(str, args))
    if origin in (Union, types.UnionType):
        *first, last = [describe(part) for part in args]
        return f"{', '.join(first)} or {last}"
    if origin is tuple:
        inner = args[0]
        count = "" if args[-1] is Ellipsis else f"{len(args)} "
        return f"a tuple of {count}{describe(inner, many=True)}"
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return f"a mapping of names to {describe(args[1], many=True)}"
    if origin is Callable:
        return "a function"
    if origin is type:
        return f"a class that inherits from {describe(args[0])}"
    name = getattr(hint, "__name__", str(hint))
    return f"zoo.{name}" if str(getattr(hint, "__module__", "")).partition(".")[0] == "zoo" else name


def shown(value: Any) -> str:
    """Format a value for an error message, in one line."""
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if dataclasses.is_dataclass(value):
        return f"a zoo.{type(value).__name__}" if isinstance(value, Checked) else f"a {type(value).__name__}"
    if callable(value):
        return f"the function {name_of(value)}"
    try:
        text = " ".join(repr(value).split())
    except ValueError:  # an integer of thousands of digits
        return f"{type(value).__name__} of too many digits to show"
    return text if len(text) <= SHOWN else f"{text[:SHOWN]} … ({type(value).__name__})"


def name_of(function: object) -> str:
    """Return the name of a function or of another callable."""
    return str(getattr(function, "__name__", type(function).__name__))


def _sentence(name: str, misfit: Misfit) -> str:
    instead = _instead(misfit.value, misfit.hint)
    write = f" Write {instead}." if instead else ""
    return f"{name}{misfit.path} is {shown(misfit.value)}, and should be {describe(misfit.hint)}.{write}"


def _instead(value: Any, hint: Any) -> str:
    """Return what the author probably meant: a tuple of the one value, or a class built from it; else ""."""
    if dataclasses.is_dataclass(value) or callable(value):
        text = name_of(value) if callable(value) else f"zoo.{type(value).__name__}(…)"
    else:
        text = repr(value)
    for choice in get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,):
        if get_origin(choice) is tuple and get_args(choice)[-1] is Ellipsis and fits(value, get_args(choice)[0]):
            return f"({text},)"
        if isinstance(choice, type) and issubclass(choice, Checked):
            if isinstance(value, type):
                if issubclass(value, choice):
                    return f"{value.__name__}(…)"
                continue
            needed = [
                field.name
                for field in dataclasses.fields(choice)  # type: ignore[arg-type]
                if field.default is field.default_factory is dataclasses.MISSING
            ]
            if len(needed) == 1 and fits(value, types_of(choice)[needed[0]]):
                return f"zoo.{choice.__name__}({text})"
    return ""


def _no_field(cls: type, key: str, known: list[str]) -> str:
    """Return the message for an unknown field, which may come from a base class without the decorator."""
    for base in cls.__mro__:
        if isinstance(vars(base).get(key), dataclasses.Field) and "__dataclass_fields__" not in vars(base):
            return undecorated(base)
    return f"{cls.__name__} has no field {key!r}.{suggest(key, known)} It has: {', '.join(known)}."


def undecorated(cls: type) -> str:
    """Return the message for a class that adds fields and lacks the dataclass decorator."""
    decorator = "@dataclass(frozen=True, kw_only=True)"
    return f"the class {cls.__name__} adds fields and is no dataclass. Write {decorator} above it."
