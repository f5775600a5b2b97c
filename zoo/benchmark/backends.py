"""Who takes part in a benchmark: every way to run every release, on every device, and one of them twice."""

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
"""Ways to run a release."""


@dataclass(frozen=True)
class Contestant:
    """One way to run one release on one device."""

    source: str
    engine: str
    device: str
    control: bool = False
    """Whether it is another one a second time: what it differs by is noise."""

    @property
    def name(self) -> str:
        return f"{'A/A ' if self.control else ''}{self.engine} {self.device}"

    @property
    def twin(self) -> Contestant:
        """What a control repeats."""
        return replace(self, control=False)


def contestants(sources: Sequence[str], device: str, only: Sequence[str]) -> list[Contestant]:
    """Everybody who is to take part; the control, of the first release, comes last.

    `device` "auto" is the CPU, and CUDA where there is a card. `only` names engines.
    """
    for name in only:
        if name not in ENGINES:
            raise SettingError(
                f"No way to run is named {name!r}.{suggest(name, ENGINES)} There are: {', '.join(ENGINES)}."
            )
    if device not in ("auto", "cpu", "cuda"):
        raise SettingError(f"device = {device!r} is not one of auto, cpu, cuda.")
    devices = [device] if device != "auto" else ["cpu", *(["cuda"] if shutil.which("nvidia-smi") else [])]
    engines = [engine for engine in ENGINES if not only or engine in only]
    found = [Contestant(*way) for way in ((s, e, d) for s in sources for d in devices for e in engines)]
    twin = Contestant(sources[0], "onnx" if "onnx" in engines else engines[0], devices[0])
    return [*found, replace(twin, control=True)]
