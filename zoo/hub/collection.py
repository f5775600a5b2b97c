"""A collection on the Hub: the page that lists the models of a distribution."""

from __future__ import annotations

from collections.abc import Sequence

from zoo.core.errors import HubError
from zoo.core.text import sentence
from zoo.hub import client, reasons, session


def add(namespace: str, title: str, repositories: Sequence[str], *, private: bool = False) -> str:
    """Put models into the collection of that title, which is made where it is missing, and return its address.

    Models that are in it stay where they are. Raises :class:`HubError`, which says how many of them it has then.
    """
    done = 0
    try:
        with session.bounded():
            api = client.api()
            made = api.create_collection(title, namespace=namespace, private=private, exists_ok=True)
            for repository in repositories:
                api.add_collection_item(made.slug, item_id=repository, item_type="model", exists_ok=True)
                done += 1
    except Exception as error:
        raise HubError(
            f"The models are published, and {done} of {len(repositories)} are in the collection {title!r} of "
            f"{namespace}. {sentence(reasons.unreachable(error))} The same command goes on."
        ) from error
    return f"{reasons.address()}/collections/{made.slug}"
