"""Tables of numbers: CSV and Parquet, with and without names, and what is wrong in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from conftest import python, raises
from zoo.core.errors import DataError
from zoo.media import table


@pytest.mark.parametrize("shape", [(3,), (3, 2), (2, 2, 3)])
def test_numbers_are_read_back_as_they_were(tmp_path: Path, shape: tuple[int, ...]) -> None:
    numbers = (np.random.default_rng(0).normal(size=shape) * 10.0 ** np.arange(-20, 20)[: shape[-1]]).astype(np.float32)
    (tmp_path / "a.csv").write_text(table.write(numbers))
    again = table.read(tmp_path / "a.csv").numbers().astype(np.float32)
    assert np.array_equal(again, numbers.reshape(len(numbers), -1))


def test_columns_are_named_by_their_place() -> None:
    assert table.write(np.zeros((1, 2, 2))).splitlines() == ["x0_0,x0_1,x1_0,x1_1", "0.0,0.0,0.0,0.0"]
    assert table.write(np.array([0.1, 2], np.float32)).splitlines() == ["x", "0.1", "2.0"]


def test_the_first_row_has_names_unless_it_has_numbers_alone() -> None:
    assert [*table.parse("a,b\n1,2\n")] == ["a", "b"]
    assert [*table.parse("\ufeffa,b\n1,2\n".lstrip("\ufeff"))] == ["a", "b"]
    assert {name: column.tolist() for name, column in table.parse("1,2\n3,4\n").items()} == {"x0": [1, 3], "x1": [2, 4]}
    assert table.parse('kind,"a, b"\nup,1e3\n')["a, b"].tolist() == [1000]


def test_parquet_is_read_as_csv_is(tmp_path: Path) -> None:
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    columns = {"a": [1, 2, 3], "b": [0.5, -1.0, 2.0], "kind": ["x", "y", "x"], "on": [True, False, True]}
    parquet.write_table(arrow.table(columns), tmp_path / "a.parquet")
    found = table.read(tmp_path / "a.parquet")
    assert {name: column.tolist() for name, column in found.columns.items()} == columns
    assert found.columns["a"].dtype == np.float64
    parquet.write_table(arrow.table({"a": [1.0, None, 3.0]}), tmp_path / "holes.parquet")
    with raises(DataError, "column 'a' has 'None' in row 2", "which is no number"):
        table.read(tmp_path / "holes.parquet").numbers()
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 no more")
    with raises(DataError, "bad.parquet is no table that can be read"):
        table.read(tmp_path / "bad.parquet")


def test_parquet_without_pyarrow_is_one_line(tmp_path: Path) -> None:
    code = "from zoo.media import table\ntry: table.read('a.parquet')\nexcept Exception as error: print(error)"
    said = python(code, block=("pyarrow",), cwd=tmp_path)
    assert said.strip() == (
        "Reading Parquet files needs pyarrow, which is not installed. Run: pip install 'genzoo[table]'"
    )


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "has no rows"),
        ("a,b\n", "has no rows"),
        ("a,b\n1,2\n3\n", "row 3 has 1 cells, and row 1 has 2"),
        ("a,a\n1,2\n", "two of its columns have one name"),
        ("a,b\n1,2\n3,nan\n", "column 'b' has 'nan' in row 2, which is no number"),
        ("a,b\n1,\n", "column 'b' has '' in row 1, which is no number"),
        (b"\xff\xfe\x00", "is no table that can be read"),
    ],
)
def test_what_is_no_table_is_one_line(tmp_path: Path, content: str | bytes, words: str) -> None:
    (tmp_path / "a.csv").write_bytes(content.encode() if isinstance(content, str) else content)
    with raises(DataError, "a.csv", words):
        table.read(tmp_path / "a.csv").numbers()


def test_the_top_of_a_table_is_small() -> None:
    text = table.write(np.arange(80.0).reshape(8, 10) / 3)
    top = table.excerpt(text)
    assert top[0] == ["x0", "x1", "x2", "x3", "x4", "x5", "…"]
    assert top[1][:2] == ["0", "0.3333"]
    assert [len(row) for row in top] == [7] * 6
    assert top[-1] == ["…"] * 7
    assert table.excerpt("a,b\n1,x\n") == [["a", "b"], ["1", "x"]]
