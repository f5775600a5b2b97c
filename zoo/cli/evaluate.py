"""The command that measures a model: evaluate."""

from __future__ import annotations

from pathlib import Path

import click
from click.shell_completion import CompletionItem

from zoo.cli.arguments import as_json, complete_data, complete_device, data_dir, print_json, source, table
from zoo.cli.cpu_tuning import prepare


def complete_measure(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Families of measures, and measures."""
    from zoo.evaluation.metric_groups import FAMILIES, OWN

    names = [OWN, *FAMILIES, *(name for family in FAMILIES.values() for name in family.names)]
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


@click.command("evaluate", epilog="Example:  zoo evaluate vae.digits --only reconstruction --only fid")
@source
@click.option(
    "--only", multiple=True, metavar="NAME", shell_complete=complete_measure,
    help="A measure (fid), a family (generation), or own, the model's own; may be repeated.",
)  # fmt: skip
@click.option("--limit", type=int, metavar="N", help="Test samples.  [default: all; slow measures: their own subset]")
@click.option(
    "--samples", type=int, metavar="N", help="Generated images.  [default: as many as test images, 10,000 at most]"
)
@click.option("--data", metavar="SET", shell_complete=complete_data, help="Another data set of the same form.")
@data_dir
@click.option(
    "--checkpoint",
    metavar="WHICH",
    help="last, best or a step of a run.  [default: what it releases]",
)
@click.option(
    "--device", default="auto", show_default=True, metavar="DEVICE", shell_complete=complete_device, help="auto, cpu, …"
)
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
    """Measure a model: reconstruction, likelihood, generation, codes, anomalies, as far as they apply.

    A run's figures are kept in its measures.json, and zoo export puts them into the release. A release never changes.
    docs/measures.md says what each measure is.
    """
    prepare()
    from zoo.contract.metric import cells, protocol_words
    from zoo.evaluation import evaluate

    found = evaluate(
        source, only=only, limit=limit, samples=samples, data=data, data_dir=data_dir, device=device,
        checkpoint=checkpoint,
    )  # fmt: skip
    if as_json:
        figures = [figure.to_json() for figure in found.figures]
        print_json({"name": found.name, "figures": figures, "left_out": dict(found.left_out)})
        return
    rows = [("MEASURE", "VALUE", "UNIT", "BASELINE", "PROTOCOL")]
    rows += [(*cells(figure), protocol_words(figure)) for figure in found.figures]
    table(rows)
    for family, reason in found.left_out.items():
        click.echo(f"{family}: {reason}.", err=True)
    if found.firmer:
        click.echo(f"{', '.join(found.firmer)}: kept is an older figure, which rests on more samples.", err=True)
    if found.kept:
        click.echo(f"{found.kept} has them; zoo export puts them into a release.", err=True)
