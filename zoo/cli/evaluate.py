"""The command ``zoo evaluate``: compute the metrics of a model."""

from __future__ import annotations

from pathlib import Path

import click
from click.shell_completion import CompletionItem

from zoo.cli.arguments import as_json, complete_data, complete_device, data_dir, print_json, source, table
from zoo.cli.cpu_tuning import prepare


def complete_metric(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete groups of metrics, and metrics."""
    from zoo.evaluation.metric_groups import GROUPS, OWN

    names = [OWN, *GROUPS, *(name for group in GROUPS.values() for name in group.names)]
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


@click.command("evaluate", epilog="Example:  zoo evaluate vae.digits --only reconstruction --only fid")
@source
@click.option(
    "--only", multiple=True, metavar="NAME", shell_complete=complete_metric,
    help="Compute only this metric (fid), group (generation), or own (those that the model declares); "
    "may be repeated.",
)  # fmt: skip
@click.option(
    "--limit", type=int, metavar="N", help="Number of test samples.  [default: all; slow metrics use a subset]"
)
@click.option(
    "--samples", type=int, metavar="N",
    help="Number of generated images.  [default: as many as test images, at most 10,000]",
)  # fmt: skip
@click.option(
    "--data", metavar="SET", shell_complete=complete_data, help="Evaluate on another data set of the same form."
)
@data_dir
@click.option(
    "--checkpoint",
    metavar="WHICH",
    help="The checkpoint of a run: last, best or a step.  [default: the one that the run releases]",
)
@click.option(
    "--device", default="auto", show_default=True, metavar="DEVICE", shell_complete=complete_device,
    help="auto, cpu, cuda, cuda:N or mps.",
)  # fmt: skip
@as_json
def evaluate_command(
    source: str,
    only: tuple[str, ...],
    limit: int | None,
    samples: int | None,
    data: str | None,
    data_dir: Path | None,
    checkpoint: str | None,
    device: str,
    as_json: bool,
) -> None:
    """Compute the metrics that apply to a model: reconstruction, likelihood, generation, latents, anomalies.

    The results of a run are written to its evaluation.json, and zoo export copies them into the release. An existing
    release never changes. docs/reference/metrics.md defines each metric.
    """
    prepare()
    from zoo.contract.metric import cells, format_protocol
    from zoo.evaluation import evaluate

    found = evaluate(
        source, only=only, limit=limit, samples=samples, data=data, data_dir=data_dir, device=device,
        checkpoint=checkpoint,
    )  # fmt: skip
    if as_json:
        measurements = [measurement.to_json() for measurement in found.measurements]
        print_json({"name": found.name, "metrics": measurements, "left_out": dict(found.left_out)})
        return
    rows = [("METRIC", "VALUE", "UNIT", "BASELINE", "PROTOCOL")]
    rows += [(*cells(measurement), format_protocol(measurement)) for measurement in found.measurements]
    table(rows)
    for group, reason in found.left_out.items():
        click.echo(f"{group}: {reason}.", err=True)
    if found.kept_older:
        click.echo(
            f"{', '.join(found.kept_older)}: the older value was kept, which was measured on more samples.", err=True
        )
    if found.kept:
        click.echo(f"Written to {found.kept}; zoo export copies them into a release.", err=True)
