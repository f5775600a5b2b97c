"""The backends of a benchmark: every engine for every release on every device, and one of them twice."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace

from zoo.core.errors import SettingError, suggest

ENGINES = {
    "torch": "torch, eager",
    "torch-compiled": "torch, with torch.compile",
    "onnx": "ONNX Runtime",
}
"""The engines that run a release, with their descriptions."""


@dataclass(frozen=True)
class Backend:
    """An engine that runs one release on one device."""

    source: str
    engine: str
    device: str
    control: bool = False
    """Whether this backend repeats another one (A/A): their difference is noise."""

    @property
    def name(self) -> str:
        return f"{'A/A ' if self.control else ''}{self.engine} {self.device}"

    @property
    def original(self) -> Backend:
        """The backend that a control repeats."""
        return replace(self, control=False)


def backends(sources: Sequence[str], device: str, only: Sequence[str]) -> list[Backend]:
    """Return all backends of a benchmark. The last one is the control, of the first release.

    `device` "auto" is the CPU, and CUDA too if there is a GPU. `only` names engines.
    """
    for name in only:
        if name not in ENGINES:
            raise SettingError(f"No backend named {name!r}.{suggest(name, ENGINES)} There are: {', '.join(ENGINES)}.")
    if device not in ("auto", "cpu", "cuda"):
        raise SettingError(f"device = {device!r} is not one of auto, cpu, cuda.")
    devices = [device] if device != "auto" else ["cpu", *(["cuda"] if shutil.which("nvidia-smi") else [])]
    engines = [engine for engine in ENGINES if not only or engine in only]
    found = [Backend(*way) for way in ((s, e, d) for s in sources for d in devices for e in engines)]
    original = Backend(sources[0], "onnx" if "onnx" in engines else engines[0], devices[0])
    return [*found, replace(original, control=True)]
