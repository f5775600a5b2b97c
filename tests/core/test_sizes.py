"""Text for people: sizes by a fitting unit, and sentences that another may follow."""

from __future__ import annotations

import pytest

from zoo.core.text import sentence, size


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (4_200, "4.2 kB"), (999_000, "999.0 kB"), (1_600_000, "1.6 MB")],
)
def test_a_size_has_a_fitting_unit(count: int, text: str) -> None:
    assert size(count) == text


def test_a_sentence_ends() -> None:
    assert [sentence(text) for text in ("Run: zoo list", "Done.")] == ["Run: zoo list.", "Done."]
