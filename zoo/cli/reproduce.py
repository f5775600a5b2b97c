"""The command ``zoo reproduce``: train released weights again, and compare every metric."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo.cli.arguments import (
    as_json,
    complete_data,
    complete_device,
    complete_source,
    data_dir,
    output_folder,
    print_json,
    source,
    table,
)
from zoo.cli.cpu_tuning import prepare

if TYPE_CHECKING:
    from zoo.contract.metric import Measurement
    from zoo.pipeline.reproduce import Reproduction


@click.command("reproduce", epilog="Example:  zoo reproduce vae.digits")
@source
@click.option("--quick", is_flag=True, help="Train a fiftieth of the steps, to try whether the code runs.")
@output_folder("out", "The run folder.  [default: runs/reproduce/NAME]", "--out")
@click.option("--force", is_flag=True, help="Replace the run in that folder instead of continuing it.")
@click.option(
    "--data", metavar="SET", shell_complete=complete_data,
    help="The path of the publisher's own data, as in folder:DIR; its hash must be the recorded one.",
)  # fmt: skip
@data_dir
@click.option(
    "--from", "start", metavar="SOURCE", shell_complete=complete_source,
    help="The recorded starting weights, if they are not found by their name.",
)  # fmt: skip
@click.option(
    "--device", default="auto", show_default=True, metavar="DEVICE", shell_complete=complete_device,
    help="auto, cpu, cuda, cuda:N or mps.",
)  # fmt: skip
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
@as_json
@click.pass_context
def reproduce_command(
    ctx: click.Context,
    source: str,
    quick: bool,
    out: Path | None,
    force: bool,
    data: str | None,
    data_dir: Path | None,
    start: str | None,
    device: str,
    quiet: bool,
    as_json: bool,
) -> None:
    """Train released weights again by their recorded recipe, and compare every recorded metric with its new value.

    A metric agrees if its recorded and its new 95% interval overlap. The exit status is 0 if all agree, and 1 if one
    does not. If the run is interrupted, the same command continues it exactly. docs/how-to/reproduce.md says what is compared.
    """
    prepare()
    from zoo.pipeline.reproduce import reproduce

    found = reproduce(
        source, quick=quick, out=out, force=force, data=data, data_dir=data_dir, start=start, device=device,
        quiet=quiet,
    )  # fmt: skip
    print_json(_json(found)) if as_json else _print(found)
    ctx.exit(0 if quick or found.agrees else 1)


def _json(found: Reproduction) -> dict[str, Any]:
    return {
        "name": found.name,
        "run": str(found.run),
        "quick": found.quick,
        "steps": found.steps,
        "recorded_steps": found.recorded_steps,
        "agrees": None if found.quick else found.agrees,
        "bit_equal": found.bit_equal,
        "recorded_on": found.recorded_on,
        "here": found.here,
        "metrics": [
            {
                "name": one.recorded.name,
                "verdict": None if found.quick else one.verdict,
                "note": one.note,
                "recorded": one.recorded.to_json(),
                "new": one.new and one.new.to_json(),
            }
            for one in found.comparisons
        ],
    }


def _print(found: Reproduction) -> None:
    last = "DIFFERENCE" if found.quick else "VERDICT"
    rows = [("METRIC", "RECORDED", "NEW", "UNIT", last)]
    notes: defaultdict[str, list[str]] = defaultdict(list)
    for one in found.comparisons:
        name, new = one.recorded.name, one.new
        verdict = _difference(one.recorded, new) if found.quick else one.verdict
        rows.append((name, _value(one.recorded), _value(new) if new else "-", one.recorded.unit, verdict))
        if one.note:
            notes[one.note].append(name)
    if found.comparisons:
        table(rows)
    for note, names in notes.items():
        click.echo(f"{', '.join(names)}: {note}.")
    if found.quick:
        click.echo(
            f"This is no reproduction: the run has {found.steps:,} of {found.recorded_steps:,} steps. It says that the "
            "code runs, and how far the metrics are."
        )
        return
    click.echo(_summary(found))
    if found.bit_equal:
        click.echo("The weights are bit-equal: model.safetensors has the recorded SHA-256.")
    else:
        click.echo(f"The weights are not bit-equal. Recorded on {found.recorded_on}; here {found.here}.")


def _summary(found: Reproduction) -> str:
    if not found.comparisons:
        return f"{found.name} has no recorded metrics, so only the weights are compared."
    by_verdict: defaultdict[str, list[str]] = defaultdict(list)
    for one in found.comparisons:
        by_verdict[one.verdict].append(one.recorded.name)
    said = [f"{len(by_verdict['agrees'])} of {len(found.comparisons)} metrics agree"]
    said += [
        f"{verdict}: {', '.join(by_verdict[verdict])}"
        for verdict in ("differs", "no new value", "no interval")
        if by_verdict[verdict]
    ]
    return f"{found.name}: {'; '.join(said)}."


def _value(measurement: Measurement) -> str:
    """``"22.39 [21.92, 22.85]"``: the value and its interval, if it has one."""
    from zoo.contract.metric import number

    if measurement.low is None or measurement.high is None:
        return number(measurement.value)
    return f"{number(measurement.value)} [{number(measurement.low)}, {number(measurement.high)}]"


def _difference(recorded: Measurement, new: Measurement | None) -> str:
    """``"+1.2 (+5.4%)"``: how far the new value is from the recorded one."""
    if new is None:
        return "-"
    far = new.value - recorded.value
    return f"{far:+.3g}" + (f" ({far / abs(recorded.value):+.1%})" if recorded.value else "")
