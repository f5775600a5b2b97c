"""Publishes releases on the Hub: one, or every released weight set of a distribution. Each is verified first."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from zoo import release as releases
from zoo.core.errors import HubError, NotFoundError, ReleaseError, ZooError, one_line
from zoo.core.progress import TransferReport
from zoo.core.text import sentence
from zoo.hub import account, collection, signing
from zoo.hub.account import Account
from zoo.hub.preflight import PreflightError, Target
from zoo.hub.publish import Published, publish
from zoo.hub.resolve import find
from zoo.pipeline import registry_build
from zoo.pipeline.verify import verify
from zoo.release import CARD, Release
from zoo_export.card import model_card


@dataclass(frozen=True)
class Key:
    """A private key in PEM that signs what is published, and its password if it has one."""

    path: Path
    password: str | None = None


def publish_one(
    source: str | Path, target: Target, report: TransferReport, *, key: Key | None = None, dry_run: bool = False
) -> Published:
    """Verify the release of a SOURCE and publish it, signed if there is a `key`.

    Raises :class:`ZooError`: see :func:`zoo.hub.publish.publish` and :func:`zoo.hub.signing.sign`.
    """
    folder = find(source)
    report.say(f"Verifying {source} …")
    release = _verified(folder)
    return publish(release, target, _card(release), report, signature=_signature(release, key), dry_run=dry_run)


@dataclass(frozen=True)
class All:
    """What was published of a distribution."""

    releases: list[Published]
    collection: str
    """The address of the collection; "" in a dry run."""


def publish_all(
    distribution: str,
    org: str,
    target: Target,
    report: TransferReport,
    *,
    key: Key | None = None,
    dry_run: bool = False,
) -> All:
    """Verify every released weight set of a distribution, publish it as ORG/MODEL.RECIPE, and list all in a collection.

    All are looked at before the first is sent; what is the same as before makes no commit. `target` has the options.
    Raises :class:`PreflightError` with all that stands in the way of any, and :class:`ZooError` as for one.
    """
    models, _ = registry_build.plugins_of(distribution)
    folders = registry_build.release_folders(models)
    if not folders:
        raise NotFoundError(
            f"{distribution} has no released weights in its package. Add some: zoo registry release RUN"
        )
    found = []
    for folder in folders:
        report.say(f"Verifying {folder.name} …")
        release = _verified(folder)
        found.append((release, replace(target, repository=f"{org}/{release.name}"), _signature(release, key)))
    who, problems, planned = _account(), [], []
    for release, own, signature in found:
        try:
            planned.append(publish(release, own, _card(release), report, signature=signature, who=who, dry_run=True))
        except PreflightError as error:
            problems += [f"{release.name}: {problem}" for problem in error.problems]
    if problems:
        raise PreflightError(problems)
    if dry_run:
        return All(planned, "")
    done: list[Published] = []
    for release, own, signature in found:
        report.say(f"Publishing {release.name} …")
        try:
            done.append(publish(release, own, _card(release), report, signature=signature, who=who))
        except ZooError as error:
            rest = f"{len(done)} of {len(found)} are published; the same command goes on."
            raise HubError(f"{release.name}: {sentence(error)} {rest}") from error
    names = [one.repository for one in done]
    return All(done, collection.add(org, distribution, names, private=any(one.is_private for one in done)))


def _account() -> Account:
    try:
        return account.current()
    except ZooError as error:
        raise PreflightError([str(error)]) from error


def _verified(folder: Path) -> Release:
    verify(folder)
    return releases.read(folder)


def _signature(release: Release, key: Key | None) -> bytes | None:
    if key is None:
        return None
    return signing.sign(release.folder, signing.covered(release), key.path, key.password)


def _card(release: Release) -> str:
    """The card in a release folder, or one that is made from the manifest. Raises :class:`ReleaseError`."""
    path = release.folder / CARD
    if path.is_symlink():  # no hash says what it is, so a link could publish any file
        raise ReleaseError(f"{path} is a link, and would publish another file. Replace it by a copy, or delete it.")
    try:
        if path.is_file():
            return path.read_text("utf-8")
        return model_card(release.manifest, release.folder)
    except UnicodeDecodeError as error:
        raise ReleaseError(f"{path} is not text in UTF-8. Write it again, or delete it: then one is made.") from error
    except (LookupError, TypeError, ValueError) as error:
        raise ReleaseError(
            f"{release.folder} has no {CARD}, and its manifest lacks what it is made of ({one_line(error)}). Write one."
        ) from error
