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


def test_columns_are_taken_by_name(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("kind,b b,a,é\nup,1,2,3\nup,4,5,6\n", "utf-8")
    found = table.read(tmp_path / "a.csv")
    assert found.named
    assert found.numbers(["a", "é"]).tolist() == [[2, 3], [5, 6]]
    with raises(DataError, "a.csv has no column 'c'. Add it. It has: kind, b b, a, é."):
        found.numbers(["a", "c"])
    with raises(DataError, "a.csv has no column 'kinds'. Did you mean 'kind'?"):
        found.numbers(["kinds"])
    (tmp_path / "b.csv").write_text("1,2\n3,4\n")
    assert not table.read(tmp_path / "b.csv").named


def test_names_are_written_unless_they_would_be_a_row() -> None:
    assert table.write(np.zeros((1, 2)), ("b, b", "é")).splitlines() == ['"b, b",é', "0.0,0.0"]
    for names in (("0", "1"), ("a",), ()):
        assert table.write(np.zeros((1, 2)), names).splitlines()[0] == "x0,x1"


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
    with raises(DataError, "column 'a' has 'None' in row 2, which is no number"):
        table.read(tmp_path / "holes.parquet").numbers()
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 no more")
    with raises(DataError, "bad.parquet is no table that can be read: ", ". Save it again."):
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
        ("a,b\n1,2\n3\n", "line 3 has 1 cell, and line 1 has 2 cells. Give every line as many"),
        ("\n\na,b\n\n1,2\n3\n", "line 6 has 1 cell, and line 3 has 2 cells"),
        ("a,a\n1,2\n", "two of its columns are called 'a'. Rename one"),
        (",,a\n1,2,3\n", "two of its columns are called ''. Rename one"),
        ("a,b\n1,2\n3,nan\n", "column 'b' has 'nan' in line 3, which is no finite float32 number. Replace it"),
        ("a,b\n1,2\n3,-inf\n", "column 'b' has '-inf' in line 3, which is no finite float32 number. Replace it"),
        ("a,b\n1,2\n3,1e50\n", "column 'b' has '1e+50' in line 3, which is no finite float32 number. Replace it"),
        ("a,b\nx,1e50\n", "column 'a' has 'x' in line 2, which is no number. Replace it, or leave the column out."),
        ("a,b\n1,\n", "column 'b' has '' in line 2, which is no number"),
        ('a,"b\nc"\n\n1,"2\n"\n\n3,"\nno"\n', "column 'b c' has '\\nno' in line 7, which is no number"),
        ("1,nan\n3,4\n", "column 'x1' has 'nan' in line 1, which is no finite float32 number"),
        ("1,\n3,4\n", "column 'x1' has '' in line 1, which is no number"),
        (b"\xff\xfe\x00", "is not UTF-8: byte 0 is no character. Save it as UTF-8."),
        ("a,b\n1,\x002\n", "column 'b' has '\\x002' in line 2, which is no number"),
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
