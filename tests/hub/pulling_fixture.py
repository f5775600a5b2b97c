"""The fixture that puts a release on the double of the Hub; a test file loads it next to ``double_fixture``."""

from __future__ import annotations

import pytest
from double import Double
from pulling import REPO, released


@pytest.fixture
def commit(hub: Double) -> str:
    """The commit of a release in a public repository."""
    return hub.put(REPO, released())
