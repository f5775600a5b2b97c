"""Plugins' torch modules: built from a recipe or a release, run as a backend, traced."""

from zoo.modules.torch_module import build, fold, load_module, mix, of_release

__all__ = ["build", "fold", "load_module", "mix", "of_release"]
