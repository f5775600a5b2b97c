"""Starts a logger of a training run, whose plugin is an entry point of ``zoo.loggers`` (:mod:`zoo.contract.logger`)."""

from __future__ import annotations

from zoo.contract import typed
from zoo.contract.logger import METHODS, Logger, LoggerFunction, RunInfo
from zoo.core.errors import PluginError, ZooError, one_line


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
