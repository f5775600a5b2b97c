"""What counts as a number where people give one."""

from __future__ import annotations

import numpy as np


def is_integer(value: object) -> bool:
    """Whether a value is a whole number, of Python or of numpy, and no truth value."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def is_number(value: object) -> bool:
    """Whether a value is a real number, of Python or of numpy, and no truth value."""
    return is_integer(value) or isinstance(value, (float, np.floating))
