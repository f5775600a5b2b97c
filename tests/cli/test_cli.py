"""The commands as people and scripts use them, on real input."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import zoo
from conftest import Command, Shelf, one_error, python, slow
from data_files import digits
from zoo import data, registry
from zoo.cli import main
from zoo.cli.arguments import table
from zoo.release import read
from zoo.training import checkpoints, run_folder


def test_list_filters_and_json(zoo_call: Command) -> None:
    rows = json.loads(zoo_call("list", "--json").stdout)
    names = [row["name"] for row in rows]
    assert {"ae.mnist", "vae.mnist", "dcgan.digits", "chargpt.shakespeare"} <= set(names)
    assert names == [name for name in zoo.list_models() if not name.endswith(".tiny")]
    every = json.loads(zoo_call("list", "--all", "--json").stdout)
    assert [row["name"] for row in every] == zoo.list_models()
    models = registry.parse((Path(__file__).parents[2] / registry.FILE).read_text("utf-8"))["models"]
    encoders = {row["model"] for row in json.loads(zoo_call("list", "--task", "encode", "--json").stdout)}
    assert encoders == {name for name, entry in models.items() if "encode" in entry["tasks"]} >= {"ae", "vae"}
    mnist = [line.split()[:2] for line in zoo_call("list", "*.mnist").stdout.splitlines()[1:]]
    released = zoo.list_models("*.mnist", pretrained=True)
    assert mnist == [
        [name, "mnist*" if f"{name}.mnist" in released else "mnist"]
        for name in sorted(models)
        if "mnist" in models[name]["recipes"]
    ]
    (line,) = zoo_call("list", "vae.*").stdout.splitlines()[1:]
    assert {"digits*", "mnist*", "mnist-beta4"} < set(line.split())
    assert "tiny" not in line
    assert zoo_call("list", "vae.tiny").stdout.splitlines()[1].split()[:2] == ["vae", "tiny"]
    one_error(zoo_call("list", "nothing*"), "No model matches 'nothing*'", "zoo list")
    one_error(zoo_call("list", "--task", "encoder"), "No model has the task 'encoder'", "Did you mean", "reconstruct")
    one_error(zoo_call("list", "--data", "mars"), "No model has the data set 'mars'", "cifar10-jpeg")


def test_info_of_a_model_a_recipe_and_a_release(zoo_call: Command, shelf: Shelf) -> None:
    assert "vae.mnist" in json.loads(zoo_call("info", "vae", "--json").stdout)["recipes"]
    recipe = json.loads(zoo_call("info", "vae.mnist", "--json").stdout)["recipe"]
    assert recipe["data"]["value"] == "mnist"
    about = json.loads(zoo_call("info", str(shelf.run("ae")), "--json").stdout)
    assert about["name"] == "ae.tiny"
    assert "encode" in about["tasks"]


def test_a_run_folder_holds_what_the_guide_says(shelf: Shelf) -> None:
    run = shelf.run("vae")
    described = json.loads((run / "recipe.json").read_text())
    assert described["name"] == "vae.tiny"
    assert described["data"]["name"] == "digits"
    assert len(described["data"]["sha256"]) == 64
    assert (run / run_folder.METRICS).is_file()
    assert checkpoints.steps(run)[-1] == 20
    assert len(checkpoints.steps(run)) <= 3
    assert len(list((run / run_folder.SAMPLES).glob("*.png"))) == 10


def test_a_release_folder_holds_what_the_guide_says(model_name: str, shelf: Shelf) -> None:
    release = read(shelf.release(model_name))
    names = {path.name for path in release.folder.iterdir()}
    graphs = {f"{task}.onnx" for task in release.tasks}
    image = set() if release.generation is None else {"samples.png", "generate.onnx"}
    always = {"README.md", "manifest.json", "metrics.jsonl", "model.safetensors"}
    assert names - {"samples.txt", "samples.wav"} == always | image | graphs
    lines = [json.loads(line) for line in (release.folder / "metrics.jsonl").read_text().splitlines()]
    assert lines[-1]["step"] == release.manifest["provenance"]["step"]
    assert set(release.files) == names - {"manifest.json", "README.md"}
    card = (release.folder / "README.md").read_text()
    assert card.startswith("---\n")
    assert release.manifest["card"]["paper"] in card
    for task in release.tasks:
        assert f"`{task}`" in card


def test_generate_writes_images_or_arrays(zoo_call: Command, shelf: Shelf, tmp_path: Path) -> None:
    source = shelf.run("vae")
    assert zoo_call("generate", source, "-n", "4").stdout == "vae.tiny-seed0.png written\n"
    with Image.open(tmp_path / "vae.tiny-seed0.png") as image:
        assert image.size[0] == image.size[1] >= 300
    for seed, name in (("5", "a.npy"), ("5", "b.npy"), ("6", "c.npy")):
        assert zoo_call("generate", source, "-n", "4", "--seed", seed, "-o", name).returncode == 0
    a, b, c = (np.load(tmp_path / name) for name in ("a.npy", "b.npy", "c.npy"))
    assert a.shape == (4, 8, 8)
    assert np.array_equal(a, b)
    assert not np.array_equal(a, c)
    assert zoo_call("generate", source, "-n", "1", "--first", "2", "--seed", "5", "-o", "d.npy").returncode == 0
    assert np.abs(np.load(tmp_path / "d.npy")[0].astype(int) - a[2]).max() <= 1


def test_generate_writes_text(zoo_call: Command, shelf: Shelf, tmp_path: Path) -> None:
    done = zoo_call("generate", shelf.run("chargpt"), "--prompt", "The ", "--length", "40")
    assert done.stdout.startswith("The ")
    assert len(done.stdout) == 45  # and a line end
    again = zoo_call("generate", shelf.run("chargpt"), "--prompt", "The ", "--length", "40", "-o", "a.txt")
    assert again.returncode == 0
    assert (tmp_path / "a.txt").read_text() == done.stdout
    cold = zoo_call("generate", shelf.run("chargpt"), "--temperature", "0", "--length", "9", "-n", "2").stdout
    one, other = cold[:-1].split("\n\n", 1)
    assert len(one) == 9
    assert one == other


def test_text_may_be_longer_than_what_the_model_sees(shelf: Shelf) -> None:
    model = zoo.load(shelf.release("chargpt"))
    assert len(model.generate(1, length=50)[0]) == 50 > model.release.sample.x.shape[0]


def test_run_takes_images_and_arrays(zoo_call: Command, shelf: Shelf, tmp_path: Path) -> None:
    source, images = shelf.run("ae"), digits(tmp_path)
    assert zoo_call("run", source, "reconstruct", *images).stdout == "reconstruct.png written\n"
    printed = json.loads(zoo_call("run", source, "encode", *images).stdout)
    assert np.shape(printed) == (3, 4)
    assert zoo_call("run", source, "encode", *images, "-o", "codes.npy").returncode == 0
    np.testing.assert_allclose(np.load(tmp_path / "codes.npy"), printed, rtol=1e-5)
    assert zoo_call("run", source, "decode", "codes.npy", "-o", "back.npy").returncode == 0
    assert zoo_call("run", source, "reconstruct", *images, "-o", "same.npy").returncode == 0
    back, same = np.load(tmp_path / "back.npy").astype(int), np.load(tmp_path / "same.npy")
    assert back.shape == (3, 8, 8)
    assert np.abs(back - same).max() <= 1
    by_torch = zoo_call("run", source, "encode", *images, "--backend", "torch")
    np.testing.assert_allclose(json.loads(by_torch.stdout), printed, rtol=1e-4, atol=1e-5)


def test_tasks_are_methods_with_help(shelf: Shelf, tmp_path: Path) -> None:
    model = zoo.load(shelf.release("ae"))
    pixels = data.load("digits", "test").x[:70, 0]
    codes = model.encode(pixels)
    assert codes.shape == (70, 4)
    assert codes.dtype == np.float32
    np.testing.assert_allclose(model.encode(image=pixels[:1] / np.float32(255)), codes[:1], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(model.encode([Image.fromarray(pixels[0])]), codes[:1], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(model.encode(str(digits(tmp_path)[0])), codes[:1], rtol=1e-4, atol=1e-6)
    assert "image" in (model.encode.__doc__ or "")
    assert "encode" in repr(model)
    with pytest.raises(AttributeError, match="no task 'translate'"):
        _ = model.translate


def test_verify_says_what_it_checked(zoo_call: Command, shelf: Shelf) -> None:
    found = json.loads(zoo_call("verify", shelf.run("vae"), "--json").stdout)
    assert found["ok"]
    assert set(found) == {"ok", "files", "graphs", "samples", "parity"}
    assert "largest difference" in found["parity"]


def test_export_of_a_step_of_the_best_and_of_a_release(zoo_call: Command, shelf: Shelf, tmp_path: Path) -> None:
    run = shelf.run("vae")
    older = checkpoints.steps(run)[-2]
    assert zoo_call("export", run, "-o", "older", "--checkpoint", str(older)).returncode == 0
    assert read(tmp_path / "older").manifest["provenance"]["step"] == older
    assert zoo.export(run, tmp_path / "best", checkpoint="best") == tmp_path / "best"
    copied = zoo.export(tmp_path / "best", tmp_path / "copy")
    assert (copied / "manifest.json").read_bytes() == (tmp_path / "best" / "manifest.json").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best", "copy", "older"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ae.tiny", *slow("vae.tiny", "dcgan.tiny")])
def test_own_colour_images_of_an_odd_size(name: str, tmp_path: Path) -> None:
    """folder:DIR, 13 × 10 pixels: trained, released, generated and reconstructed in colour."""
    random = np.random.default_rng(0)
    (tmp_path / "images").mkdir()
    for number in range(40):
        pixels = random.integers(0, 256, (13, 10, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "images" / f"{number:02}.png")
    run = zoo.train(name, data=f"folder:{tmp_path / 'images'}", out=tmp_path / "run", quiet=True)
    model = zoo.load(run.folder)
    images = model.generate(3)
    assert images.shape == (3, 13, 10, 3)
    if "reconstruct" in model.tasks:
        assert model.reconstruct(images).shape == (3, 13, 10, 3)
    assert str(tmp_path) not in (run.folder / "release" / "manifest.json").read_text()


@pytest.mark.slow
def test_own_text(tmp_path: Path) -> None:
    (tmp_path / "own.txt").write_text("åäö to be or not to be, that is the question. " * 20, "utf-8")
    run = zoo.train("chargpt.tiny", data=f"text:{tmp_path / 'own.txt'}", out=tmp_path / "run", quiet=True)
    (text,) = zoo.load(run.folder).generate(1, prompt="å", length=10)
    assert len(text) == 11
    assert text[0] == "å"


def test_settings_change_the_run_and_are_kept(zoo_call: Command, tmp_path: Path) -> None:
    done = zoo_call(
        "train", "ae.tiny", "--set", "hidden=12,6", "--set", "steps=3", "--set", "decay=linear", "--no-release"
    )
    assert done.returncode == 0, done.stderr
    recipe = json.loads((tmp_path / "runs" / "ae.tiny" / "recipe.json").read_text())["recipe"]
    assert recipe["hidden"] == [12, 6]
    assert recipe["decay"] == "linear"
    assert not (tmp_path / "runs" / "ae.tiny" / "release").exists()


def test_bf16_trains(tmp_path: Path) -> None:
    run = zoo.train("vae.tiny", precision="bf16", set={"steps": 3}, out=tmp_path / "run", quiet=True)
    assert zoo.load(run.folder).generate(1).shape == (1, 8, 8)


@pytest.mark.skipif(sys.platform != "linux", reason="needs glibc's malloc")
def test_a_process_for_torch_keeps_its_memory() -> None:
    """What one step frees the next one has, without asking the kernel for every page anew."""
    code = """
