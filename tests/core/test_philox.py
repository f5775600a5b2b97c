"""The noise is part of the release format: these answers never change."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.core import philox
from zoo.core.errors import SettingError


@pytest.mark.parametrize(
    ("seed", "counter", "answer"),
    [  # the known answers that the authors of Philox publish with Random123 for philox4x32, 10 rounds
        (0, (0, 0, 0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        (2**64 - 1, (2**32 - 1,) * 4, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            0x299F31D0A4093822,
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_philox_gives_the_published_answers(seed: int, counter: tuple[int, ...], answer: tuple[int, ...]) -> None:
    words = philox.philox(seed, np.array([counter], np.uint32).T)
    assert tuple(words[0].tolist()) == answer


def test_the_table_of_normals_is_what_it_was() -> None:
    table = philox.normal_table()
    assert table.dtype == np.float32
    assert hashlib.sha256(table.tobytes()).hexdigest() == TABLE
    assert (np.diff(table) > 0).all()
    assert np.array_equal(table, -table[::-1])
    assert table.max() == pytest.approx(4.33, abs=0.01)


TABLE = "1cfbba1e07e34386a57626f82aeb43e6ed54ba70a3ea6b7d964dc66a841074a8"


def test_draws_are_what_they_were() -> None:
    indices = np.array([0, 1, 2**32 - 1])
    normal = philox.draw("normal", (3,), 7, indices, stream=1, step=2)
    uniform = philox.draw("uniform", (2,), 7, indices)
    gumbel = philox.draw("gumbel", (2,), 7, indices)
    assert normal.tolist() == NORMAL
    assert uniform.tolist() == UNIFORM
    np.testing.assert_allclose(gumbel, GUMBEL, rtol=1e-6)


NORMAL = [
    [0.1720629185438156, -0.4895308315753937, 0.1159406453371048],
    [0.28132957220077515, -0.5022470355033875, 2.4243674278259277],
    [1.529237985610962, 0.5825052261352539, 1.384871006011963],
]
UNIFORM = [
    [0.9545971155166626, 0.7501521706581116],
    [0.4069603681564331, 0.7952840328216553],
    [0.7896758913993835, 0.11433547735214233],
]
GUMBEL = [
    [3.069037437438965, 1.2466049194335938],
    [0.10642842203378677, 1.473789095878601],
    [1.4433616399765015, -0.7740901708602905],
]


def test_normals_are_normal() -> None:
    values = philox.draw("normal", (1000,), 1, np.arange(200)).astype(np.float64)
    assert abs(values.mean()) < 0.01
    assert abs(values.std() - 1) < 0.01
    assert abs((values**4).mean() - 3) < 0.1
    assert abs(np.corrcoef(values[:-1].ravel(), values[1:].ravel())[0, 1]) < 0.01


@given(
    seed=st.integers(0, 2**64 - 1),
    first=st.integers(0, 2**32 - 9),
    count=st.integers(1, 8),
    shape=st.lists(st.integers(1, 5), max_size=3).map(tuple),
    stream=st.integers(0, 99),
    step=st.integers(0, 9999),
)
def test_a_sample_does_not_depend_on_its_batch(
    seed: int, first: int, count: int, shape: tuple[int, ...], stream: int, step: int
) -> None:
    indices = np.arange(first, first + count)
    together = philox.draw("normal", shape, seed, indices, stream, step)
    assert together.shape == (count, *shape)
    alone = [philox.draw("normal", shape, seed, indices[i : i + 1], stream, step)[0] for i in range(count)]
    assert np.array_equal(together, np.stack(alone))


def test_every_part_of_the_counter_matters() -> None:
    index = np.array([5])
    base = philox.draw("uniform", (8,), 3, index, 0, 0)
    for other in (
        philox.draw("uniform", (8,), 4, index, 0, 0),
        philox.draw("uniform", (8,), 3 + 2**40, index, 0, 0),
        philox.draw("uniform", (8,), 3, index + 1, 0, 0),
        philox.draw("uniform", (8,), 3, index, 1, 0),
        philox.draw("uniform", (8,), 3, index, 0, 1),
    ):
        assert not np.isin(base, other).any()


@pytest.mark.parametrize(("seed", "first", "n"), [(-1, 0, 1), (2**64, 0, 1), (0, -1, 1), (0, 0, 0), (0, 2**32 - 1, 2)])
def test_seeds_and_indices_have_a_range(seed: int, first: int, n: int) -> None:
    with pytest.raises(SettingError, match="out of range"):
        philox.checked(seed, first, n)


def test_several_noises_at_once_are_those_drawn_in_turn() -> None:
    kinds: list[tuple[philox.Distribution, tuple[int, ...]]] = [("normal", (2, 3)), ("uniform", ()), ("normal", (8,))]
    indices = np.array([0, 5, 2**32 - 1])
    made = philox.draws(kinds, 2**63 + 1, indices, stream=1, step=4)
    for k, ((distribution, shape), together) in enumerate(zip(kinds, made, strict=True)):
        alone = philox.draw(distribution, shape, 2**63 + 1, indices, stream=1 + k, step=4)
        assert together.shape == (3, *shape)
        assert np.array_equal(together, alone)
