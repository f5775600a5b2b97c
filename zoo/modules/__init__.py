"""The torch modules of plugins: built from a recipe or a release, run as a backend, and traced."""

from zoo.modules.needs import NEEDED
from zoo.modules.torch_module import build, derive_seed, load_module, of_release, recorded, remove_parametrizations

__all__ = ["NEEDED", "build", "derive_seed", "load_module", "of_release", "recorded", "remove_parametrizations"]
