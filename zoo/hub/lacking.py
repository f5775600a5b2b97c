"""What an installed model needs for its training and this machine lacks, by its registry: no plugin is imported."""

from __future__ import annotations

from zoo import registry


def lacking(model: str) -> dict[str, list[str]]:
    """Return what each recipe of a model lacks: data sets and released models. Recipes that lack nothing are left out.

    Each is a text that follows "needs", such as "the data set 'faces', which is not installed". A released model on the
    Hub is not lacking. Nothing is known of a model that no registry describes.
    """
    claims = registry.plugins().get(model, ())
    described = registry.index(claims[0].distribution).models.get(model) if len(claims) == 1 else None
    if described is None:
        return {}
    found: dict[str, list[str]] = {}
    for recipe, data in described["recipes"].items():
        if data.partition(":")[0] not in registry.plugins(registry.DATA):
            found[recipe] = [f"the data set {data!r}, which is not installed"]
    for recipe, needed in (described.get("needs") or {}).items():
        from zoo.hub import resolve  # few models need releases, and lists of others are faster without this import

        for key, source in needed.items():
            if why := resolve.lost(source):
                found.setdefault(recipe, []).append(f"the release {source!r} as {key!r}: {why}")
    return found


def sentences(model: str) -> list[str]:
    """Return what the recipes of a model lack, a text for each thing: "mine.digits, mine.tiny need the release …"."""
    by_text: dict[str, list[str]] = {}
    for recipe, lacks in lacking(model).items():
        for text in lacks:
            by_text.setdefault(text, []).append(f"{model}.{recipe}")
    return [f"{', '.join(names)} need{'s' * (len(names) == 1)} {text}" for text, names in by_text.items()]
