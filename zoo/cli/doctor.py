"""The command ``zoo doctor``: check this installation and every plugin."""

from __future__ import annotations

import click

from zoo.cli.arguments import as_json, print_json


@click.command("doctor", epilog="Example:  zoo doctor --json")
@click.option(
    "--timeout", type=click.FloatRange(min=0.1), default=60, show_default=True, help="Seconds allowed for each plugin."
)
@as_json
def doctor_command(timeout: float, as_json: bool) -> None:
    """Check this installation and every plugin; the exit status is 1 if something is wrong."""
    from zoo.tools import doctor

    findings = doctor.examine(timeout)
    if as_json:
        print_json(doctor.as_json(findings))
    else:
        for finding in findings:
            mark = click.style("ok   ", fg="green") if finding.ok else click.style("WRONG", fg="red", bold=True)
            click.echo(f"{mark}  {finding.kind:<9}  {finding.name:<14}  {finding.text}")
    if not all(finding.ok for finding in findings):
        click.get_current_context().exit(1)
