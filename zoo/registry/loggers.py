"""The installed loggers of training runs: entry points of the group ``zoo.loggers`` (:mod:`zoo.contract.logger`)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from typing import Any

from zoo.contract import typed
from zoo.contract.logger import METHODS, Logger, LoggerFunction, RunInfo
from zoo.core.errors import NotFoundError, PluginError, ZooError, one_line, suggest
from zoo.registry.discovery import Plugin, conflict

GROUP = "zoo.loggers"


@cache
def installed() -> Mapping[str, tuple[Plugin, ...]]:
    """Return every installed logger by name, sorted; two of one name are a conflict."""
    from importlib.metadata import entry_points

    found: dict[str, list[Plugin]] = {}
    for point in entry_points(group=GROUP):
        assert point.dist is not None
        plugin = Plugin(point.name, point.value, point.dist.name or "(no name)", point.dist.version or "?")
        found.setdefault(point.name, []).append(plugin)
    return {name: tuple(found[name]) for name in sorted(found)}


def load(name: str) -> LoggerFunction:
    """Import a logger and return its function.

    Raises :class:`NotFoundError` if there is none of that name, :class:`MissingPackageError` if it needs a package that
    is not installed, and :class:`PluginError` if its import fails.
    """
    claims = installed().get(name, ())
    if not claims:
        raise NotFoundError(
            f"No logger named {name!r}.{suggest(name, installed())} There are: {', '.join(installed()) or 'none'}."
        )
    if len(claims) > 1:
        raise PluginError(f"The logger name {name!r} is {conflict(claims)}.")
    (plugin,) = claims
    module, _, attribute = plugin.value.partition(":")
    try:
        value: Any = import_module(module.strip())
        for part in attribute.strip().split("."):
            value = getattr(value, part)
    except ZooError:
        raise
    except (Exception, SystemExit) as error:
        raise PluginError(f"Logger {name!r} ({plugin.value}) cannot be imported: {one_line(error)}.") from error
    if not callable(value):
        raise PluginError(f"Logger {name!r} ({plugin.value}) is {typed.shown(value)}, and should be a function.")
    function: LoggerFunction = value
    return function


def start(name: str, function: LoggerFunction, run: RunInfo) -> Logger:
    """Start a logger for a run; raise :class:`PluginError` if that fails, or if it has not all methods."""
    try:
        logger = function(run)
    except ZooError:
        raise
    except (Exception, SystemExit) as error:
        raise PluginError(
            f"Logger {name!r} does not start: {one_line(error)[:300]}. Leave out --log {name}."
        ) from error
    lacking = [method for method in METHODS if not callable(getattr(logger, method, None))]
    if lacking:
        raise PluginError(
            f"Logger {name!r} returns {typed.shown(logger)}, which has no {' and no '.join(lacking)}. "
            f"It must have: {', '.join(METHODS)}."
        )
    return logger
