"""The commands ``zoo compress`` and ``zoo decompress``: samples to a small file, and back, without torch."""

from __future__ import annotations

import math
from contextlib import ExitStack
from pathlib import Path
from typing import Literal

import click

from zoo.cli.arguments import FILE, backend, output, say_written, source
from zoo.core import files
from zoo.core.progress import Progress

Fit = Literal["crop", "pad"]


@click.command("compress", epilog="Example:  zoo compress runs/coded.digits a.png b.png -o two.zooc")
@source
@click.argument("inputs", nargs=-1, required=True, metavar="FILE…", type=click.Path())
@click.option("--fit", type=click.Choice(["crop", "pad"]), help="Cut or pad images of another size, and resize them.")
@output("The compressed file.  [default: the name of the first FILE, in .zooc]")
@backend
def compress_command(
    source: str,
    inputs: tuple[str, ...],
    fit: Fit | None,
    output: Path | None,
    force: bool,
    backend: str,
    device: str,
) -> None:
    """Compress images, videos, audio clips, text or arrays, for a model with a codec.

    All files together become one compressed file, which needs the same release to be decompressed.
    """
    import zoo
    from zoo.codec import SUFFIX
    from zoo.core.errors import DataError, SettingError
    from zoo.media import kinds
    from zoo.media.convert import fitted

    with zoo.load(source, backend=backend, device=device) as model:  # type: ignore[arg-type]
        x = model.release.sample.x
        kind = kinds.of_sample(x)
        unit = kind.unit
        if fit and not kind.pixels:
            raise SettingError(f"--fit is for images and videos, and {model.name} models {unit}. Leave it out.")
        paths = [files.expand(name) for name in inputs]
        output = output or Path(f"{paths[0].stem}{SUFFIX}")
        if output.suffix != SUFFIX:
            raise SettingError(f"{str(output)!r} ends in {output.suffix or 'nothing'!r}; it must end in {SUFFIX}.")
        if lacking := next((path for path in paths if not path.exists()), None):
            raise DataError(f"{lacking} does not exist. Check the path.")
        files.check_outside_releases(output)
        files.check_free(output, force)
        samples = fitted(paths, x, model.release.background, fit) if fit else paths
        with _Bar("Compressing", unit) as bar:
            data = model.compress(samples, progress=bar)
        files.write(output, data, force)
    bits = 8 * len(data) / (bar.total * math.prod(x.shape))
    click.echo(f"{bar.total:,} {unit}: {len(data):,} bytes, {bits:.4g} bits per dimension, header included.", err=True)
    say_written([output])


@click.command("decompress", epilog="Example:  zoo decompress runs/coded.digits two.zooc -o again.png")
@source
@click.argument("file", type=FILE)
@output("A file of the kind of the model's samples, or .npy.  [default: NAME.png, NAME.wav or NAME.txt]")
@backend
def decompress_command(source: str, file: Path, output: Path | None, force: bool, backend: str, device: str) -> None:
    """Decompress a file of zoo compress, with the same release."""
    import zoo
    from zoo.media import kinds, save

    with zoo.load(source, backend=backend, device=device) as model:  # type: ignore[arg-type]
        x = model.release.sample.x
        unit = kinds.of_sample(x).unit
        output = output or Path(f"{model.name}{save.endings(x)[0]}")
        save.check(output, x, force)
        with _Bar("Decompressing", unit) as bar:
            samples = model.decompress(file, progress=bar)
        click.echo(f"{bar.total:,} {unit} from {file.stat().st_size:,} bytes.", err=True)
        say_written(save.save(samples, output, x, force=force))


class _Bar(ExitStack):
    """Progress that begins when the number of samples is known, which `total` is afterwards."""

    def __init__(self, what: str, unit: str) -> None:
        super().__init__()
        self._what, self._unit = what, unit
        self.total = 0

    def __call__(self, done: int, total: int) -> None:
        if not self.total:
            self._progress = self.enter_context(Progress(self._what, total, unit=self._unit))
            self.total = total
        self._progress.move(done, done)
