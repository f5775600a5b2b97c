"""A run folder: its contents, its start, and its checks when a run is resumed.

runs/vae.mnist/
  recipe.json       the model, recipe, data and plugin of the run
  metrics.jsonl     loss terms and metrics by step
  curves.png        the same as a plot
  evaluation.json   the metrics of ``zoo evaluate``, by step
  samples/          generated samples, by step
  checkpoints/      the newest two and the best
  release/          the release, once the run is complete
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo import registry
from zoo._version import __version__
from zoo.contract import settings
from zoo.contract.spec_json import sample_from_json, sample_to_json
from zoo.contract.specs import Sample
from zoo.core import files
from zoo.core.errors import ExistsError, NotFoundError, TrainingError, ZooError
from zoo.hub.resolve import RECIPE

if TYPE_CHECKING:
    from zoo.data import DataSplit
    from zoo.plugin import Model, Recipe

FORMAT = 3
METRICS = "metrics.jsonl"
CURVES = "curves.png"
LOCK = ".lock"
SAMPLES = "samples"


def check_free(folder: Path, force: bool) -> None:
    """Raise :class:`ExistsError` if a new run would overwrite existing files."""
    files.check_utf8(folder)
    files.check_outside_releases(folder)
    if not folder.exists():
        return
    if not folder.is_dir():
        raise ExistsError(f"{folder} is a file, and a run is a folder. Choose another --output.")
    if _is_untouched(folder):
        return
    if not (folder / RECIPE).is_file():
        raise ExistsError(f"{folder} already exists and is not a run; it was kept. Choose another --output.")
    if not force:
        raise ExistsError(
            f"{folder} already holds a run; it was kept. "
            "Continue it with --resume, replace it with --force, or choose another --output."
        )


def is_begun(folder: Path) -> bool:
    """Whether a folder holds a run that can be resumed; False if it is missing, or holds a start that was killed.

    Raises :class:`ExistsError` for a folder with other files.
    """
    if (folder / RECIPE).is_file():
        return True
    check_free(folder, force=False)
    return False


def _is_untouched(folder: Path) -> bool:
    """Whether a folder is empty, or holds only the files of a start that was killed before it wrote its recipe."""
    return all(
        path.name == LOCK
        or (path.name.startswith(f".{RECIPE}.") and path.suffix == ".partial")
        or (path.name == SAMPLES and path.is_dir() and not any(path.iterdir()))
        for path in folder.iterdir()
    )


@contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Lock a run folder for this process. Raises :class:`TrainingError` if another process trains there."""
    if sys.platform == "win32":  # no flock
        yield
        return
    import fcntl

    made = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = open(folder / LOCK, "a")  # noqa: SIM115 (held until the run ends)
    except OSError as error:
        raise ZooError(f"{folder} could not be made: {error.strerror or error}. Choose another --output.") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise TrainingError(f"{folder} is being trained by another process. Choose another --output.") from error
        if not os.path.exists(folder / LOCK) or os.stat(folder / LOCK).st_ino != os.fstat(file.fileno()).st_ino:
            raise TrainingError(f"{folder} was just released by another process. Try again.")
        try:
            yield
        finally:
            (folder / LOCK).unlink(missing_ok=True)
            with suppress(OSError):  # a run that could not start leaves no empty folders
                for place in made:
                    place.rmdir()


