"""Publishes releases on the Hub: one, or every released weight set of a distribution. Each is verified first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from zoo import registry
from zoo import release as releases
from zoo.core.errors import HubError, NotFoundError, ReleaseError, ZooError, one_line
from zoo.core.progress import TransferReport
from zoo.core.text import sentence, size
from zoo.hub import account, collection, keys, preflight, session, signature_files, signing
from zoo.hub.account import Account
from zoo.hub.preflight import PreflightError, Target
from zoo.hub.publish import Published, publish
from zoo.hub.resolve import find, on_hub
from zoo.hub.source import HubSource
from zoo.pipeline import registry_build
from zoo.pipeline.verify import verify
from zoo.release import CARD, SIGNATURE, Release
from zoo_export.card import model_card

T = TypeVar("T")


@dataclass(frozen=True)
class Key:
    """A private key in PEM that signs what is published, and its password if it has one."""

    path: Path
    password: str | None = None


def publish_one(
    source: str | Path, target: Target, report: TransferReport, *, key: Key | None = None, dry_run: bool = False
) -> Published:
    """Verify the release of a SOURCE and publish it, signed if there is a `key`, or else with the signature it has.

    What is soon looked at is looked at before it is verified. Raises :class:`ZooError`: see
    :func:`zoo.hub.publish.publish` and :func:`zoo.hub.signing.sign`.
    """
    _check_key(key)
    one = _ready(releases.read(find(source)), target, key, report, on_hub(source))
    with session.bounded():
        who = preflight.check(one.release, target).who
    report.step(f"Verifying {source} …")
    return _publish(_verified(one, key), report, who, dry_run)


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

    What is soon looked at is looked at before the first is verified, and everything before the first is sent; what is
    the same as before makes no commit. `target` has the options. Raises :class:`PreflightError` with all that stands in
    the way of any, and :class:`ZooError` as for one.
    """
    found = _released(distribution)
    report.step(_plan(distribution, found, org, dry_run))
    _check_key(key)
    ready = [
        _ready(release, replace(target, repository=f"{org}/{release.name}"), key, report, None) for release in found
    ]
    who = _account()
    with session.bounded():
        _collect(ready, lambda one: preflight.check(one.release, one.target, who))
    for at, one in enumerate(ready):
        report.step(f"Verifying {one.release.name} ({at + 1} of {len(ready)}) …")
        ready[at] = _verified(one, key)
    once = report if dry_run else report._replace(say=lambda text: None)  # else it is said again
    planned = _collect(ready, lambda one: _publish(one, once, who, True))
    if dry_run:
        return All(planned, "")
    done: list[Published] = []
    for at, one in enumerate(ready):
        report.step(f"Publishing {one.release.name} ({at + 1} of {len(ready)}) …")
        try:
            done.append(_publish(one, report, who, False))
        except ZooError as error:
            rest = f"{len(done)} of {len(found)} are published; the same command goes on."
            raise HubError(f"{one.release.name}: {sentence(error)} {rest}") from error
    names = [one.repository for one in done]
    return All(done, collection.add(org, distribution, names, private=any(one.is_private for one in done)))


def _released(distribution: str) -> list[Release]:
    """The weight sets in the package of a distribution. Raises :class:`NotFoundError` if there are none."""
    models, _ = registry_build.plugins_of(distribution)
    if folders := registry_build.release_folders(models):
        return [releases.read(folder) for folder in folders]
    if moved := _moved(distribution, []):
        raise NotFoundError(
            f"{distribution} has no released weights in its package: {len(moved)} are on the Hub already, where its "
            f"registry.yaml pins them ({', '.join(moved)}). To publish one again: zoo publish NAME --repo ORG/NAME"
        )
    raise NotFoundError(f"{distribution} has no released weights in its package. Add some: zoo release RUN")


def _moved(distribution: str, found: Sequence[Release]) -> list[str]:
    """The names of the weight sets that the registry pins on the Hub, and that are not among those in the package."""
    here, listed = {release.name for release in found}, registry.read_file(distribution).releases
    return [name for name, entry in listed.items() if "hub" in entry and name not in here]


def _plan(distribution: str, found: Sequence[Release], org: str, dry_run: bool) -> str:
    """What publishing all weights does, for people."""
    total = size(sum(sum(release.sizes.values()) for release in found))
    sent = f"each is published as {org}/MODEL.RECIPE, and put into a collection"
    then = "what would be sent is printed" if dry_run else sent
    moved = _moved(distribution, found)
    also = f", and {len(moved)} more on the Hub already ({', '.join(moved)})" if moved else ""
    return (
        f"{distribution} has {len(found)} released weight {'set' if len(found) == 1 else 'sets'} in its package "
        f"({total}){also}. The token, the licences and the repositories are checked; then all weights are verified, "
        f"which may take minutes; then {then}."
    )


def _collect(ready: Sequence[_Ready], call: Callable[[_Ready], T]) -> list[T]:
    """What a call gives for each release. Raises :class:`PreflightError` with the problems of all."""
    made, problems = [], []
    for one in ready:
        try:
            made.append(call(one))
        except PreflightError as error:
            problems += [f"{one.release.name}: {problem}" for problem in error.problems]
    if problems:
        raise PreflightError(problems)
    return made


@dataclass(frozen=True)
class _Ready:
    """A release with all that is published beside it."""

    release: Release
    target: Target
    card: str
    signature: bytes | None


def _ready(
    release: Release, target: Target, key: Key | None, report: TransferReport, place: HubSource | None
) -> _Ready:
    signature = _own_signature(release, report, place) if key is None else None
    return _Ready(release, target, _card(release), signature)


def _verified(one: _Ready, key: Key | None) -> _Ready:
    """The same after its release was verified, and signed if there is a key."""
    verify(one.release.folder)
    if key is None:
        return one
    names = signing.covered(one.release)
    return replace(one, signature=signing.sign(one.release.folder, names, key.path, key.password))


def _publish(one: _Ready, report: TransferReport, who: Account | None, dry_run: bool) -> Published:
    return publish(one.release, one.target, one.card, report, signature=one.signature, who=who, dry_run=dry_run)


def _account() -> Account:
    try:
        return account.current()
    except ZooError as error:
        raise PreflightError([str(error)]) from error


def _check_key(key: Key | None) -> None:
    """Raise :class:`SettingError` for a key that cannot sign, before anything takes long."""
    if key is not None:
        keys.private_key(key.path, key.password)


def _own_signature(release: Release, report: TransferReport, place: HubSource | None) -> bytes | None:
    """The signature that a release has, in its folder or at its `place` on the Hub; None where it has none.

    Raises :class:`ReleaseError` for one that does not cover the files as they are.
    """
    content, where = signing.read(release.folder), str(release.folder / SIGNATURE)
    if content is None and place is not None:
        content, where = signature_files.fetch(place), f"{SIGNATURE} of {place}"
    if content is None:
        return None
    try:
        others = signing.check_fits(release.folder, content, where)
    except ReleaseError as error:
        then = "" if place is not None else "delete it, or "
        raise ReleaseError(f"{error} To publish without it, {then}sign with your own key: --sign KEY") from error
    if others:
        report.say(
            f"{release.name}: {where} covers {', '.join(others)} too, which zoo does not publish as signed. zoo verify "
            "checks the rest; the tool model_signing refuses the download."
        )
    return content


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
