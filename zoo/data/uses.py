"""The data sets that a recipe names: their options are checked, changed and completed here."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from zoo import registry
from zoo.contract import settings, typed
from zoo.contract import use as contract
from zoo.contract.data import DataSet, Options
from zoo.contract.recipe import Recipe
from zoo.contract.use import Use
from zoo.core import files
from zoo.core.errors import DataError, SettingError, ZooError, suggest

R = TypeVar("R", bound=Recipe)


def data_set(name: str) -> DataSet:
    """Import the plugin of a data set and return its value. Raises :class:`DataError` for an unknown name."""
    kind, colon, place = name.partition(":")
    if kind not in registry.plugins(registry.DATA):
        raise DataError(unknown(name))
    known: DataSet = registry.load_value(kind, registry.DATA)
    if known.place and not place:
        what = "folder" if known.place == "DIR" else "file"
        raise DataError(f"{name!r} names no {what}. Write {kind}:{known.place} ({known.card.title}).")
    if colon and not known.place:
        raise DataError(unknown(name))
    return known


def options_of(use: Use, field: str = "") -> Options:
    """Return the options of a data set. Raises :class:`SettingError` for one that it does not have or cannot have.

    `field` is the field of a recipe that names the data set: an error calls its options ``data.size``.
    """
    cls = data_set(use.name).options
    names = [field.name for field in dataclasses.fields(cls)]
    for key in use.options:
        if key not in names:
            has = f"It has: {', '.join(names)}" if names else "It has none"
            raise SettingError(f"The data set {use.kind!r} has no option {key!r}.{suggest(key, names)} {has}.")
    try:
        with registry.calling(use.kind, f"the class {cls.__name__}", cls, group=registry.DATA):
            return cls(**use.options)
    except SettingError as error:
        raise _wrong(use, field, names, error) from error


def _wrong(use: Use, field: str, names: Iterable[str], error: SettingError) -> SettingError:
    """Return the error for an option of one of the `names` that the data set cannot have."""
    said = str(error)
    key = f"{field}." if field and said.partition(" ")[0] in names else ""
    return SettingError(f"The data set {use.kind!r}: {key}{said}")


def completed(use: Use, field: str = "") -> Use:
    """Return a data set with all of its options, and the path of the user's own data absolute."""
    return Use(absolute(use.name), dataclasses.asdict(options_of(use, field)))


def replaced(use: Use, name: str) -> Use:
    """Return another data set in place of one: options that both have, with a value that fits, are kept."""
    cls = data_set(name).options
    hints = settings.types_of(cls)
    kept = {key: value for key, value in use.options.items() if key in hints and typed.fits(value, hints[key])}
    return Use(name, kept)


def changed(name: str, recipe: R, changes: Mapping[str, Any]) -> R:
    """Return a recipe of the model `name` with changed fields, and with all options of each of its data sets.

    A change is of a field, or of an option, as in ``{"lr": 1e-3, "data": "mnist", "data.size": 32}``. Another data set
    keeps those options of the recipe's that it has, too. Raises :class:`SettingError` for a key or a value that cannot
    be, :class:`DataError` for an unknown data set, and :class:`PluginError` where the recipe itself names it.
    """
    fields = {key: value for key, value in changes.items() if "." not in key}
    dotted = {key: value for key, value in changes.items() if "." in key}
    every = settings.uses_of(type(recipe))
    for key in changes:
        if key.partition(".")[0] not in every:
            check_key(recipe, key)
    for field in every:
        base: Use = getattr(recipe, field)
        given = fields.get(field, base)
        options = {key.partition(".")[2]: value for key, value in dotted.items() if key.partition(".")[0] == field}
        if given is base and not options:
            fields[field] = declared(name, recipe, field)
            continue
        if isinstance(given, str):
            given = Use(given)
        elif isinstance(given, Mapping):
            given = contract.from_json(given)
        elif not isinstance(given, Use):
            raise SettingError(
                f"{field} = {typed.shown(given)} is not a data set. Write its name, or zoo.use(NAME, …)."
            )
        if given is not base:
            given = Use(given.name, {**replaced(base, given.name).options, **given.options})
        fields[field] = completed(Use(given.name, {**given.options, **options}), field)
    return settings.replace(recipe, fields)


def declared(name: str, recipe: Recipe, field: str) -> Use:
    """Return a data set that a recipe names, complete; a mistake in it is one of the model's plugin."""
    try:
        return completed(getattr(recipe, field))
    except (DataError, SettingError) as error:
        model = registry.split(name)[0]
        raise registry.fault(
            model, f"{name} has {field} = {getattr(recipe, field).name!r}: {error}", type(recipe)
        ) from error


def parse(recipe: Recipe, assignments: Iterable[str], data: str | None = None) -> dict[str, Any]:
    """``["lr=1e-3", "data.size=32"]`` as the changes of :func:`changed`; `data` is the data set that is used instead.

    Raises :class:`SettingError` for an unknown key (it suggests the nearest) or text that is not of the type.
    """
    cls, plain, dotted = type(recipe), [], []
    for assignment in assignments:
        key, equals, _ = assignment.partition("=")
        if equals and "." in key:
            dotted.append(assignment)
        else:
            if equals:
                check_key(recipe, key)
            plain.append(assignment)
    values = settings.parse(cls, plain)
    if data is not None:
        values["data"] = Use(data)
    changes = dict(values)
    for assignment in dotted:
        key, _, text = assignment.partition("=")
        field, _, option = key.partition(".")
        check_key(recipe, key)
        use: Use = values.get(field, getattr(recipe, field))
        options_of(Use(use.name, {}))
        known = data_set(use.name).options
        if option not in settings.types_of(known):
            options_of(Use(use.name, {option: text}))  # which raises
        try:
            changes[key] = settings.parse(known, [f"{option}={text}"])[option]
        except SettingError as error:
            raise _wrong(use, field, [option], error) from error
    return changes


def check_key(recipe: Recipe, key: str) -> None:
    """Raise :class:`SettingError` unless a key is a field, or begins with one that names a data set."""
    head, dot, _ = key.partition(".")
    every = settings.uses_of(type(recipe))
    if dot and head in every:
        return
    if not dot and key not in settings.types_of(type(recipe)):
        for field in every:
            try:
                options = settings.types_of(data_set(getattr(recipe, field).name).options)
            except ZooError:
                continue
            if key in options:
                raise SettingError(f"No recipe field named {key!r}: it is an option of the data. Set {field}.{key}.")
    settings.known(type(recipe), head if dot and head not in settings.types_of(type(recipe)) else key)


def absolute(name: str) -> str:
    """Return the name with the path of the user's own data made absolute. Other names stay the same."""
    kind, _, place = name.partition(":")
    return f"{kind}:{os.path.abspath(files.expand(place))}" if place else name


def unknown(name: str) -> str:
    """Return the message for an unknown data set."""
    kind = name.partition(":")[0]
    rows = registry.data_rows()
    if os.path.isdir(name):
        near = f" Did you mean {f'folder:{name}'!r}?"
    elif os.path.isfile(name):
        own = "array" if name.lower().endswith((".npy", ".csv", ".parquet")) else "text"
        near = f" Did you mean {f'{own}:{name}'!r}?"
    else:
        near = suggest(kind, [row.name for row in rows])
    return f"No data set named {name!r}.{near} Known are {', '.join(row.form for row in rows)}."
