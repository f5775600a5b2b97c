"""Values of recipe fields that Python holds and no float does."""

from __future__ import annotations

import dataclasses

import pytest

from zoo import registry
from zoo.core.errors import SettingError


@pytest.mark.parametrize("value", [10**400, -(10**400), 10**5000], ids=["large", "small", "huge"])
def test_an_integer_that_no_float_holds_is_one_line(value: int) -> None:
    _, recipe = registry.load_recipe("vae.tiny")
    with pytest.raises(SettingError, match=r"clip = .* is not a number of at least 0") as error:
        dataclasses.replace(recipe, clip=value)
    assert len(str(error.value)) < 150
