"""What models, recipes, tasks, inputs and outputs may be called. Plugins and manifests keep to the same rules."""

from __future__ import annotations

import keyword
import re

MODEL = re.compile(r"[A-Za-z0-9_-]+")
RECIPE = re.compile(r"[A-Za-z0-9_.-]+")
BOTH = re.compile(rf"{MODEL.pattern}\.{RECIPE.pattern}")
"""``model.recipe``: a part of file names and of addresses."""

TAKEN = (
    "backend", "close", "generate", "inpaint", "interpolate", "name", "providers", "release", "run", "save", "tasks",
    "threshold", "traverse",
)  # fmt: skip
"""What zoo.runtime.LoadedModel has beside the tasks, which are its methods."""

_TASK = re.compile(r"[a-z][a-z0-9_]*")


def task_problem(name: object) -> str:
    """Why a task cannot have this name, as the end of a sentence that begins with it; "" where it can."""
    if not isinstance(name, str) or not _TASK.fullmatch(name):
        return "has a name that is not allowed: it must be lower-case letters, digits and '_', and begin with a letter"
    if keyword.iskeyword(name):
        return "has a name that is not allowed: it is a keyword of Python, and a task is a method of the loaded model"
    if name in TAKEN:
        return (
            "has a name that is not allowed: a task is a method of the loaded model, which has one of that name. "
            f"Taken are {', '.join(TAKEN)}"
        )
    return ""


def argument_problem(name: str) -> str:
    """Why an input or an output cannot have this name, as for :func:`task_problem`."""
    if not name.isidentifier() or keyword.iskeyword(name):
        return "has a name that is not allowed: it must be one that a variable of Python can have"
    return ""
