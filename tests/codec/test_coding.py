"""The entropy coder, the tables and their helpers: what holds for every shape, context and table."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import zoo
from conftest import raises
from zoo.codec import Tables, problem, rans
from zoo.contract.codec import TOTAL, Codec
from zoo.contract.specs import Label
from zoo.core.errors import PluginError

TRIED = settings(max_examples=60, deadline=None, database=None)


def random_tables(shape: tuple[int, ...], seed: int, skew: float) -> NDArray[np.int32]:
    """Rows that sum to 2**16; the larger `skew`, the nearer some are to one symbol with all that is left."""
    counts = np.random.default_rng(seed).exponential(size=shape) ** skew * 1000
    return zoo.frequencies(torch.from_numpy(counts.astype(np.int64).clip(0, 2**30))).numpy()


@st.composite
def codings(draw: st.DrawFn) -> tuple[NDArray[np.int32], Codec, Label]:
    """Tables of any size that a codec may have: axes of the context and of the grid are whole, 1 or not there."""
    axes, classes = draw(st.integers(0, 3)), draw(st.integers(1, 6))
    grid = tuple(draw(st.integers(1, 4)) for _ in range(axes))
    offset = st.tuples(*[st.integers(-2, 2)] * axes).filter(lambda steps: next((s for s in steps if s), 0) < 0)
    context = tuple(draw(st.lists(offset, max_size=2, unique=True))) if axes else ()
    codec, symbols = Codec(context=context), Label(classes, grid)
    whole = codec.shape(symbols)
    shape = tuple(draw(st.sampled_from([1, size])) for size in whole[:-1])
    shape = (*shape[draw(st.integers(0, len(shape))) :], classes) if set(shape) <= {1} else (*shape, classes)
    return random_tables(shape, draw(st.integers(0, 99)), draw(st.sampled_from([0, 1, 4, 12]))), codec, symbols


def by_definition(symbols: NDArray[np.int64], codec: Codec) -> Iterator[tuple[int, ...]]:
    """A loop over the symbols of all samples: the values of the context, the place, and the symbol."""
    grid = symbols.shape[1:]
    for sample in symbols:
        for place in itertools.product(*map(range, grid)):
            earlier = [tuple(map(sum, zip(place, offset, strict=True))) for offset in codec.context]
            inside = [all(0 <= at < size for at, size in zip(other, grid, strict=True)) for other in earlier]
            values = [int(sample[other]) if there else 0 for other, there in zip(earlier, inside, strict=True)]
            yield (*values, *place, int(sample[place]))


@TRIED
@given(codings(), st.integers(1, 5), st.integers(0, 99))
def test_symbols_come_back_and_cost_what_their_tables_say(
    coding: tuple[NDArray[np.int32], Codec, Label], count: int, seed: int
) -> None:
    frequencies, codec, symbols = coding
    assert problem(frequencies, codec, symbols) == ""
    drawn = np.random.default_rng(seed).integers(0, symbols.classes, (count, *symbols.shape))
    tables, done = Tables(frequencies, codec, symbols), []
    payload = tables.encode(drawn)
    decoded = tables.decode(payload, count, lambda *progress: done.append(progress))
    assert decoded.dtype == np.int64
    assert np.array_equal(decoded, drawn)
    assert done == [(index + 1, count) for index in range(count)]
    whole = np.broadcast_to(frequencies, codec.shape(symbols))
    bits = sum(-math.log2(whole[place] / TOTAL) for place in by_definition(drawn, codec))
    assert bits - 1 <= 8 * (len(payload) - rans.STATE) + 16 <= bits + 33, "a state of 32 to 48 bits, and whole words"


@TRIED
@given(st.integers(2, 40), st.integers(0, 99), st.integers(1, 400), st.integers(1, 7))
def test_blocks_do_not_matter(classes: int, seed: int, count: int, block: int) -> None:
    """Many samples are looked up block by block, from the last; the bytes are those of all at once."""
    frequencies, symbols = random_tables((classes, 1, classes), seed, 2), Label(classes, (3,))
    tables = Tables(frequencies, Codec(context=((-1,),)), symbols)
    drawn = np.random.default_rng(seed).integers(0, classes, (count, 3))
    whole = tables.encode(drawn)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("zoo.codec.tables.BLOCK", 3 * block)
        assert tables.encode(drawn) == whole


@pytest.mark.parametrize("classes", [1, 2, 256, 65_536])
def test_extreme_tables(classes: int) -> None:
    """One symbol that has all but what the others need; and as many symbols as there may be."""
    frequencies = np.ones((1, classes), np.int64)
    frequencies[0, classes // 2] += TOTAL - classes
    symbols = Label(classes, (50,))
    assert problem(frequencies, Codec(), symbols) == ""
    tables = Tables(frequencies, Codec(), symbols)
    drawn = np.stack([np.full(50, classes // 2), np.full(50, classes - 1), np.arange(50) % classes])
    payload = tables.encode(drawn)
    assert np.array_equal(tables.decode(payload, 3), drawn)
    assert len(tables.encode(drawn[:1])) == rans.STATE + (100 if classes == 65_536 else 0), "no bits, or 16 a symbol"


def test_the_bytes_of_a_payload_never_change() -> None:
    """Streams that exist are to be read: another coder needs another number in the header."""
    frequencies = np.array([[65535, 1], [300, 65236]], np.int32)[:, None]
    symbols = np.array([[0, 0, 0, 1, 1, 1, 0, 1], [1, 1, 1, 1, 1, 1, 1, 1]])
    payload = Tables(frequencies, Codec(context=((-1,),)), Label(2, (8,))).encode(symbols)
    assert payload.hex(" ", -2) == "0105 3aad e300 0319 ffff 8c01"


@TRIED
@given(codings(), st.integers(0, 99), st.binary(max_size=12))
def test_any_payload_is_read_or_refused(coding: tuple[NDArray[np.int32], Codec, Label], seed: int, tail: bytes) -> None:
    """Cut, longer, or made up: symbols of the right form, or one kind of error."""
    frequencies, codec, symbols = coding
    tables = Tables(frequencies, codec, symbols)
    drawn = np.random.default_rng(seed).integers(0, symbols.classes, (3, *symbols.shape))
    payload = tables.encode(drawn)
    for other in (tail, payload + tail, *(payload[:end] for end in range(len(payload)))):
        try:
            found = tables.decode(other, 3)
        except rans.Exhausted:
            continue
        assert found.shape == drawn.shape
        assert found.min() >= 0
        assert found.max() < symbols.classes
        assert tables.encode(found) == other, "a payload that is read is the only one of its symbols"


@pytest.mark.parametrize(
    ("frequencies", "says"),
    [
        (np.full((4,), 16384, np.float32), "are float32, and must be int32 or int64"),
        (np.full((4,), 16384, np.int16), "are int16, and must be int32 or int64"),
        (np.full((5,), 13107, np.int32), "have the shape (5,), which does not broadcast against (4, 2, 3, 4)"),
        (np.full((1,), 65536, np.int32), "have the shape (1,)"),
        (np.full((3, 2, 3, 4), 16384, np.int32), "have the shape (3, 2, 3, 4)"),
        (np.full((1, 4, 2, 3, 4), 16384, np.int32), "have the shape (1, 4, 2, 3, 4)"),
        (np.array(65536), "have the shape ()"),
        (np.array([0, 65536, 0, 0]), "have the frequency 0, and each must be from 1 to 65536"),
        (np.array([-1, 65535, 1, 1]), "have the frequency -1"),
        (np.array([1, 2, 3, 4]), "have the sum 10 in row [], and each row must sum to 65536"),
        (np.array([[16384] * 4] * 2 + [[16384, 16384, 16384, 16385]]), "have the sum 65537 in row [2]"),
        (np.array([2**62, 2**62, 2**62, 2**62 + 65536]), "have the frequency 46"),
        (np.array([2**32 + 16384, 16384, 16384, 16384]), "have the frequency 4294983680"),
    ],
)
def test_tables_that_are_none(frequencies: NDArray[np.int64], says: str) -> None:
    assert says in problem(frequencies, Codec(context=((-1, 0),)), Label(4, (2, 3)))


@pytest.mark.parametrize(
    ("context", "says"),
    [
        (((0, 0),), "leads to no earlier symbol"),
        (((0, 1),), "leads to no earlier symbol"),
        (((1, -1),), "leads to no earlier symbol"),
        (((),), "leads to no earlier symbol"),
        (((0, -1), (0, -1)), "must differ"),
        (((0, -1), (-1,)), "must have one length"),
        (tuple((-1, step) for step in range(5)), "at most 4"),
        ((0, -1), "Codec: context[0] is 0"),
    ],
)
def test_a_context_that_cannot_be(context: tuple[tuple[int, ...], ...], says: str) -> None:
    with raises(PluginError, says):
        Codec(context=context)


@TRIED
@given(
    st.lists(st.lists(st.integers(0, 2**30), min_size=3, max_size=3), min_size=1, max_size=4),
    st.sampled_from([torch.int64, torch.int32]),
)
def test_frequencies_are_in_proportion(rows: list[list[int]], dtype: torch.dtype) -> None:
    counts = torch.tensor(rows, dtype=dtype)
    found = zoo.frequencies(counts)
    assert found.dtype == torch.int32
    assert found.shape == counts.shape
    assert found.min() >= 1
    assert (found.sum(-1) == TOTAL).all()
    for row, made in zip(rows, found.tolist(), strict=True):
        total = sum(row)
        ideal = [1 + (TOTAL - 3) * count / total if total else TOTAL / 3 for count in row]
        assert all(abs(one - other) < 1 for one, other in zip(made, ideal, strict=True))
        assert all(a <= b for (x, a), (y, b) in itertools.permutations(zip(row, made, strict=True), 2) if x < y)


def test_frequencies_of_many_symbols_and_of_none() -> None:
    assert zoo.frequencies(torch.zeros(2, TOTAL, dtype=torch.int64)).eq(1).all()
    assert zoo.frequencies(torch.tensor([7])).tolist() == [TOTAL]
    assert zoo.frequencies(torch.zeros(0, 5, dtype=torch.int64)).shape == (0, 5)
    assert zoo.frequencies(torch.tensor([0, 0, 0])).tolist() == [21846, 21845, 21845]


@pytest.mark.parametrize(
    ("counts", "says"),
    [
        (torch.ones(3), "integer counts"),
        (torch.ones(3, dtype=torch.bool), "integer counts"),
        (torch.tensor(3), "integer counts"),
        (torch.ones(0, dtype=torch.int64), "integer counts"),
        (torch.ones(TOTAL + 1, dtype=torch.int64), "1 to 65,536 symbols"),
        (torch.tensor([1, -1]), "counts of at least 0, and got -1"),
        (torch.tensor([1, 2**31]), "counts up to 2**30, and got 2147483648"),
    ],
)
def test_counts_that_are_none(counts: torch.Tensor, says: str) -> None:
    with raises(PluginError, says):
        zoo.frequencies(counts)


@TRIED
@given(codings(), st.integers(1, 4), st.integers(0, 99))
def test_counts_of_symbols_by_context(coding: tuple[NDArray[np.int32], Codec, Label], count: int, seed: int) -> None:
    _, codec, symbols = coding
    drawn = np.random.default_rng(seed).integers(0, symbols.classes, (count, *symbols.shape))
    found = zoo.symbol_counts(torch.from_numpy(drawn), symbols.classes, codec.context)
    wanted, used = np.zeros([symbols.classes] * (len(codec.context) + 1), np.int64), len(codec.context)
    for place in by_definition(drawn, codec):
        wanted[(*place[:used], place[-1])] += 1
    assert np.array_equal(found.numpy(), wanted)


def test_counts_of_what_is_no_symbol() -> None:
    with raises(PluginError, "symbols from 0 to 4, of 4"):
        zoo.symbol_counts(torch.tensor([[0, 4]]), 4)
    with raises(PluginError, "more than 268,435,456 counts"):
        zoo.symbol_counts(torch.tensor([[0, 4]]), 70_000, ((-1,),))
