"""The checks that the built-in models are held to, for the models of third parties: with pytest, or zoo plugin test.

    from zoo.testing import conformance

    test_mine = conformance("mine")          # a test for each check, in a file that pytest collects

Each check trains, exports or runs the recipe ``tiny`` of the model. A failure says what to change, and where.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from zoo.testing.checks import CHECKS, Check, Result, run
from zoo.testing.subject import Subject

if TYPE_CHECKING:
    import pytest

__all__ = ["CHECKS", "Check", "Result", "Subject", "conformance", "run"]


def conformance(*models: str, leave_out: Sequence[str] = ()) -> Callable[..., None]:
    """Return a test function for pytest with a test for each of these models and each check.

    `leave_out` names checks. Each model is trained once a session (with pytest-xdist, once a worker).
    """
    import pytest

    subjects: dict[str, Subject] = {}
    chosen = [check for check in CHECKS if check.name not in leave_out]

    @pytest.mark.parametrize("check", chosen, ids=lambda check: str(check.name))
    @pytest.mark.parametrize("model", models)
    def test(model: str, check: Check, tmp_path_factory: pytest.TempPathFactory) -> None:
        if model not in subjects:
            subjects[model] = Subject(model, tmp_path_factory.mktemp(model))
        result: Any = run(check, subjects[model])
        if result.ok is None:
            pytest.skip(result.text)
        assert result.ok, f"{result.text}"

    return test
