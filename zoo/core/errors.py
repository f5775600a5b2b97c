"""The errors that zoo raises for what a person can mend; anything else is a bug.

ZooError                    one line: the fact, the value, the next step
├── NotFoundError           a model, recipe, release, run or file that is not there
├── SettingError            a recipe field or an option with a bad name, type or value
├── DataError               a data set that is missing, damaged or of the wrong form
├── PluginError             a plugin that cannot be imported or breaks the contract
├── MissingPackageError     an optional package that is not installed
├── DeviceError             a device that was asked for and is not there
├── ExistsError             an output that is there already
├── ReleaseError            a release that is damaged, altered or of a newer format
├── ExportError             a task that does not export to ONNX
│   └── ParityError         torch and ONNX Runtime disagree
├── EvaluationError         a measure that cannot be taken
└── TrainingError           a run that cannot go on or be resumed
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


class ZooError(Exception):
    """Base of all errors that zoo raises on purpose. Its text is one line."""


class NotFoundError(ZooError):
    """A model, recipe, release, run or file is not there."""


class SettingError(ZooError):
    """A recipe field or an option has a bad name, type or value."""


class DataError(ZooError):
    """A data set is missing, damaged or of the wrong form."""


class PluginError(ZooError):
    """A plugin cannot be imported or breaks the contract."""


class MissingPackageError(ZooError):
    """An optional package is not installed."""


class DeviceError(ZooError):
    """A device was asked for and is not there."""


class ExistsError(ZooError):
    """An output is there already."""


class ReleaseError(ZooError):
    """A release is damaged, altered or of a newer format."""


class ExportError(ZooError):
    """A task does not export to ONNX."""


class ParityError(ExportError):
    """Torch and ONNX Runtime disagree on a task."""


class EvaluationError(ZooError):
    """A measure cannot be taken."""


class TrainingError(ZooError):
    """A run cannot go on or cannot be resumed."""


def one_line(error: BaseException) -> str:
    """The text of any exception as one line, with its type where that says more than the text."""
    text = " ".join(str(error).split())
    name = type(error).__name__
    return text if isinstance(error, ZooError) else f"{name}: {text}" if text else name


def suggest(word: str, choices: Iterable[str]) -> str:
    """``" Did you mean 'vae'?"`` for the choice nearest to `word`, or ``""``."""
    from difflib import get_close_matches

    near = get_close_matches(word, list(choices), n=1, cutoff=0.5)
    return f" Did you mean {near[0]!r}?" if near else ""


def installed(package: str) -> bool:
    """Whether a package can be imported; it is not imported here."""
    from importlib.util import find_spec

    try:
        return find_spec(package) is not None
    except (ImportError, ValueError):
        return False


def unusable(error: ImportError, package: str, extra: str, purpose: str) -> MissingPackageError:
    """The error for a package whose import failed: because it is not there, or because it is broken."""
    if isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] == package:
        return missing(package, extra, purpose)
    return MissingPackageError(
        f"{purpose} needs {package}, which cannot be imported: {one_line(error)}. "
        f"Run: pip install --force-reinstall 'genzoo[{extra}]'"
    )


def missing(package: str, extra: str, purpose: str) -> MissingPackageError:
    """The error for an optional package that is not there, with the line that installs it."""
    return MissingPackageError(f"{purpose} needs {package}, which is not installed. Run: pip install 'genzoo[{extra}]'")


def unreadable(path: str | Path, error: OSError) -> DataError:
    """The error for a file or folder that is there and cannot be read."""
    return DataError(f"{str(path)!r} could not be read: {error.strerror or error}. Check its permissions.")
