"""``zoo plugin new``: writes a distribution with one plugin that works, for its author to change.

The files come from plugin_templates/: a folder of each kind, and one that all kinds share. Their placeholders are those
of :class:`string.Template`.
"""

from __future__ import annotations

import keyword
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from string import Template

from zoo import registry
from zoo._version import __version__
from zoo.core import files
from zoo.core.errors import ExistsError, SettingError

TEMPLATES = Path(__file__).parent / "plugin_templates"
MODELS = ("vae", "gan", "autoregressive", "diffusion")
"""The templates of models."""

LONGEST = 30
"""The most characters of a name: longer ones make lines of the generated code too long."""

_NAME = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of plugin: its name in texts, its group of entry points, and what the plugin's file has."""

    noun: str
    group: str
    value: str
    """What the entry point names in the file."""
    template: str
    """The template of the file, by default."""
    next: tuple[str, ...]
    """The commands to run next, in the project folder."""


_INSTALL = "pip install -e '.[dev]'"

KINDS: Mapping[str, Kind] = {
    "model": Kind(
        noun="model",
        group=registry.MODELS,
        value="model",
        template="vae",
        next=(_INSTALL, "zoo registry build", "zoo train {name}.tiny", "pytest", "zoo doctor"),
    ),
    "dataset": Kind(
        noun="data set",
        group=registry.DATA,
        value="data",
        template="dataset",
        next=(_INSTALL, "zoo registry build", "zoo train vae.tiny --data {name}", "pytest", "zoo doctor"),
    ),
    "logger": Kind(
        noun="logger",
        group=registry.LOGGERS,
        value="Logger",
        template="logger",
        next=(_INSTALL, "zoo train vae.tiny --log {name}", "pytest", "zoo doctor"),
    ),
}


@dataclass(frozen=True, kw_only=True)
class NewPlugin:
    """A distribution that was written: its project folder, the files in it, and the commands to run next."""

    name: str
    kind: str
    distribution: str
    package: str
    folder: Path
    files: tuple[str, ...]
    next: tuple[str, ...]


def write(
    name: str, *, kind: str = "model", template: str | None = None, data: bool = False, folder: Path | None = None
) -> NewPlugin:
    """Write the distribution ``zoo-NAME`` with a plugin of that name into a new folder (default ``zoo-NAME``).

    `template` is one of :data:`MODELS`; with `data`, a model has a data set of its own. Raises :class:`SettingError`
    for a name that is not allowed or is taken, and :class:`ExistsError` for a folder that exists.
    """
    for option, given in (("--template", template), ("--data", data)):
        if given and kind != "model":
            raise SettingError(f"{option} is for models, and --kind is {kind}. Leave out {option}.")
    distribution, module = f"zoo-{name}", name.replace("-", "_")
    package, own_data = f"zoo_{module}", f"{name}-shapes"
    _check_name(name)
    _check_free(name, kind)
    if data:
        _check_free(own_data, "dataset")
    if find_spec(package) is not None:
        raise SettingError(f"A package {package!r} can be imported already. Choose another name, such as 'my-{name}'.")
    folder = folder or Path(distribution)
    if folder.exists() or folder.is_symlink():
        raise ExistsError(f"{folder} exists already and was kept. Choose another folder: zoo plugin new {name} -o DIR")

    points = {KINDS[kind].group: f'{name} = "{package}.{module}:{KINDS[kind].value}"'}
    if data:
        points[registry.DATA] = f'{own_data} = "{package}.data:{KINDS["dataset"].value}"'
    values = {
        "name": name,
        "title": name.replace("-", " ").replace("_", " ").capitalize(),
        "noun": KINDS[kind].noun,
        "distribution": distribution,
        "package": package,
        "module": module,
        "version": __version__,
        "year": str(date.today().year),
        "recipe": "shapes" if data else "digits",
        "data": own_data if data else "digits",
        "entry_points": "".join(f'[project.entry-points."{group}"]\n{point}\n\n' for group, point in points.items()),
        "check": "" if kind == "logger" else "      - run: zoo registry build --check\n",
    }
    content = {
        "pyproject.toml": _filled("shared/pyproject.toml", values),
        "LICENSE": _filled("shared/LICENSE", values),
        ".gitignore": _filled("shared/gitignore", values),
        ".github/workflows/test.yml": _filled("shared/test.yml", values),
        "README.md": _filled(f"{kind}/README.md", values),
        f"{package}/__init__.py": f'"""{values["title"]}: a {values["noun"]} for zoo."""\n',
        f"{package}/{module}.py": _filled(f"{kind}/{template or KINDS[kind].template}.py", values),
        f"tests/test_{module}.py": _filled(f"{kind}/test.py", values),
    }
    if data:
        of_data = {**values, "name": own_data, "module": "data"}
        content[f"{package}/data.py"] = _filled("dataset/dataset.py", of_data)
        content["tests/test_data.py"] = _filled("dataset/test.py", of_data)
    with files.new_folder(folder, force=False) as partial:
        for path, text in content.items():
            files.write(partial / path, text)
    return NewPlugin(
        name=name,
        kind=kind,
        distribution=distribution,
        package=package,
        folder=folder,
        files=tuple(sorted(content)),
        next=(f"cd {shlex.quote(str(folder))}", *(command.format(name=name) for command in KINDS[kind].next)),
    )


def _filled(source: str, values: Mapping[str, str]) -> str:
    return Template((TEMPLATES / f"{source}.tmpl").read_text("utf-8")).substitute(values)


def _check_name(name: str) -> None:
    """Raise :class:`SettingError` for a name that cannot be one of a module of Python, or is too long."""
    if not _NAME.fullmatch(name):
        near = "-".join(re.findall(r"[a-z0-9]+", name.lower())).lstrip("0123456789-")[:LONGEST].rstrip("-")
        also = f" Did you mean {near!r}?" if near else ""
        raise SettingError(
            f"The name {name!r} is not allowed. It is lower-case letters and digits, begins with a letter, and may "
            f"have '-' or '_' between them.{also}"
        )
    if len(name) > LONGEST:
        raise SettingError(f"The name {name!r} has {len(name)} characters. Choose one of at most {LONGEST}.")
    if keyword.iskeyword(name):
        raise SettingError(
            f"The name {name!r} is a keyword of Python, so its file could not be imported. "
            f"Choose another name, such as 'my-{name}'."
        )


def _check_free(name: str, kind: str) -> None:
    """Raise :class:`SettingError` for a name that an installed plugin of that kind has."""
    for claim in registry.plugins(KINDS[kind].group).get(name, ()):
        raise SettingError(
            f"The {KINDS[kind].noun} name {name!r} is taken by {claim.distribution} {claim.version}. "
            f"Choose another name, such as 'my-{name}'."
        )
