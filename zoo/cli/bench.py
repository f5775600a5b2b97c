"""The command ``zoo bench``: compare the speed of releases."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from zoo.cli.arguments import as_json, complete_source, print_json, table

if TYPE_CHECKING:
    from zoo.benchmark.backends import Backend
    from zoo.benchmark.results import Benchmark, Ratio


def complete_tasks(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the tasks of the first SOURCE, and generate."""
    from zoo.benchmark.worker import GENERATE
    from zoo.hub.resolve import find
    from zoo.release import read

    try:
        names = [*read(find((ctx.params.get("sources") or [""])[0], network=False)).tasks, GENERATE]
    except Exception:
        return []
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def complete_engine(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete backend names."""
    from zoo.benchmark.backends import ENGINES

    return [CompletionItem(name, help=text) for name, text in ENGINES.items() if name.startswith(incomplete)]


@click.command("bench", epilog="Example:  zoo bench vae.digits --only torch --only onnx --batch 1 --batch 64")
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE…", shell_complete=complete_source)
@click.option(
    "--task", "tasks", multiple=True, metavar="TASK", shell_complete=complete_tasks,
    help="Time only this task, or generate; may be repeated.  [default: all]",
)  # fmt: skip
@click.option(
    "--batch",
    "batches",
    multiple=True,
    type=int,
    metavar="N",
    help="A batch size; may be repeated.  [default: 1 and 64]",
)
@click.option(
    "--rounds", type=int, default=5, show_default=True, metavar="N",
    help="Interleaved rounds; more give tighter estimates.",
)  # fmt: skip
@click.option(
    "--threads", type=int, default=1, show_default=True, metavar="N", help="Threads of torch and of ONNX Runtime."
)
@click.option(
    "--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True,
    help="auto is the CPU, and CUDA too if there is a GPU.",
)  # fmt: skip
@click.option(
    "--only", multiple=True, metavar="NAME", shell_complete=complete_engine,
    help="Run only this backend: torch, torch-compiled or onnx; may be repeated.",
)  # fmt: skip
@as_json
def bench_command(
    sources: tuple[str, ...],
    tasks: tuple[str, ...],
    batches: tuple[int, ...],
    rounds: int,
    threads: int,
    device: str,
    only: tuple[str, ...],
    as_json: bool,
) -> None:
    """Compare the speed of releases in torch, compiled torch and ONNX Runtime.

    Each backend runs in its own process, and the backends take turns, round by round. P50 and P99 are latencies of one
    call in milliseconds. SPEED is the speed-up over the first backend on the same device: the median over the rounds,
    and IN ROUNDS the smallest and the largest. A/A is one backend measured twice: its difference is noise.
    """
    from zoo.benchmark.bench import bench

    found = bench(*sources, tasks=tasks, batches=batches, rounds=rounds, threads=threads, device=device, only=only)
    if as_json:
        print_json(found.to_json())
    else:
        _show(found)


def _show(found: Benchmark) -> None:
    several = len(found.sources) > 1

    def who(backend: Backend) -> tuple[str, ...]:
        return (*([backend.source] if several else []), backend.name)

    heads = (*(["SOURCE"] if several else []), "BACKEND")
    about = found.machine
    click.echo(f"{about['processor']}, {about['cores']} cores; Python {about['python']}, {', '.join(found.versions)}")
    words = (
        f"{count} {what}{'s' * (count > 1)}" for count, what in ((found.threads, "thread"), (found.rounds, "round"))
    )
    click.echo(f"{', '.join(words)}\n")
    rows = [("TASK", "BATCH", *heads, "P50 MS", "P99 MS", "ITEMS/S", "SPEED", "IN ROUNDS")]
    rows += [
        (
            row.task, str(row.batch), *who(row.backend), _short(row.p50_ms), _short(row.p99_ms),
            _short(row.items_per_second), *_times(row.speed),
        )
        for row in found.rows
    ]  # fmt: skip
    table(rows)
    click.echo()
    rows = [(*heads, "COLD START", "SPEED", "IN ROUNDS", "MEMORY", "AT THE END", "COMPUTES ON")]
    rows += [
        (
            *who(one.backend), f"{one.seconds:.2f} s", *_times(one.speed), _memory(one.first_megabytes),
            _memory(one.megabytes), ", ".join(one.providers),
        )
        for one in found.started
    ]  # fmt: skip
    table(rows)
    for left in found.left_out:
        what = f"{' of '.join(reversed(who(left.backend)))}{f', {left.what}' if left.what else ''}"
        click.echo(f"{what}: left out, {left.reason}.", err=True)
    for warning in found.warnings:
        click.echo(f"{click.style('Warning:', fg='yellow', bold=True)} {warning}", err=True)


def _times(ratio: Ratio) -> tuple[str, str]:
    return f"{ratio.median:.2f} ×", f"{ratio.low:.2f}–{ratio.high:.2f}"


def _memory(megabytes: float | None) -> str:
    return "-" if megabytes is None else f"{megabytes:,.0f} MB"


def _short(value: float) -> str:
    """Format a number with three significant digits: 0.0123, 1.23, 123."""
    return f"{value:#.3g}".rstrip(".") if value < 1000 else f"{value:,.0f}"
