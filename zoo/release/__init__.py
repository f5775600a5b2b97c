"""The release format: the manifest, hashes, which graphs and weights may be opened, and what a SOURCE stands for."""

from zoo.release.manifest import (
    FORMAT,
    GENERATE,
    MANIFEST,
    QUANTIZED,
    THRESHOLD,
    USUAL,
    WEIGHTS,
    Release,
    ReleasedTask,
    parse,
    read,
    seal,
    verify,
)

__all__ = [
    "FORMAT",
    "GENERATE",
    "MANIFEST",
    "QUANTIZED",
    "THRESHOLD",
    "USUAL",
    "WEIGHTS",
    "Release",
    "ReleasedTask",
    "parse",
    "read",
    "seal",
    "verify",
]
