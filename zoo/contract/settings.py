"""Typed settings, of a recipe or of a data set: checks types and ranges, and parses ``KEY=VALUE``."""

from __future__ import annotations

import dataclasses
import inspect
import math
from collections.abc import Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args, get_origin

from zoo.contract import typed
from zoo.contract import use as uses
from zoo.contract.typed import Checked
from zoo.contract.use import Use
from zoo.core.errors import PluginError, SettingError, suggest

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

R = TypeVar("R", bound="DataclassInstance")


def setting(
    default: Any,
    help: str,
    *,
    ge: float | None = None,
    le: float | None = None,
    gt: float | None = None,
) -> Any:
    """Declare a setting with its default, its help line and its range: ≥ `ge`, ≤ `le` and > `gt`."""
    metadata = {"help": help, "ge": ge, "le": le, "gt": gt}
    return dataclasses.field(default=default, metadata=metadata)


class Settings(Checked):
    """Base of recipes and of the options of data sets: a :class:`SettingError` for a bad type or range."""

    what = "setting"
    """The word for one field, in errors."""

    def __post_init__(self) -> None:
        check(self)  # type: ignore[arg-type]  # each subclass is a dataclass


def check(recipe: DataclassInstance) -> None:
    """Raise :class:`SettingError` unless every field has its declared type and range."""
    hints = types_of(type(recipe))
    for field in dataclasses.fields(recipe):
        value = getattr(recipe, field.name)
        try:
            fitted = typed.fit(value, hints[field.name])
        except typed.Misfit:
            write = f" Write zoo.use({value!r})." if hints[field.name] is Use and isinstance(value, str) else ""
            raise SettingError(
                f"{field.name} = {typed.shown(value)} is not {describe(type(recipe), field.name)}.{write}"
            ) from None
        object.__setattr__(recipe, field.name, fitted)
        for item in fitted if isinstance(fitted, tuple) else (fitted,):
            if not _in_range(item, field.metadata):
                must = describe(type(recipe), field.name)
                raise SettingError(f"{field.name} = {typed.shown(value)} is out of range: it must be {must}.")


def types_of(cls: type) -> Mapping[str, Any]:
    """The annotated type of every field of a class of settings.

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
                f"{cls.__name__}: the field {field.name!r} is of the type {typed.describe(hint)}, and {_article(cls)} "
                "is an int, float, bool, str, a tuple of one of these, a Literal of strings, or a zoo.Use."
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
    """Raise :class:`SettingError` unless `key` is a field of a class of settings."""
    names = [field.name for field in dataclasses.fields(cls)]
    if key not in names:
        raise SettingError(f"No {_what(cls)} named {key!r}.{suggest(key, names)} There are: {', '.join(names)}.")


def replace(recipe: R, values: Mapping[str, Any]) -> R:
    """The recipe with some fields changed; :class:`SettingError` for a key or value that it cannot have."""
    for key in values:
        known(type(recipe), key)
    return dataclasses.replace(recipe, **values)


def from_json(cls: type[R], values: Mapping[str, Any]) -> R:
    """The recipe that :func:`dataclasses.asdict` and JSON made `values` from."""
    fields: dict[str, Any] = {}
    for key, value in values.items():
        known(cls, key)
        if types_of(cls)[key] is Use:
            fields[key] = uses.from_json(value)
        else:
            fields[key] = tuple(value) if isinstance(value, list) else value
    return cls(**fields)


def flat(recipe: DataclassInstance) -> dict[str, Any]:
    """The fields of a recipe by name, a data set as a name and options: ``{"data": "mnist", "data.size": 32}``."""
    values: dict[str, Any] = {}
    for field in dataclasses.fields(recipe):
        value = getattr(recipe, field.name)
        if isinstance(value, Use):
            values |= {field.name: value.name, **{f"{field.name}.{key}": item for key, item in value.options.items()}}
        else:
            values[field.name] = value
    return values


def uses_of(cls: type[DataclassInstance]) -> tuple[str, ...]:
    """The fields that name data sets: ``data``, and those of a model that learns from several."""
    return tuple(name for name, hint in types_of(cls).items() if hint is Use)


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
_WORDS = {int: "an integer", float: "a number", bool: "true or false", str: "text", Use: "a data set"}


def _what(cls: type) -> str:
    return str(getattr(cls, "what", "field"))


def _article(cls: type) -> str:
    return f"{'an' if _what(cls)[0] in 'aeiou' else 'a'} {_what(cls)}"


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
    if hint is Use:
        return Use(text)
    try:
        return hint(text)
    except ValueError:
        return _NO


def _in_range(value: Any, metadata: Mapping[str, Any]) -> bool:
    if isinstance(value, float) and not math.isfinite(value):
        return False
    ge, le, gt = (metadata.get(key) for key in ("ge", "le", "gt"))
    return not ((ge is not None and value < ge) or (le is not None and value > le) or (gt is not None and value <= gt))