import resource, sys
import numpy
if sys.argv[1]:
    from zoo.cli.cpu_tuning import prepare
    prepare()
for step in range(30):
    arrays = [numpy.ones(2_000_000) for _ in range(4)]
    del arrays
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
"""
    kept, given_back = (int(python(code, way)) for way in ("prepared", ""))
    assert kept * 3 < given_back


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_the_bar_shows_pace_and_time_left_on_a_narrow_terminal(tmp_path: Path) -> None:
    import fcntl
    import pty
    import struct
    import subprocess
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    command = [sys.executable, "-m", "zoo", "train", "gan.tiny", "--set", "steps=100", "--no-release"]
    environment = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "LINES")}
    with subprocess.Popen(command, cwd=tmp_path, stdout=theirs, stderr=theirs, env=environment | {"TERM": "xterm"}):
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # the end, on Linux
            while part := os.read(ours, 4096):
                shown += part
    os.close(ours)
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.decode())
    assert re.search(r"Training gan.tiny +\d+/100 +\d:\d\d:\d\d +[\d,]+ images/s", text), text[-2000:]
    assert "d_real" in text


# Where output goes


class Pipe(io.TextIOWrapper):
    """A stream of some encoding, as Python opens one for a pipe; ``text`` is what was written."""

    def __init__(self, encoding: str) -> None:
        super().__init__(io.BytesIO(), encoding, write_through=True)

    @property
    def text(self) -> str:
        encoding = "utf-8" if self.encoding == "ascii" else self.encoding
        return self.buffer.getvalue().decode(encoding)  # type: ignore[attr-defined, no-any-return]


@pytest.fixture(scope="module")
def signs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a text model that knows characters which few encodings have."""
    folder = tmp_path_factory.mktemp("signs")
    (folder / "text.txt").write_text("→ λ🐘 " * 200, "utf-8")
    recipe = {"steps": 1, "data.length": 8}
    return zoo.train(
        "chargpt.tiny", data=f"text:{folder / 'text.txt'}", set=recipe, out=folder / "run", quiet=True
    ).folder


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["cp1252", *slow("ascii", "utf-8")])
def test_output_that_the_encoding_lacks(
    encoding: str, shelf: Shelf, signs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is escaped, and no command fails for it; JSON is ASCII and holds the text as it is."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str | Path) -> tuple[Any, str, str]:
        out, err, code = Pipe(encoding), Pipe(encoding), None
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", out)
            patch.setattr(sys, "stderr", err)
            patch.setattr(sys, "argv", ["zoo", *map(str, arguments)])
            try:
                main()
            except SystemExit as ended:
                code = ended.code
        return code, out.text, err.text

    lacks = encoding == "cp1252"  # click writes UTF-8 where it would be ASCII
    arrow, minus = ("\\u2192", "\\u2212") if lacks else ("→", "−")
    for arguments in (("info", "vae.tiny"), ("info", shelf.run("vae"))):
        code, said, _ = call(*arguments)
        assert not code
        assert f"image {arrow} reconstruction" in said
    for arguments in (("info", "vae.tiny", "--json"), ("info", shelf.run("vae"), "--json"), ("list", "--json")):
        code, said, _ = call(*arguments)
        assert not code
        assert said.isascii()
    assert json.loads(call("info", "vae.tiny", "--json")[1])["tasks"]["reconstruct"] == "image → reconstruction"
    code, said, _ = call("evaluate", shelf.run("vae"), "--only", "iwae_100", "--limit", "10")
    assert not code
    assert f"bound on {minus}log p(x)" in said
    for arguments in (("--help",), ("train", "--help"), ("data", "list"), ("data", "info", "digits"), ("list",)):
        assert not call(*arguments)[0]
    code, said, _ = call("generate", signs, "--prompt", "→🐘", "--length", "3")
    assert not code
    assert said.startswith("\\u2192\\U0001f418" if lacks else "→🐘")
    code, said, complaint = call("generate", signs, "--prompt", "→é")
    assert code == 1
    assert complaint.startswith("Error: The character ")
    odd = os.fsdecode(b"./\xe9\xff")  # a file name that is no UTF-8
    code, said, complaint = call("generate", odd)
    assert code == 1
    assert "\\udcff' does not exist" in complaint


class Terminal(Pipe):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        return True


def test_long_lines_wrap_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    words = " ".join(["word"] * 40)
    for stream, columns, widest in ((Pipe("utf-8"), 60, 204), (Terminal("utf-8"), 60, 60)):
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setattr(sys, "stdout", stream)
        table([("A", "B"), ("a", words)])
        lines = stream.text.splitlines()
        assert max(map(len, lines)) <= widest
        assert " ".join(stream.text.split()[2:]) == f"a {words}"
        assert all(line.startswith("   word") for line in lines[2:])
        assert (len(lines) > 2) == (widest == 60)


def test_help_has_the_lines_that_a_shell_reads(zoo_call: Command) -> None:
    said = zoo_call("completion", "--help").stdout
    for shell in ("bash", "zsh"):
        assert re.search(rf"^ +~/\.{shell}rc +eval \"\$\(zoo completion {shell}\)\"$", said, re.MULTILINE)
    assert re.search(r"config\.fish +zoo completion fish \| source$", said, re.MULTILINE)
    assert re.search(r"^ +Start with: +zoo demo$", zoo_call("--help").stdout, re.MULTILINE)


def test_a_quiet_training(zoo_call: Command) -> None:
    done = zoo_call("train", "ae.tiny", "--set", "steps=1", "--quiet", "--no-release")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    one_error(zoo_call("train", "ae.tiny", "--set", "steps=1", "-q"), "already holds a run")


@pytest.mark.parametrize(
    ("arguments", "made"),
    [
        (("train", "ae.tiny", "--no-release", "--set", "steps=1", "--out", "made"), "recipe.json"),
        (("export", "vae.digits", "--to", "made"), "manifest.json"),
        (("gallery", "vae.digits", "--to", "made", "--data-dir", "no"), "index.html"),
    ],
)
def test_older_spellings_of_the_output_are_taken_and_not_shown(
    arguments: tuple[str, ...], made: str, zoo_call: Command, tmp_path: Path
) -> None:
    done = zoo_call(*arguments)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "made" / made).is_file()
    told = zoo_call(arguments[0], "--help").stdout
    assert "-o, --output" in told
    assert " --to" not in told
    assert "--out " not in told


