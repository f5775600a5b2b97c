"""What users may ask of a generation: its options, and the names that they take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from zoo.contract.specs import Number, Spec

RESERVED = ("n", "seed", "first")
"""Arguments that every generation has."""

GRAPH = ("seed", "first", "count", "samples")
"""Inputs and outputs of the graph of every generation, and so names that those of its tasks must not have."""

TAKEN = (*RESERVED, "self", "source", "fit", "output", "force", "backend", "device", "help", "background")
"""Names that an input which users may set must not have: those of arguments, and of options of ``zoo generate``."""


@dataclass(frozen=True)
class Option:
    """Something that a user may ask of a generation, beside its seed."""

    name: str
    what: Literal["label", "given", "number", "integer", "text"]
    spec: Spec | None = None
    """The form of a label, a given input or a number."""
    default: Any = None
    """None for a given input, which is needed, and for a label, which depends on the sample."""
    help: str = ""
    each: bool = False
    """Whether it is an input of a task, of which every sample has its own."""
    least: int = 0
    """The smallest value of an integer."""
    most: int | None = None
    """The largest value of an integer, None for any."""


TOKENS = (
    Option("temperature", "number", Number(1.0, ge=0), 1.0, "sampling temperature; 0 always picks the likeliest token"),
    Option("top_k", "integer", None, 0, "sample from the K likeliest tokens; 0: all"),
    Option(
        "top_p", "number", Number(1.0, le=1), 1.0, "sample from the likeliest tokens of total probability P, above 0"
    ),
)
PROMPT = Option("prompt", "text", None, "", "the start of the text")
LENGTH = Option("length", "integer", None, None, "characters after the prompt", least=1)
STEPS = Option("steps", "integer", None, None, "sampling steps; fewer are faster", least=1)

USUAL = {
    "label": "models with labels",
    "prompt": "models that write text",
    "length": "models that write text",
    "temperature": "models that sample tokens",
    "top_k": "models that sample tokens",
    "top_p": "models that sample tokens",
    "steps": "models that turn noise into a sample step by step",
}
"""Options that many models have, and which ones."""
