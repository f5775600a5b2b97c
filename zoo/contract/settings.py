"""Fields of a recipe as typed settings: checks types and ranges, and parses ``KEY=VALUE``."""

from __future__ import annotations

import dataclasses
import inspect
import math
from collections.abc import Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args, get_origin

from zoo.contract import typed
from zoo.core.errors import PluginError, SettingError, suggest

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

R = TypeVar("R", bound="DataclassInstance")


def check(recipe: DataclassInstance) -> None:
    """Raise :class:`SettingError` unless every field has its declared type and range."""
    hints = types_of(type(recipe))
    for field in dataclasses.fields(recipe):
        value = getattr(recipe, field.name)
        try:
            fitted = typed.fit(value, hints[field.name])
        except typed.Misfit:
            raise SettingError(
                f"{field.name} = {typed.shown(value)} is not {describe(type(recipe), field.name)}."
            ) from None
        object.__setattr__(recipe, field.name, fitted)
        for item in fitted if isinstance(fitted, tuple) else (fitted,):
            if not _in_range(item, field.metadata):
                must = describe(type(recipe), field.name)
                raise SettingError(f"{field.name} = {typed.shown(value)} is out of range: it must be {must}.")


def types_of(cls: type) -> Mapping[str, Any]:
    """The annotated type of every field of a recipe class.

    Raises :class:`PluginError` for a class that is no dataclass, or a field that could not be set with ``--set``.
    """
    return _types_of(cls)


@cache
def _types_of(cls: type) -> Mapping[str, Any]:
    for base in cls.__mro__:
        if "__dataclass_fields__" not in vars(base) and inspect.get_annotations(base) and base.__module__ != "typing":
            raise PluginError(typed.undecorated(base))
    hints = typed.types_of(cls)
    for field in dataclasses.fields(cls):
        hint = hints[field.name]
        item = get_args(hint)[0] if get_origin(hint) is tuple else hint
        if item not in _WORDS and not (get_origin(item) is Literal and all(type(one) is str for one in get_args(item))):
            raise PluginError(
                f"{cls.__name__}: the field {field.name!r} is of the type {typed.describe(hint)}, and a recipe field "
                "is an int, float, bool, str, a tuple of one of these, or a Literal of strings."
            )
        if field.default is field.default_factory is dataclasses.MISSING:
            raise PluginError(
                f"{cls.__name__}: the field {field.name!r} has no default. Write zoo.setting(DEFAULT, HELP)."
            )
    return hints


def parse(cls: type[DataclassInstance], assignments: Iterable[str]) -> dict[str, Any]:
    """``["lr=1e-3", "steps=10"]`` as the values of those fields.

    Raises :class:`SettingError` for an unknown key (it suggests the nearest) or text that is not of the type.
    """
    values: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals:
            raise SettingError(f"{assignment!r} is not KEY=VALUE. Example: --set steps=100")
        known(cls, key)
        value = _from_text(text, types_of(cls)[key])
        if value is _NO:
            raise SettingError(f"{key} = {text!r} is not {describe(cls, key)}.")
        values[key] = value
    return values


def known(cls: type[DataclassInstance], key: str) -> None:
    """Raise :class:`SettingError` unless `key` is a field of the recipe class."""
    names = [field.name for field in dataclasses.fields(cls)]
    if key not in names:
        raise SettingError(f"No recipe field named {key!r}.{suggest(key, names)} Fields: {', '.join(names)}.")


def replace(recipe: R, values: Mapping[str, Any]) -> R:
    """The recipe with some fields changed; :class:`SettingError` for a key or value that it cannot have."""
    for key in values:
        known(type(recipe), key)
    return dataclasses.replace(recipe, **values)


def from_json(cls: type[R], values: Mapping[str, Any]) -> R:
    """The recipe that :func:`dataclasses.asdict` and JSON made `values` from."""
    for key in values:
        known(cls, key)
    fields: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
    return cls(**fields)


def at_least(name: str, value: int | None, least: int) -> None:
    """Raise :class:`SettingError` for an option that is given and too small."""
    if value is not None and value < least:
        raise SettingError(f"{name} = {value} is out of range: it must be at least {least}.")


def describe(cls: type[DataclassInstance], name: str) -> str:
    """The type and range of a field in words: ``"an integer of at least 1"``."""
    (field,) = (field for field in dataclasses.fields(cls) if field.name == name)
    limits = []
    for key, words in (("ge", "of at least"), ("le", "of at most"), ("gt", "above")):
        if field.metadata.get(key) is not None:
            limits.append(f"{words} {field.metadata[key]}")
    hint = types_of(cls)[name]
    many = get_origin(hint) is tuple
    one = " ".join([_words(get_args(hint)[0] if many else hint), " and ".join(limits)]).strip()
    return f"a list with commas, each {one}" if many else one


_NO = object()  # what a value that does not fit becomes
_WORDS = {int: "an integer", float: "a number", bool: "true or false", str: "text"}


def _words(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return "one of " + ", ".join(get_args(hint))
    return _WORDS.get(hint, str(hint))


def _from_text(text: str, hint: Any) -> Any:
    if get_origin(hint) is tuple:
        parts = [_from_text(part.strip(), get_args(hint)[0]) for part in text.split(",") if part.strip()]
        return _NO if any(part is _NO for part in parts) else tuple(parts)
    if get_origin(hint) is Literal or hint is str:
        return text if typed.fits(text, hint) else _NO
    if hint is bool:
        return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}.get(text.lower(), _NO)
    try:
        return hint(text)
    except ValueError:
        return _NO


def _in_range(value: Any, metadata: Mapping[str, Any]) -> bool:
    if isinstance(value, float) and not math.isfinite(value):
        return False
    ge, le, gt = (metadata.get(key) for key in ("ge", "le", "gt"))
    return not ((ge is not None and value < ge) or (le is not None and value > le) or (gt is not None and value <= gt))
