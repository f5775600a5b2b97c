"""array:FILE: numbers in .npy, .csv and Parquet, with and without a column of classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import zoo
from conftest import Refused, raises
from zoo import data
from zoo.contract.data import Split
from zoo.core.errors import DataError


def load(path: Path, split: Split = "train", **options: object) -> data.DataSplit:
    return data.load(f"array:{path}", split, **options)


@pytest.mark.parametrize("shape", [(), (3,), (4, 2, 3)])
@pytest.mark.parametrize("dtype", [np.float64, np.uint8, np.bool_])
def test_npy_files_have_one_sample_a_row(tmp_path: Path, shape: tuple[int, ...], dtype: type) -> None:
    rows = np.random.default_rng(0).normal(size=(25, *shape)).astype(dtype)
    np.save(tmp_path / "a.npy", rows)
    train, test = load(tmp_path / "a.npy"), load(tmp_path / "a.npy", "test")
    assert train.sample == zoo.Sample(zoo.Array(shape))
    assert train.x.dtype == np.float32
    assert np.array_equal(test.x, rows[::10].astype(np.float32))
    assert np.array_equal(train.x, rows[np.arange(25) % 10 > 0].astype(np.float32))
    assert train.labels is None
    assert (train.name, len(train), len(test)) == ("array:a.npy", 22, 3)


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_tables_may_have_a_column_of_classes(tmp_path: Path, ending: str) -> None:
    columns = {"a": [*range(20)], "label": ["up", "down"] * 10, "b": [0.5] * 20, "number": [10, 9, 9, 10] * 5}
    path = tmp_path / f"a{ending}"
    if ending == ".csv":
        rows = [",".join(columns), *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True))]
        path.write_text("\n".join(rows))
    else:
        parquet = pytest.importorskip("pyarrow.parquet")
        parquet.write_table(pytest.importorskip("pyarrow").table(columns), path)
    found = load(path)
    assert found.sample == zoo.Sample(zoo.Array((3,)), {"label": zoo.Label(2)})
    assert found.classes == found.sample["label"].names == ("down", "up")
    assert found.sample.x.names == ("a", "b", "number")
    assert found.labels.tolist()[:3] == [0, 1, 0]
    assert found.x[0].tolist() == [1, 0.5, 9]
    with raises(
        DataError,
        "column 'label' has 'up' in",
        "1" if ending == ".parquet" else "2",
        "is no number. Replace it, or leave the column out",
    ):
        load(path, label="number")
    path.write_bytes(path.read_bytes().replace(b"label", b"kinds"))
    found = load(path, label="kinds") if ending == ".csv" else None
    assert found is None or (found.classes == ("down", "up") and found.sample.x == zoo.Array((3,)))


def test_classes_that_are_numbers_are_in_order(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,label\n" + "".join(f"{row},{(10, 9, 2)[row % 3]}\n" for row in range(12)))
    found = load(tmp_path / "a.csv")
    assert found.classes == ("2", "9", "10")
    assert found.labels[:3].tolist() == [1, 0, 2]


@pytest.mark.parametrize(
    ("name", "content", "options", "words"),
    [
        ("a.csv", "a,b\n1,2\n3,4\n", {"label": "c"}, ("has no column 'c'.", "It has: a, b.")),
        ("a.csv", "a,speed\n1,2\n3,4\n", {"label": "spede"}, ("Did you mean 'speed'?",)),
        ("a.csv", "a,b\n1,2\n", {}, ("has 1 of at least 2 samples",)),
        ("a.csv", "a,b\n1,2\n3,1e300\n", {}, ("column 'b' has '1e+300' in line 3, which is no finite float32 number",)),
        ("a.csv", "label\n1\n2\n", {}, ("has no column of numbers",)),
        ("a.txt", "1\n2\n", {}, ("a.txt' must end in .npy, .csv or .parquet.",)),
        ("a.npy", b"no array", {}, ("is no array that can be read",)),
        ("a.npy", np.array(["a", "b"]), {}, ("it must be numbers, one sample a row",)),
        ("a.npy", np.array(1.0), {}, ("of shape ()",)),
        ("a.npy", np.array([[1, np.nan], [1, 2]]), {}, ("has nan in row 1, which is no finite float32 number",)),
        ("a.npy", np.zeros((4, 2)), {"label": "x"}, ("has no column 'x': a .npy file has no columns with names",)),
    ],
)
def test_what_is_no_data_is_one_line(
    tmp_path: Path, name: str, content: object, options: dict[str, str], words: tuple[str, ...]
) -> None:
    path = tmp_path / name
    if isinstance(content, np.ndarray):
        np.save(path, content)
    else:
        path.write_bytes(content.encode() if isinstance(content, str) else content)  # type: ignore[arg-type]
    with raises(DataError, name, *words):
        load(path, **options)


def test_columns_of_a_split_are_taken_by_name(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("b,a,c\n" + "1,2,3\n" * 20)
    found = load(tmp_path / "a.csv")
    taken = found.with_columns(zoo.Array((2,), names=("c", "b")))
    assert taken.x[0].tolist() == [3, 1]
    assert (taken.sample, taken.sample.x.names) == (zoo.Sample(zoo.Array((2,))), ("c", "b"))
    assert found.with_columns(zoo.Array((3,))) is found
    with raises(DataError, "array:a.csv has no column 'd', which the model takes. It has: b, a, c."):
        found.with_columns(zoo.Array((2,), names=("a", "d")))
    (tmp_path / "b.csv").write_text("1,2\n" * 20)
    assert load(tmp_path / "b.csv").sample.x.names == ()


def test_a_folder_or_a_missing_file_is_one_line(tmp_path: Path, refused: Refused) -> None:
    with raises(DataError, "is a folder, and array: takes a .npy, .csv or .parquet file"):
        load(tmp_path)
    with raises(DataError, "does not exist"):
        load(tmp_path / "none.csv")
    (tmp_path / "a.csv").write_text("1,2\n3,4\n")
    refused("train", "ae.tiny", "--data", "a.csv", says=("No data set named 'a.csv'.", "Did you mean 'array:a.csv'?"))
    refused("train", "ae.tiny", "--data", "array:a.csv", says=("array",))
