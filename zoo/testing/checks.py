"""The checks that every model is held to, in order, and what becomes of one."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from zoo import registry
from zoo.core.errors import ZooError, one_line
from zoo.registry import faults
from zoo.testing import declared, released, trained
from zoo.testing.subject import Subject


@dataclass(frozen=True)
class Check:
    """Something that must hold for every model."""

    name: str
    function: Callable[[Subject], str]
    """Returns what was found. Raises :class:`ZooError` with what to change and where; ``""`` is not applicable."""

    @property
    def help(self) -> str:
        """What must hold, in a sentence."""
        return " ".join((self.function.__doc__ or "").split("\n\n")[0].split())


CHECKS = (
    Check("discovery", declared.discovery),
    Check("card", declared.card),
    Check("recipes", declared.recipes),
    Check("declarations", declared.declarations),
    Check("training", trained.training),
    Check("frozen", trained.frozen_parts),
    Check("resume", trained.resume),
    Check("weights", trained.weights),
    Check("graphs", released.graphs),
    Check("parity", released.parity),
    Check("generation", released.generation),
    Check("metrics", released.metrics),
    Check("quantisation", released.quantisation),
    Check("release", released.verified),
)


@dataclass(frozen=True)
class Result:
    """What became of a check."""

    check: str
    ok: bool | None
    """None where it has nothing to do for this model."""
    text: str
    """What was found; or what to change, and where."""
    seconds: float


def run(check: Check, subject: Subject) -> Result:
    """Run a check on a model. An exception of the plugin is a failure, with the plugin's file and line."""
    began = time.monotonic()
    ok: bool | None = True
    try:
        text = check.function(subject)
        ok = True if text else None
        text = text or "there is nothing to check in this model"
    except ZooError as error:
        ok, text = False, str(error)
    except (Exception, SystemExit) as error:
        plugin = registry.find(subject.name)
        where = faults.place(error, registry.package_root(plugin.value)) or plugin.value
        ok, text = False, f"Plugin {subject.name!r} ({where}): {one_line(error)}"
    return Result(check.name, ok, text, time.monotonic() - began)
