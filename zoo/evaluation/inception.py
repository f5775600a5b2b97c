"""Inception v3 features (Szegedy et al. 2016) of torch-fidelity, if it and its weights are installed.

Nothing is downloaded: the user provides the file of weights, and zoo checks its SHA-256 before loading it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.core.errors import EvaluationError, one_line
from zoo.evaluation.evaluated_model import DoesNotApply

WEIGHTS = "weights-inception-2015-12-05-6726825d.pth"
ADDRESS = f"https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/{WEIGHTS}"
SHA256 = "6726825d"
"""The first digits of its SHA-256, as in its name."""

LAYER = "2048"
CHUNK = 32

REFERENCE = 10_000
"""The maximum number of training images that generated ones are compared with."""

Array = NDArray[Any]


def extractor() -> tuple[Callable[[Array], Array], str]:
    """The function from uint8 images, (n, h, w) or (n, h, w, 3), to features, float64 (n, 2048), and its description.

    Raises :class:`DoesNotApply`, with the next step, if torch-fidelity or its weights are missing.
    """
    import torch

    try:
        from torch_fidelity import FeatureExtractorInceptionV3
    except ModuleNotFoundError as error:
        package = {"torch_fidelity": "torch-fidelity"}.get(error.name or "", error.name)
        raise DoesNotApply(f"{package} is not installed. Run: pip install torch-fidelity") from error
    except (ImportError, RuntimeError) as error:  # a torchvision that does not fit torch raises RuntimeError
        raise DoesNotApply(f"torch-fidelity cannot be imported: {one_line(error)}") from error
    path = Path(torch.hub.get_dir()) / "checkpoints" / WEIGHTS
    if not path.is_file():
        raise DoesNotApply(f"the weights of Inception are missing. Download {ADDRESS} into {path.parent}")
    if not hashlib.sha256(path.read_bytes()).hexdigest().startswith(SHA256):  # torch-fidelity unpickles it
        raise EvaluationError(
            f"{path} is damaged or altered: its SHA-256 does not begin with {SHA256}. Download it again."
        )
    network = FeatureExtractorInceptionV3("inception-v3-compat", [LAYER], feature_extractor_weights_path=str(path))

    def extract(images: Array) -> Array:
        parts = []
        for start in range(0, len(images), CHUNK):
            part = images[start : start + CHUNK]
            colour = np.repeat(part[:, None], 3, 1) if part.ndim == 3 else part.transpose(0, 3, 1, 2)
            with torch.inference_mode():
                parts.append(network(torch.from_numpy(np.ascontiguousarray(colour)))[0].double().numpy())
        return np.concatenate(parts)

    return extract, f"Inception v3 of torch-fidelity, layer {LAYER}, grey images as three equal channels"
