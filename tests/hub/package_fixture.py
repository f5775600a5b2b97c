"""The fixture that installs the package of a distribution with released weights; see ``packaged.py``."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from double import Double
from packaged import NAMES, renamed
from publishing import TOKEN, changed, released

from conftest import plugged


@pytest.fixture
def package(hub: Double, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The package of a distribution with two released weight sets, whose owner may write to acme."""
    hub.user("ana", token=TOKEN, orgs=("acme",))
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    folder = tmp_path / "site"
    package = folder / "zoo_shop"
    (package / "releases").mkdir(parents=True)
    (package / "__init__.py").write_text("from zoo_autoencoders.vae import vae as model\n")
    for name in NAMES:
        changed(released(), package / "releases" / name, lambda manifest, _, name=name: renamed(manifest, name))
    importlib.invalidate_caches()
    with plugged(folder, shopvae="zoo_shop:model"):
        yield package
    sys.modules.pop("zoo_shop", None)
