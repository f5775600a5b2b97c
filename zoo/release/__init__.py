"""The release format: manifests, hashes, checks of graphs and weights, and the folder that a SOURCE names."""

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
