"""The errors that zoo raises for problems that users can fix. Any other exception is a bug.

ZooError                    one line: the fact, the value, the next step
├── NotFoundError           a model, recipe, release, run or file that does not exist
├── SettingError            a recipe field or an option with a bad name, type or value
├── DataError               a data set that is missing, damaged or of the wrong form
├── PluginError             a plugin that cannot be imported or breaks the contract
├── MissingPackageError     an optional package that is not installed
├── DeviceError             a requested device that is not available
├── ExistsError             an output that already exists
├── ReleaseError            a release that is damaged, altered or of a newer format
├── HubError                the Hub or a mirror that cannot be reached, or that refuses
├── ExportError             a task that does not export to ONNX
│   └── ParityError         torch and ONNX Runtime disagree
├── EvaluationError         a metric that cannot be computed
└── TrainingError           a run that cannot continue or be resumed
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


class ZooError(Exception):
    """Base of all errors that zoo raises on purpose. Its text is one line."""


class NotFoundError(ZooError):
    """A model, recipe, release, run or file does not exist."""


class SettingError(ZooError):
    """A recipe field or an option has a bad name, type or value."""


class DataError(ZooError):
    """A data set is missing, damaged or of the wrong form."""


class PluginError(ZooError):
    """A plugin cannot be imported or breaks the contract."""


class MissingPackageError(ZooError):
    """An optional package is not installed."""


class DeviceError(ZooError):
    """A requested device is not available."""


class ExistsError(ZooError):
    """An output already exists."""


class ReleaseError(ZooError):
    """A release is damaged, altered or of a newer format."""


class HubError(ZooError):
    """The Hub or a mirror cannot be reached, or refuses."""


class ExportError(ZooError):
    """A task does not export to ONNX."""


class ParityError(ExportError):
    """Torch and ONNX Runtime disagree on a task."""


class EvaluationError(ZooError):
    """A metric cannot be computed."""


class TrainingError(ZooError):
    """A run cannot continue or cannot be resumed."""


def one_line(error: BaseException) -> str:
    """Return the text of any exception as one line; the type is added unless it is a :class:`ZooError`."""
    text = " ".join(str(error).split())
    name = type(error).__name__
    return text if isinstance(error, ZooError) else f"{name}: {text}" if text else name


def suggest(word: str, choices: Iterable[str]) -> str:
    """Return ``" Did you mean 'vae'?"`` for the choice nearest to `word`, or ``""``."""
    from difflib import get_close_matches

    near = get_close_matches(word, list(choices), n=1, cutoff=0.5)
    return f" Did you mean {near[0]!r}?" if near else ""


def installed(package: str) -> bool:
    """Return whether a package can be found, without importing it."""
    from importlib.util import find_spec

    try:
        return find_spec(package) is not None
    except (ImportError, ValueError):
        return False


def unusable(error: ImportError, package: str, extra: str, purpose: str) -> MissingPackageError:
    """Return the error for a package whose import failed, because it is missing or broken."""
    if isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] == package:
        return missing(package, extra, purpose)
    return MissingPackageError(
        f"{purpose} needs {package}, which cannot be imported: {one_line(error)}. "
        f"Run: pip install --force-reinstall 'genzoo[{extra}]'"
    )


def missing(package: str, extra: str, purpose: str) -> MissingPackageError:
    """Return the error for an optional package that is not installed, with the command that installs it."""
    return MissingPackageError(f"{purpose} needs {package}, which is not installed. Run: pip install 'genzoo[{extra}]'")


def unreadable(path: str | Path, error: OSError) -> DataError:
    """Return the error for a file or folder that exists and cannot be read."""
    return DataError(f"{str(path)!r} could not be read: {error.strerror or error}. Check its permissions.")
