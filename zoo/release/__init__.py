"""The release format: manifests, hashes, checks of graphs and weights, and the folder that a SOURCE names."""

from zoo.release.folder import (
    CARD,
    MANIFEST,
    QUANTIZED,
    SIGNATURE,
    THRESHOLD,
    UNSEALED,
    USUAL,
    WEIGHTS,
    Release,
    ReleasedTask,
    strays,
    verify,
)
from zoo.release.manifest import FORMAT, GENERATE, parse, read, seal

__all__ = [
    "CARD",
    "FORMAT",
    "GENERATE",
    "MANIFEST",
    "QUANTIZED",
    "SIGNATURE",
    "THRESHOLD",
    "UNSEALED",
    "USUAL",
    "WEIGHTS",
    "Release",
    "ReleasedTask",
    "parse",
    "read",
    "seal",
    "strays",
    "verify",
]
