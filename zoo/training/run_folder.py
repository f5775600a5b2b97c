"""A run folder: what it holds, how it starts, and how it is found again.

runs/vae.mnist/
  recipe.json       what is trained, from which data, by which plugin
  metrics.jsonl     loss terms and measures by step
  curves.png        the same as an image
  measures.json     what was measured of it, by step
  samples/          what the model generates, by step
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
from zoo.contract.specs import Sample, spec_from_json, to_json
from zoo.core import files
from zoo.core.errors import ExistsError, NotFoundError, TrainingError, ZooError
from zoo.release.resolve import RECIPE

if TYPE_CHECKING:
    from zoo.data import DataSet
    from zoo.plugin import Model, Recipe

FORMAT = 1
METRICS = "metrics.jsonl"
CURVES = "curves.png"
LOCK = ".lock"
SAMPLES = "samples"


def check_free(folder: Path, force: bool) -> None:
    """Raise :class:`ExistsError` where a new run would write over something that is not to be lost."""
    files.check_utf8(folder)
    files.check_outside_releases(folder)
    if not folder.exists():
        return
    if not folder.is_dir():
        raise ExistsError(f"{folder} is a file, and a run is a folder. Choose another --output.")
    if _is_untouched(folder):
        return
    if not (folder / RECIPE).is_file():
        raise ExistsError(f"{folder} exists already, is no run, and was kept. Choose another --output.")
    if not force:
        raise ExistsError(
            f"{folder} holds a run already, and it was kept. "
            "Go on with --resume, replace it with --force, or choose another --output."
        )


def is_begun(folder: Path) -> bool:
    """Whether a folder holds a run to go on with; not where nothing is there, or a start that was killed at once.

    Raises :class:`ExistsError` for a folder of other things.
    """
    if (folder / RECIPE).is_file():
        return True
    check_free(folder, force=False)
    return False


def _is_untouched(folder: Path) -> bool:
    """Whether a folder holds nothing, but for what a start that was killed leaves before it has written its recipe."""
    return all(
        path.name == LOCK
        or (path.name.startswith(f".{RECIPE}.") and path.suffix == ".partial")
        or (path.name == SAMPLES and path.is_dir() and not any(path.iterdir()))
        for path in folder.iterdir()
    )


@contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Hold a run folder for this process. Raises :class:`TrainingError` where another one trains there."""
    if sys.platform == "win32":  # it has no flock
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
            raise TrainingError(f"{folder} was just left by another process. Try again.")
        try:
            yield
        finally:
            (folder / LOCK).unlink(missing_ok=True)
            with suppress(OSError):  # a run that could not start leaves no empty folders
                for place in made:
                    place.rmdir()


