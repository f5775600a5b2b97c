"""The release format: manifests, hashes, checks of graphs and weights, and the folder that a SOURCE names."""

from zoo.release.folder import MANIFEST, QUANTIZED, SIGNATURE, THRESHOLD, USUAL, WEIGHTS, Release, ReleasedTask, verify
from zoo.release.manifest import FORMAT, GENERATE, parse, read, seal

__all__ = [
    "FORMAT",
    "GENERATE",
    "MANIFEST",
    "QUANTIZED",
    "SIGNATURE",
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
