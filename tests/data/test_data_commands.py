"""``zoo data list``, ``get`` and ``info``, and the guide to the data sets."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conftest import Command, Refused, python
from data_files import NAMED
from zoo import registry
from zoo.cli.data import size
from zoo.contract.data import AudioOptions
from zoo.data import named, where
from zoo.data.where import locate
from zoo.media import wav

REAL = os.environ.get("ZOO_DATA_DIR")
GUIDE = (Path(__file__).parents[2] / "docs" / "how-to" / "data.md").read_text("utf-8")


@pytest.fixture(autouse=True)
def no_data_dir(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ZOO_DATA_DIR", raising=False)


def test_list(zoo_command: Command, tmp_path: Path) -> None:
    for name, content in (("shakespeare/input.txt", b"not even the right one"), ("fsdd/other.tar.gz", b"")):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(content)
    rows = json.loads(zoo_command("data", "list", "--json", "--data-dir", tmp_path).stdout)
    assert [row["name"] for row in rows] == list(NAMED)
    found = {row["name"]: row for row in rows}
    assert found["cifar10"] == {
        "name": "cifar10",
        "kind": "image",
        "title": named("cifar10").card.title,
        "train": 50_000,
        "test": 10_000,
        "shape": [3, 32, 32],
        "classes": 10,
        "licence": named("cifar10").card.licence,
        "package": "",
        "where": None,
        "distribution": "genzoo",
        "note": "",
    }
    assert found["shakespeare"]["where"] == str(tmp_path / "shakespeare")  # no data is read
    assert found["fsdd"]["where"] is None
    assert found["digits"]["where"] == "part of scikit-learn"
    lines = zoo_command("data", "list", env={"ZOO_DATA_DIR": str(tmp_path)}).stdout.splitlines()
    assert [line.split()[0] for line in lines[1 : len(NAMED) + 1]] == list(NAMED)
    assert lines[-1].startswith(f"Data folder: {tmp_path}. Your own: array:FILE")


@pytest.mark.parametrize("arguments", [["list"], ["info", "cifar10"], ["--help"]])
def test_looking_at_data_imports_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys, zoo.cli\n"
        f"sys.argv = ['zoo', 'data', *{arguments!r}]\n"
        "try: zoo.cli.main()\n"
        "except SystemExit as done: assert not done.code, done.code\n"
        "print([name for name in ('torch', 'numpy', 'sklearn', 'PIL', 'onnxruntime') if name in sys.modules])"
    )
    assert python(code).splitlines()[-1] == "[]"


def test_info(zoo_command: Command, tmp_path: Path) -> None:
    about = json.loads(zoo_command("data", "info", "cifar10", "--data-dir", tmp_path, "--json").stdout)
    assert about["classes"][9] == "truck"
    assert about["where"] is None
    assert about["loader"] == "tried on small files of the same format"
    assert [file["name"] for file in about["files"]][:2] == ["cifar-10-binary.tar.gz", "data_batch_1.bin"]
    assert about["files"][0]["looked for in"] == [str(tmp_path / "cifar10"), str(tmp_path)]
    text = zoo_command("data", "info", "mnist", "--data-dir", tmp_path).stdout
    for part in (*named("mnist").files["train"], *named("mnist").files["test"]):
        assert f"SHA-256 of the unpacked bytes: {part.sha256}" in text
    assert "doi.org/10.1109/5.726791" in text


def test_a_image_of_a_set(zoo_command: Command, tmp_path: Path) -> None:
    for name in ("digits", "descriptions"):
        done = zoo_command("data", "info", name, "-o", f"{name}.png")
        assert done.stdout.endswith(f"{name}.png written\n")
        with Image.open(tmp_path / f"{name}.png") as image:
            assert min(image.size) > 200
            assert len(set(image.convert("L").tobytes())) > 10


@pytest.mark.parametrize("name", [name for name in NAMED if named(name).options is AudioOptions or "mnist" in name])
def test_a_image_of_a_published_set(name: str, zoo_command: Command, tmp_path: Path) -> None:
    if not REAL or where.located(name, Path(REAL)) is None:
        pytest.skip(f"set ZOO_DATA_DIR to a folder with {name}")
    assert zoo_command("data", "info", name, "-o", "a.png", "--data-dir", REAL).returncode == 0
    with Image.open(tmp_path / "a.png") as image:
        assert image.size[0] >= 400


def test_a_set_that_a_formula_makes_is_always_there(zoo_command: Command, tmp_path: Path) -> None:
    assert zoo_command("data", "get", "tones").stdout == "tones: part of genzoo (was there)\n"
    about = json.loads(zoo_command("data", "info", "tones", "--data-dir", tmp_path, "--json").stdout)
    assert about["where"] == "part of genzoo"
    assert about["files"] == []


def test_get(zoo_command: Command, tmp_path: Path) -> None:
    assert zoo_command("data", "get", "digits", "descriptions").stdout == (
        "digits: part of scikit-learn (was there)\ndescriptions: part of scikit-learn (was there)\n"
    )


def test_own_data_is_read_and_described(zoo_command: Command, zoo_call: Command, tmp_path: Path) -> None:
    rows = "".join(f"{row},{('up', 'down')[row % 2]},{row / 2}\n" for row in range(20))
    (tmp_path / "t.csv").write_text("a,label,b b\n" + rows)
    about = json.loads(zoo_command("data", "info", "array:t.csv", "--json").stdout)
    assert {key: about[key] for key in ("name", "train", "test", "unit", "classes", "counts")} == {
        "name": "array:t.csv", "train": 18, "test": 2, "unit": "samples", "classes": ["down", "up"],
        "counts": {"train": [10, 8], "test": [0, 2]},
    }  # fmt: skip
    assert about["fields"]["x"] == {"kind": "array", "shape": [2], "names": ["a", "b b"]}
    assert "loader" not in about
    said = zoo_call("data", "info", "array:t.csv", "--set", "data.label=label", "-o", "first.csv").stdout
    for line in (
        "train:    18 samples",
        "test:     2 samples",
        "classes:  down (10 + 0), up (8 + 2)",
        "field:    x (array 2: a, b b)",
        "field:    label (label 2)",
        "split:    every tenth sample to test",
        "option:   label = label",
        "first.csv written",
    ):
        assert line in said
    assert (tmp_path / "first.csv").read_text().startswith("a,b b\n")
    (tmp_path / "pics" / "cat").mkdir(parents=True)
    (tmp_path / "pics" / "cat" / "notes.md").touch()
    for number, side in enumerate((8, 8, 8, 9)):
        Image.new("L", (side, side), number).save(tmp_path / "pics" / "cat" / f"{number}.png")
    said = zoo_call("data", "info", "folder:pics", "--set", "data.size=8").stdout
    for line in (
        "train:    3 images",
        "classes:  cat (3 + 1)",
        "field:    x (image 1×8×8)",
        "note:     1 file does not",
    ):
        assert line in said
    (tmp_path / "a.txt").write_text("abcd" * 100)
    said = zoo_call("data", "info", "text:a.txt", "--set", "data.length=16").stdout
    assert "train:    360 characters" in said
    assert "field:    x (text 16, 4 different characters)" in said
    tones = tmp_path / "clips"
    tones.mkdir()
    for name in "ab":
        (tones / f"{name}.wav").write_bytes(wav.write(np.zeros(800, np.int16), 8000))
    assert "field:    x (audio 8000, 8000 Hz)" in zoo_call("data", "info", "audio:clips").stdout


def test_what_cannot_be_read_of_own_data_is_one_line(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\n1,2\n3,x\n")
    refused("data", "info", "array:t.csv", says=("t.csv: column 'b' has 'x' in line 3, which is no number",))
    refused("data", "info", "folder:pics", says=("The folder 'pics' does not exist",))
    refused("data", "info", "array:", says=("'array:' names no file. Write array:FILE",))
    refused("data", "info", "mnist:x", says=("No data set named 'mnist:x'. Did you mean 'mnist'?",))
    refused(
        "data", "info", "array:t.csv", "--set", "label=b", says=("'label=b' is not data.OPTION=VALUE", "--set data.")
    )
    refused("data", "info", "array:t.csv", "--set", "data.lable=b", says=("no option 'lable'. Did you mean 'label'?",))
    refused("data", "info", "text:t.csv", "--set", "data.length=0", says=("data.length = 0 is out of range",))


def test_a_set_without_published_files_has_no_loader_to_try(zoo_call: Command) -> None:
    for name, shown in (("array", False), ("tones", False), ("digits", True), ("mnist", True)):
        assert ("loader:" in zoo_call("data", "info", name).stdout) == shown


def test_what_is_refused(refused: Refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refused("data", "get", "mnits", says=("No data set named 'mnits'", "Did you mean 'mnist'?"))
    refused("data", "get", "folder:pics", says=("'folder:pics' is your own data", "or one of cifar10"))
    refused("data", "info", "nothing", says=("No data set named 'nothing'",))
    refused("data", "get", says=("Missing argument 'NAME…'", "zoo data get --help"))
    refused("data", "lsit", says=("No such command 'lsit'",))
    refused(
        "data", "get", "digits", "fsdd", "--data-dir", tmp_path,
        says=("fsdd-recordings.tar.gz", f"Put fsdd-recordings.tar.gz into {tmp_path / 'fsdd'}", "or set ZOO_DATA_DIR"),
    )  # fmt: skip
    refused("data", "info", "digits", "-o", "a.jpg", says=("'a.jpg' ends in '.jpg'", "must end in .png"))
    (tmp_path / "a.png").touch()
    refused("data", "info", "digits", "-o", "a.png", says=("a.png exists already", "--force"))
    monkeypatch.setitem(sys.modules, "sklearn", None)
    refused("data", "get", "digits", says=("needs scikit-learn", "pip install 'genzoo[train]'"))


def test_names_are_completed(zoo_command: Command) -> None:
    for words, found in (("zoo data get fas", "fashion-mnist"), ("zoo train vae.tiny --data aud", "audio:")):
        env = {"COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1), "_ZOO_COMPLETE": "bash_complete"}
        assert found in zoo_command(env=env).stdout


def test_the_guide_has_every_set() -> None:
    """docs/how-to/data.md holds the table of the sets, made from the one in the code."""
    made = [
        "| name | what | train + test | fields | licence | tried on |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for row in registry.data_rows():
        known, fields = named(row.name) if not row.place else None, registry.read_file(registry.OWN).data[row.name]
        if known is None:
            assert f"`{row.name}:{row.place}`" in GUIDE
            continue
        tried = "the published files" if known.proven else "small files of the format"
        counts = size({"train": None, "test": None, "package": "", **row.entry})
        forms = ", ".join(
            f"{name} {'×'.join(map(str, form['shape'])) or form['classes']}" for name, form in fields["fields"].items()
        )
        cells = (f"`{row.name}`", known.card.title, counts, forms, known.card.licence, tried)
        made.append("| " + " | ".join(cells) + " |")
    assert "\n".join(made) in GUIDE, "put this table into docs/how-to/data.md:\n" + "\n".join(made)
    for name in NAMED:
        known = named(name)
        for file in (*known.every_file, *(file for files in known.unpacked.values() for file in files)):
            assert f"`{file.name}`" in GUIDE
            assert all(folder in GUIDE for folder in file.folders)


def test_a_file_is_found_in_each_of_its_folders(tmp_path: Path) -> None:
    for name in NAMED:
        for file in named(name).every_file:
            for folder in file.folders:
                path = tmp_path / folder / file.name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
                assert locate(file, tmp_path) == path
                path.unlink()
            assert locate(file, tmp_path) is None