def clear(folder: Path) -> None:
    """Remove an older run, its recipe last: until then whoever is killed leaves a run, which can be replaced again."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Not the folder itself, which may be the one we are in.
        for old in sorted(folder.iterdir(), key=lambda path: path.name == RECIPE):
            if old.name != LOCK:
                shutil.rmtree(old) if old.is_dir() and not old.is_symlink() else old.unlink()
    except OSError as error:
        raise ZooError(f"{folder} could not be cleared: {error.strerror or error}. Choose another --output.") from error


def start(
    folder: Path,
    name: str,
    recipe: Recipe,
    data: DataSet,
    test: DataSet,
    checkpoint_every: int,
    origin: Mapping[str, Any] | None = None,
) -> None:
    """Write what a run is; `origin` says which weights it starts from."""
    plugin = registry.find(registry.split(name)[0])
    described = {
        "format": FORMAT,
        "name": name,
        "recipe": dataclasses.asdict(recipe),
        "sample": {"x": to_json(data.sample.x), "classes": data.sample.classes},
        "data": {
            "name": data.name,
            "source": data.source,
            "licence": data.licence,
            "sha256": data.sha256,
            "test_sha256": test.sha256,
            "classes": list(data.classes),
        },
        "plugin": {"distribution": plugin.distribution, "version": plugin.version},
        "from": origin,
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


def described(folder: Path) -> dict[str, Any]:
    """What ``recipe.json`` says. Raises :class:`NotFoundError` for no run, :class:`TrainingError` for a damaged one."""
    path = folder / RECIPE
    if not path.is_file():
        raise NotFoundError(f"{folder} is no run folder: it has no {RECIPE}.")
    try:
        loaded = json.loads(path.read_text("utf-8"))
        if loaded["format"] > FORMAT:
            raise TrainingError(
                f"{path} was written by a newer zoo ({loaded['zoo']}). Run: pip install --upgrade genzoo"
            )
        for value, kind in (
            *((loaded[key], str) for key in ("name", "zoo", "commit")),
            *((loaded["data"][key], str) for key in ("name", "source", "licence", "sha256")),
            *((loaded["plugin"][key], str) for key in ("distribution", "version")),
            *((loaded[key], dict) for key in ("recipe", "sample")),
            (loaded["sample"]["x"], dict),
            (loaded["sample"]["classes"], int),
        ):
            if not isinstance(value, kind):
                raise TypeError(f"{value!r} is not {kind.__name__}")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise TrainingError(f"{path} is damaged: {error}. Start the run again with --force.") from error
    return dict(loaded)


def model_of(folder: Path) -> tuple[dict[str, Any], Model, Recipe, Sample]:
    """What a run trains: its description, the model, the recipe and the form of its samples."""
    about = described(folder)
    model_name, recipe_name = registry.split(about["name"])
    model = registry.load(model_name)
    base = model.recipes.get(recipe_name) or next(iter(model.recipes.values()))
    recipe = settings.from_json(type(base), about["recipe"])
    x = spec_from_json(about["sample"]["x"], f"{folder / RECIPE}: sample")
    return about, model, recipe, Sample(x, about["sample"]["classes"])  # type: ignore[arg-type]


def released(recipe: Recipe) -> str:
    """The checkpoint that a run releases unless told otherwise: the best of one that may stop early, else the last."""
    return "best" if recipe.early_stop else "last"


def sweep(folder: Path) -> None:
    """Remove files that a killed process left half written."""
    for left in folder.glob(".*.partial"):
        with suppress(OSError):
            left.unlink()


def check_same(folder: Path, name: str, recipe: Recipe, data: DataSet, test: DataSet) -> None:
    """Raise :class:`TrainingError` where a resumed run would differ from the one in the folder."""
    about = described(folder)
    if about["name"] != name:
        raise TrainingError(f"{folder} is a run of {about['name']}, not of {name}. Choose another --output.")
    begun = settings.from_json(type(recipe), about["recipe"])  # of an older zoo: what it lacks has its default
    for field in dataclasses.fields(recipe):
        key, value = field.name, getattr(recipe, field.name)
        if getattr(begun, key) != value:
            raise TrainingError(
                f"{folder} was started with {key} = {getattr(begun, key)!r}, and now {key} is {value!r}. "
                "Resume with the same settings, or start anew with --force."
            )
    check_data(folder, about, data, test, "Start anew with --force.")


def check_data(folder: Path, about: Mapping[str, Any], data: DataSet, test: DataSet, what_to_do: str) -> None:
    """Raise :class:`TrainingError` where a split is not what it was for the run, which `about` describes."""
    for split, key in ((data, "sha256"), (test, "test_sha256")):
        if about["data"].get(key, split.sha256) != split.sha256:
            raise TrainingError(
                f"{folder} was {'trained' if split is data else 'measured'} on other data: the {split.split} split of "
                f"{split.name} has changed since, or is now read in another way (ZOO_MEMORY says how much memory it "
                f"may take). {what_to_do}"
            )


def metrics(folder: Path, step: int) -> str:
    """The lines of ``metrics.jsonl`` up to a step; nothing where there is no such file."""
    path = folder / METRICS
    kept: list[str] = []
    for line in path.read_text("utf-8").splitlines() if path.is_file() else ():
        try:
            if json.loads(line)["step"] > step:
                break
        except (ValueError, KeyError, TypeError):
            break  # cut short by a kill
        kept.append(line + "\n")
    return "".join(kept)


def cut_metrics(folder: Path, step: int) -> None:
    """Keep the lines of ``metrics.jsonl`` up to a step; the rest will be written again."""
    if (folder / METRICS).is_file():
        files.write(folder / METRICS, metrics(folder, step))


def append_metrics(folder: Path, line: Mapping[str, Any]) -> None:
    """Add a line to ``metrics.jsonl``."""
    try:
        with open(folder / METRICS, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
    except OSError as error:
        raise TrainingError(
            f"{folder / METRICS} could not be written: {error.strerror or error}. Checkpoints that are there are kept: "
            "free some space, and go on with --resume."
        ) from error


def _commit() -> str:
    """The commit of the source tree that zoo runs from, or ""."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return ""
    try:
        command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
