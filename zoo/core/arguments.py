"""Validates numeric arguments."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo.core.errors import SettingError


def is_integer(value: object) -> bool:
    """Return whether a value is an integer of Python or of numpy, and not a bool."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def is_number(value: object) -> bool:
    """Return whether a value is a real number of Python or of numpy, and not a bool."""
    return is_integer(value) or isinstance(value, (float, np.floating))


def check_count(name: str, value: Any, least: int) -> None:
    """Raise :class:`SettingError` unless `value` is an integer of at least `least`."""
    if not is_integer(value) or value < least:
        raise SettingError(f"{name} = {value!r} is not an integer of at least {least}.")