def clear(folder: Path) -> None:
    """Remove an older run, its recipe last: if this is interrupted, the folder is still a run and can be replaced."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Not the folder itself, which may be the working directory.
        for old in sorted(folder.iterdir(), key=lambda path: path.name == RECIPE):
            if old.name != LOCK:
                shutil.rmtree(old) if old.is_dir() and not old.is_symlink() else old.unlink()
    except OSError as error:
        raise ZooError(f"{folder} could not be cleared: {error.strerror or error}. Choose another --output.") from error


def start(
    folder: Path,
    name: str,
    recipe: Recipe,
    data: DataSplit,
    test: DataSplit,
    checkpoint_every: int,
    origin: Mapping[str, Any] | None = None,
    sample: Sample | None = None,
    further: Mapping[str, tuple[DataSplit, DataSplit]] | None = None,
    needs: Mapping[str, Any] | None = None,
) -> None:
    """Write ``recipe.json``, the description of a run.

    `origin` describes its starting weights, and `needs` the releases that its model is built with. `sample` is the form
    of its samples, where `further` data sets add fields to that of `data`.
    """
    plugin = registry.find(registry.split(name)[0])
    described = {
        "format": FORMAT,
        "name": name,
        "recipe": dataclasses.asdict(recipe),
        "sample": sample_to_json(sample or data.sample),
        "data": _data(data, test),
        **({"further": {field: _data(*splits) for field, splits in further.items()}} if further else {}),
        "plugin": {"distribution": plugin.distribution, "version": plugin.version},
        "from": origin,
        "needs": dict(needs or {}),
        "checkpoint_every": checkpoint_every,
        "zoo": __version__,
        "commit": _commit(),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / SAMPLES).mkdir(exist_ok=True)
    except OSError as error:
        raise ZooError(f"{folder} could not be made: {error.strerror or error}. Choose another --output.") from error
    files.write(folder / RECIPE, json.dumps(described, indent=2, ensure_ascii=False) + "\n")


def _data(data: DataSplit, test: DataSplit) -> dict[str, Any]:
    return {
        "name": data.name,
        "source": data.source,
        "licence": data.licence,
        "sha256": data.sha256,
        "test_sha256": test.sha256,
        "classes": list(data.classes),
    }


def described(folder: Path) -> dict[str, Any]:
    """Read ``recipe.json``. Raises :class:`NotFoundError` if it is missing, :class:`TrainingError` if it is damaged."""
    path = folder / RECIPE
    if not path.is_file():
        raise NotFoundError(f"{folder} is not a run folder: it has no {RECIPE}.")
    try:
        loaded = json.loads(path.read_text("utf-8"))
        if loaded["format"] > FORMAT:
            raise TrainingError(
                f"{path} was written by a newer zoo ({loaded['zoo']}). Run: pip install --upgrade genzoo"
            )
        if loaded["format"] < FORMAT:
            raise TrainingError(
                f"{path} was written by an older zoo ({loaded['zoo']}). Start the run again with --force."
            )
        for value, kind in (
            *((loaded[key], str) for key in ("name", "zoo", "commit")),
            *((loaded["data"][key], str) for key in ("name", "source", "licence", "sha256")),
            *((loaded["plugin"][key], str) for key in ("distribution", "version")),
            *((loaded[key], dict) for key in ("recipe", "sample")),
            (loaded.setdefault("needs", {}), dict),
            *((entry[key], str) for entry in loaded["needs"].values() for key in ("name", "sha256")),
        ):
            if not isinstance(value, kind):
                raise TypeError(f"{value!r} is not {kind.__name__}")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise TrainingError(f"{path} is damaged: {error}. Start the run again with --force.") from error
    return dict(loaded)


def model_of(folder: Path) -> tuple[dict[str, Any], Model, Recipe, Sample]:
    """The description, the model, the recipe and the sample form of a run."""
    about = described(folder)
    model_name, recipe_name = registry.split(about["name"])
    model = registry.load(model_name)
    base = model.recipes.get(recipe_name) or next(iter(model.recipes.values()))
    recipe = settings.from_json(type(base), about["recipe"])
    return about, model, recipe, sample_from_json(about["sample"], f"{folder / RECIPE}: sample")


def released(recipe: Recipe) -> str:
    """The checkpoint that a run releases by default: "best" with early stopping, else "last"."""
    return "best" if recipe.early_stop else "last"


def sweep(folder: Path) -> None:
    """Remove partial files that a killed process left."""
    for left in folder.glob(".*.partial"):
        with suppress(OSError):
            left.unlink()


def check_same(
    folder: Path,
    name: str,
    recipe: Recipe,
    data: DataSplit,
    test: DataSplit,
    further: Mapping[str, tuple[DataSplit, DataSplit]] | None = None,
) -> None:
    """Raise :class:`TrainingError` if a resumed run would differ from the run in the folder."""
    about = described(folder)
    if about["name"] != name:
        raise TrainingError(f"{folder} is a run of {about['name']}, not of {name}. Choose another --output.")
    begun = settings.flat(settings.from_json(type(recipe), about["recipe"]))  # a missing field has its default
    for key, value in settings.flat(recipe).items():
        if begun.get(key, value) != value:
            raise TrainingError(
                f"{folder} was started with {key} = {begun[key]!r}, and now {key} is {value!r}. "
                "Resume with the same settings, or start again with --force."
            )
    check_data(folder, about["data"], data, test, "Start again with --force.")
    for field, splits in (further or {}).items():
        check_data(folder, about.get("further", {}).get(field, {}), *splits, "Start again with --force.")


def check_needs(folder: Path, needs: Mapping[str, Any]) -> None:
    """Raise :class:`TrainingError` if a run was started with other releases than those its model needs now."""
    begun = described(folder).get("needs") or {}
    for key in sorted({*begun, *needs}):
        before, now = begun.get(key), needs.get(key)
        if before is None or now is None or before["sha256"] != now["sha256"]:
            first, second = (f"{one['name']} ({one['sha256'][:12]})" if one else "none" for one in (before, now))
            raise TrainingError(
                f"{folder} was started with the release {first} as {key!r}, and now it is {second}. "
                "Install the release that it was started with, or start again with --force."
            )


def check_data(folder: Path, about: Mapping[str, Any], data: DataSplit, test: DataSplit, what_to_do: str) -> None:
    """Raise :class:`TrainingError` if a split differs from that of the run, whose data set `about` describes."""
    for split, key in ((data, "sha256"), (test, "test_sha256")):
        if about.get(key, split.sha256) != split.sha256:
            raise TrainingError(
                f"{folder} was {'trained' if split is data else 'evaluated'} on other data: the {split.split} split of "
                f"{split.name} has changed since, or is now read in another way (ZOO_MEMORY sets its memory limit). "
                f"{what_to_do}"
            )


def metrics(folder: Path, step: int) -> str:
    """The lines of ``metrics.jsonl`` up to a step; "" if there is no such file."""
    path = folder / METRICS
    lines: list[str] = []
    for line in path.read_text("utf-8").splitlines() if path.is_file() else ():
        try:
            if json.loads(line)["step"] > step:
                break
        except (ValueError, KeyError, TypeError):
            break  # truncated when the process was killed
        lines.append(line + "\n")
    return "".join(lines)


def cut_metrics(folder: Path, step: int) -> None:
    """Truncate ``metrics.jsonl`` after a step; a resumed run writes the later lines again."""
    if (folder / METRICS).is_file():
        files.write(folder / METRICS, metrics(folder, step))


def append_metrics(folder: Path, line: Mapping[str, Any]) -> None:
    """Append a line to ``metrics.jsonl``."""
    try:
        with open(folder / METRICS, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
    except OSError as error:
        raise TrainingError(
            f"{folder / METRICS} could not be written: {error.strerror or error}. Existing checkpoints are kept: "
            "free some space, and continue with --resume."
        ) from error


def _commit() -> str:
    """The commit of the source tree from which zoo runs, or ""."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return ""
    try:
        command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