def test_tables_fit_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last column is wrapped beside the others, or below them where they leave no room."""
    from zoo.cli.arguments import hanging

    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setattr("shutil.get_terminal_size", lambda: os.terminal_size((40, 24)))
    words = "one two three four five six seven eight nine"
    assert hanging("a" * 10 + "  ", words).splitlines()[1] == " " * 12 + "seven eight nine"
    below = hanging("a" * 30 + "  ", words).splitlines()
    assert below == ["a" * 30, "    one two three four five six seven", "    eight nine"]
    monkeypatch.setattr("sys.stdout.isatty", lambda: False, raising=False)
    assert hanging("a" * 30 + "  ", words) == "a" * 30 + "  " + words


def test_what_comes_next_gives_what_the_model_must_be_given(zoo_call: Command, tmp_path: Path) -> None:
    """The line that is suggested after an export runs as it is."""
    golden = Path(__file__).parents[1] / "golden" / "painter.3" / "release"
    done = zoo_call("export", str(golden), "-o", str(tmp_path / "copy"))
    assert done.returncode == 0, done.stderr
    suggested = shlex.split(done.stdout.partition(" zoo generate ")[2])
    assert suggested == [str(tmp_path / "copy"), "--outline", "image.png"]
    Image.new("L", (16, 16)).save(tmp_path / "image.png")
    assert zoo_call("generate", *suggested).returncode == 0
