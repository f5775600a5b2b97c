"""A collection on the Hub: the page that lists the models of a distribution."""

from __future__ import annotations

from collections.abc import Iterable

from zoo.core.errors import HubError
from zoo.hub import client, reasons, session


def add(namespace: str, title: str, repositories: Iterable[str], *, private: bool = False) -> str:
    """Put models into the collection of that title, which is made where it is missing, and return its address.

    Models that are in it stay where they are. Raises :class:`HubError`.
    """
    try:
        with session.bounded():
            api = client.api()
            made = api.create_collection(title, namespace=namespace, private=private, exists_ok=True)
            for repository in repositories:
                api.add_collection_item(made.slug, item_id=repository, item_type="model", exists_ok=True)
    except Exception as error:
        raise HubError(
            f"The models are published, and the collection {title!r} of {namespace} could not be written. "
            f"{reasons.unreachable(error)}"
        ) from error
    return f"{reasons.address()}/collections/{made.slug}"
