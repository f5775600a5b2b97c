"""Videos, arrays of numbers and images of four channels, from training to a gallery, with one small plugin."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as Pillow

import kinds_data
import zoo
from conftest import Command, Shelf, few, one_error, plugged, python, raises
from zoo import data, gallery
from zoo.core.errors import ReleaseError, SettingError, TrainingError
from zoo.data import fitting
from zoo.evaluation.evaluated_model import DoesNotApply
from zoo.media import animation, table
from zoo.media.convert import from_batch
from zoo.media.images import fitted
from zoo.pipeline.verify import verify
from zoo.release import read, seal
from zoo.training.batches import Batches, augmentation

NAMES = tuple(kinds_data.FORMS)
STEPS = 120
"""Enough that the metrics of every model are computed at the end."""


@pytest.fixture(autouse=True)
def _known(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    sets = {name: f"kinds_data:{name}" for name in (*NAMES, "pairs", "clips")}
    models = {name: f"kinds_plugin:{name}" for name in ("flat", "asked")}
    with plugged(tmp_path_factory.mktemp("plugged"), data=sets, **models):
        yield


@pytest.fixture
def run(shelf: Shelf, name: str) -> Path:
    """A run on a data set. Read only."""

    def train(folder: Path) -> None:
        zoo.train("flat.tiny", data=name, out=folder, set={"steps": STEPS}, quiet=True, force=True)

    return shelf.made(f"flat-{name}", train)


@pytest.fixture
def form(name: str) -> Any:
    return kinds_data.FORMS[name]


every = pytest.mark.parametrize("name", few(NAMES, "dots", "moons", "four"))


def only(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("name", names)


@every
def test_training_learns_and_its_samples_are_kept(run: Path, name: str, form: Any) -> None:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    errors = [line["metrics"]["error"] for line in lines if "metrics" in line]
    assert errors[-1] < errors[0]
    ending = ".csv" if isinstance(form, zoo.Array) else ".png"
    assert {path.suffix for path in (run / "samples").iterdir()} == {ending}
    assert len(data.load(name, "train")) == 80


@every
def test_a_release_runs_without_torch_as_in_torch(run: Path, form: Any, name: str) -> None:
    code = "import sys, zoo, numpy; m = zoo.load(sys.argv[1]); numpy.save(sys.argv[2], m.generate(5, seed=3))"
    python(code, run, run.parent / f"{name}.npy", block=("torch", "onnx", "sklearn", "scipy", "pyarrow"))
    samples = np.load(run.parent / f"{name}.npy")
    with zoo.load(run, backend="torch") as model, zoo.load(run) as onnx:
        again = model.generate(5, seed=3)
        assert again.dtype == samples.dtype == (np.float32 if isinstance(form, zoo.Array) else np.uint8)
        assert np.abs(again.astype(float) - samples).max() <= (1e-4 if isinstance(form, zoo.Array) else 1)
        assert np.array_equal(onnx.generate(1, seed=3, first=2)[0], samples[2])
        assert onnx.encode(samples).shape == (5, 3)
        assert onnx.reconstruct(samples).shape == samples.shape
        assert onnx.interpolate(samples[0], samples[1], steps=3).shape == (3, *samples.shape[1:])
        assert "x: " in onnx.reconstruct.__doc__


@every
def test_its_samples_are_verified(run: Path, tmp_path: Path, form: Any) -> None:
    found = verify(run)
    assert found["samples"].startswith("seed 0 gives the samples in samples.")
    assert "agree on every task" in found["parity"]
    folder = Path(shutil.copytree(run / "release", tmp_path / "release"))
    release = read(folder)
    path = folder / release.manifest["samples"]["file"]
    assert path.suffix == (".csv" if isinstance(form, zoo.Array) else ".png")
    _spoil(path, form)
    manifest = json.loads((folder / "manifest.json").read_text())
    from zoo_export.writer import hashes

    (folder / "manifest.json").write_text(json.dumps(seal({**manifest, "files": hashes(folder)})))
    with raises(ReleaseError, "the samples of seed 0 are not those in"):
        verify(folder)


def _spoil(path: Path, form: Any) -> None:
    """Change one number, or one pixel of the last frame."""
    if path.suffix == ".csv":
        lines = path.read_text().splitlines()
        lines[-1] = f"{float(lines[-1].partition(',')[0]) + 0.01},{lines[-1].partition(',')[2]}"
        path.write_text("\n".join(lines))
        return
    frames = []
    with Pillow.open(path) as opened:
        for moment in range(getattr(opened, "n_frames", 1)):
            opened.seek(moment)
            frames.append(np.array(opened))
    assert len(frames) == getattr(form, "frames", 1)
    scale = json.loads((path.parent / "manifest.json").read_text())["samples"]["scale"]
    frames[-1][scale : 2 * scale, scale : 2 * scale] ^= 128
    path.write_bytes(animation.png(frames) if len(frames) > 1 else _png(frames[0]))


def _png(image: np.ndarray) -> bytes:
    from zoo.media import grid

    return grid.png(image)


@only("dots", "moons")
def test_a_damaged_file_of_samples_is_one_line(run: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(run / "release", tmp_path / "release"))
    manifest = json.loads((folder / "manifest.json").read_text())
    from zoo_export.writer import hashes

    path = folder / manifest["samples"]["file"]
    for content in (path.read_bytes()[: path.stat().st_size // 2] if path.suffix == ".png" else b"x\ny\n", b"\xff"):
        path.write_bytes(content)
        (folder / "manifest.json").write_text(json.dumps(seal({**manifest, "files": hashes(folder)})))
        with raises(ReleaseError, path.name, "or damaged. Get the release again."):
            verify(folder)


@every
def test_metrics_of_every_model_apply_or_say_why(run: Path, form: Any) -> None:
    found = zoo.evaluate(run, quiet=True)
    names = {measurement.name for measurement in found.measurements}
    assert {"error", "score_threshold"} <= names
    if isinstance(form, zoo.Image):
        assert {"mse", "psnr"} <= names
    elif isinstance(form, zoo.Array):
        mse = next(measurement for measurement in found.measurements if measurement.name == "mse")
        own = next(measurement for measurement in found.measurements if measurement.name == "error")
        assert mse.value == pytest.approx(own.value, rel=1e-4)
        assert mse.baseline is not None
        assert "psnr" not in names
        assert found.left_out["representation"] == "it models arrays, and this is measured on images"
    else:
        assert found.left_out["reconstruction"] == "it models videos, and this is measured on images"


@only("four")
def test_inception_takes_grey_and_colour(run: Path) -> None:
    from zoo.evaluation.evaluated_model import Budget
    from zoo.evaluation.generation import on_inception
    from zoo.evaluation.source import subject_of

    with zoo.load(run) as model, raises(DoesNotApply, "Inception v3 takes images in grey or in colour"):
        on_inception(subject_of(model, None, None, True), Budget(quiet=True))


@every
def test_the_card_shows_samples(run: Path, form: Any) -> None:
    card = (run / "release" / "README.md").read_text()
    assert ("![Samples of flat.tiny, seed 0](samples.png)" in card) == (not isinstance(form, zoo.Array))
    assert ("The first of 16 samples of seed 0 in [samples.csv](samples.csv):" in card) == isinstance(form, zoo.Array)
    if isinstance(form, zoo.Array):
        assert "| x0" in card
        first = table.read(run / "release" / "samples.csv").numbers()[0, 0]
        assert f"\n| {first:.4g} |" in card
        assert "samples.png" not in card


@every
def test_the_gallery_shows_samples_beside_reconstructions(run: Path, tmp_path: Path, form: Any) -> None:
    made = gallery.build(tmp_path / "gallery", [run], quiet=True)
    assert not made.without
    page = (tmp_path / "gallery" / "index.html").read_text()
    folder = tmp_path / "gallery" / "models" / "flat.tiny"
    if isinstance(form, zoo.Array):
        assert page.count('<table class="numbers">') == 2
        assert "4 test samples of" in page
        assert not list(folder.glob("*.png"))
    else:
        for file in ("samples.png", "reconstruct.png"):
            with Pillow.open(folder / file) as opened:
                assert getattr(opened, "n_frames", 1) == getattr(form, "frames", 1)
    assert "each above its reconstruction" in page


@every
def test_the_command_line_generates_and_runs(run: Path, form: Any, zoo_call: Command, tmp_path: Path) -> None:
    default = f"flat.tiny-seed0{'.npy' if isinstance(form, zoo.Array) else '.png'}"
    assert zoo_call("generate", run).stdout == f"{default} written\n"
    others = {"array": "a.csv", "video": "a.gif", "image": "a.npy"}[form.kind]
    assert zoo_call("generate", run, "-n", 3, "-o", others).returncode == 0
    given = "three.npy"
    with zoo.load(run) as model:
        np.save(tmp_path / given, model.generate(3))
    done = zoo_call("run", run, "reconstruct", given)
    if isinstance(form, zoo.Array):
        assert np.load(tmp_path / default).shape == (16, *form.shape)
        assert np.array(json.loads(done.stdout)).shape == (3, *form.shape)
        assert json.loads(zoo_call("run", run, "reconstruct", others).stdout) == json.loads(done.stdout)
        one_error(zoo_call("generate", run, "-o", "a.png"), "it must end in .npy or .csv or .json")
    else:
        assert done.stdout == "reconstruct.png written\n"
    assert zoo_call("interpolate", run, "0", "1", "-o", "between.npy").returncode == 0


@only("dots", "moons", "four")
def test_parts_of_a_sample_are_filled_in(run: Path, form: Any) -> None:
    with zoo.load(run) as model:
        sample = model.generate(2, seed=1)
        mask = np.zeros(sample.shape[1:4] if form.kind != "image" else sample.shape[1:3], bool)
        mask[..., -1] = True
        filled = model.inpaint(sample, mask)
        full = np.broadcast_to(mask[..., None] if form.kind == "image" else mask, sample.shape[1:])
        assert np.array_equal(filled[:, ~full], sample[:, ~full])
        assert not np.array_equal(filled, sample)


@only("dots", "moons", "four")
def test_quantised_releases_keep_their_kind(run: Path, tmp_path: Path, form: Any) -> None:
    zoo.export(run, tmp_path / "small", quantize="int8", quantize_loss=1000.0, quiet=True)
    assert verify(tmp_path / "small")["samples"].startswith("seed 0 gives the samples in")
    assert read(tmp_path / "small").sample.x == form


@only("dots", "four")
def test_uint8_graphs_are_of_images(run: Path, tmp_path: Path, form: Any) -> None:
    if isinstance(form, zoo.Video):
        with raises(SettingError, "has no image inputs or outputs. Omit --uint8."):
            zoo.export(run, tmp_path / "u", uint8=True)
        return
    zoo.export(run, tmp_path / "u", uint8=True)
    assert (tmp_path / "u" / "reconstruct.uint8.onnx").is_file()
    assert "uint8" in json.dumps(read(tmp_path / "u").manifest["uint8"])


@only("dots")
def test_videos_of_files_are_run(run: Path, zoo_call: Command, tmp_path: Path) -> None:
    long = np.zeros((7, 12, 12), np.uint8)
    (tmp_path / "a.png").write_bytes(animation.png(list(long)))
    one_error(zoo_call("run", run, "encode", "a.png"), "a.png is 12×12 pixels; this model takes 8×6", "--fit crop")
    done = zoo_call("run", run, "encode", "a.png", "--fit", "crop")
    assert np.array(json.loads(done.stdout)).shape == (1, 3)
    (tmp_path / "b.gif").write_bytes(animation.gif(list(long[:2])))
    one_error(zoo_call("run", run, "encode", "b.gif", "--fit", "pad"), "has 2 frames, and this model takes 5")


@only("moons")
def test_numbers_out_of_bounds_are_one_line(run: Path, zoo_call: Command, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b\n0,4\n")
    one_error(zoo_call("run", run, "encode", "a.csv"), "a.csv has values from 0 to 4; they must be in [-2, 3].")
    with zoo.load(run) as model:
        assert model.decode(np.full((1, 3), 1e6, np.float32)).max() <= 3
        assert "in [-2, 3]" in model.encode.__doc__


def test_columns_have_their_names_from_the_table_to_the_release(zoo_call: Command, tmp_path: Path) -> None:
    numbers = np.random.default_rng(0).normal(size=(40, 3)).round(3)
    rows = [[*row, ("up", "down")[place % 2]] for place, row in enumerate(numbers)]

    def write(name: str, *columns: str) -> Path:
        order = ["a", "b b", "é", "label"]
        lines = [",".join(str(row[order.index(column)]) for column in columns) for row in rows]
        (tmp_path / name).write_text("\n".join([",".join(columns), *lines]), "utf-8")
        return tmp_path / name

    first, other = write("t.csv", "a", "b b", "é", "label"), write("p.csv", "é", "label", "a", "b b")
    run = zoo.train("flat.tiny", data=f"array:{first}", out=tmp_path / "run", set={"steps": 2}, quiet=True).folder
    release = read(run / "release")
    assert release.manifest["sample"]["names"] == {"x": ["a", "b b", "é"], "label": ["down", "up"]}
    assert release.sample.x.names == release.tasks["reconstruct"].outputs["reconstruction"].names == ("a", "b b", "é")  # type: ignore[union-attr]
    assert release.sample["label"].names == ("down", "up")  # type: ignore[union-attr]
    assert (run / "release" / "samples.csv").read_text("utf-8").startswith("a,b b,é\n")
    assert verify(run / "release")["samples"].startswith("seed 0")
    for name in (first, other):
        assert zoo_call("run", run, "reconstruct", name, "-o", f"of_{name.name}").returncode == 0
    assert (tmp_path / "of_t.csv").read_text("utf-8") == (tmp_path / "of_p.csv").read_text("utf-8")
    assert (tmp_path / "of_t.csv").read_text("utf-8").startswith("a,b b,é\n")
    one_error(zoo_call("run", run, "encode", write("few.csv", "a", "b b")), "few.csv has no column 'é'. Add it.")

    def mse(data: Path) -> float:
        return zoo.evaluate(run / "release", only=["mse"], data=f"array:{data}", quiet=True).measurements[0].value

    assert mse(first) == mse(other)
    with raises(TrainingError, "array:p.csv has the columns of flat.tiny in another order", "a, b b, é"):
        zoo.train("flat.tiny", data=f"array:{other}", start=run / "release", out=tmp_path / "next", quiet=True)


@only("moons")
def test_releases_without_names_of_columns_are_read_as_before(run: Path, tmp_path: Path) -> None:
    """Their columns are taken by position; names of classes are those of the data, where a manifest has some."""
    old = tmp_path / "old"
    shutil.copytree(run / "release", old)
    manifest = json.loads((old / "manifest.json").read_text())
    assert read(old).sample["label"].names == ("low", "high")  # type: ignore[union-attr]
    del manifest["sample"]["names"]
    for classes, names in ((["low", "high"], ("low", "high")), (["low"], ()), (None, ()), ([1, 2], ())):
        manifest["provenance"]["data"]["classes"] = classes
        (old / "manifest.json").write_text(json.dumps(seal(manifest)))
        assert read(old).sample["label"].names == names  # type: ignore[union-attr]
    (tmp_path / "a.csv").write_text("b,a\n0,1\n")
    with zoo.load(old) as model:
        assert model.encode(tmp_path / "a.csv").shape == (1, 3)


@only("dots", "moons", "four")
def test_data_is_shown(name: str, form: Any, zoo_call: Command, tmp_path: Path) -> None:
    file = "a.csv" if isinstance(form, zoo.Array) else "a.png"
    assert zoo_call("data", "info", name, "-o", file).returncode == 0
    if isinstance(form, zoo.Array):
        train = data.load(name, "train").x[:16].reshape(16, -1)
        assert np.array_equal(table.read(tmp_path / file).numbers().astype(np.float32), train)
        one_error(zoo_call("data", "info", name, "-o", "a.png"), "it must end in .csv.")
    else:
        with Pillow.open(tmp_path / file) as opened:
            assert getattr(opened, "n_frames", 1) == getattr(form, "frames", 1)


@only("moons")
def test_tensorboard_shows_numbers_as_text(tmp_path: Path, name: str) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    zoo.train(
        "flat.tiny", data=name, out=tmp_path / "run", set={"steps": 2}, log=("tensorboard",), release=False, quiet=True
    )
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    assert "samples/text_summary" in events.Tags()["tensors"]
    assert "images" not in events.Tags() or not events.Tags()["images"]


@pytest.fixture
def asked(shelf: Shelf) -> Path:
    """A run of a model that is given a video and points, and generates rows. Read only."""
    return shelf.made(
        "asked-pairs", lambda folder: zoo.train("asked.tiny", out=folder, set={"steps": STEPS}, quiet=True, force=True)
    )


def test_videos_and_arrays_are_given(asked: Path, zoo_call: Command, tmp_path: Path) -> None:
    assert verify(asked)["samples"].startswith("seed 0 gives the samples in samples.csv")
    clips, points = np.zeros((3, 5, 6, 8), np.uint8), np.arange(36, dtype=np.float32).reshape(3, 4, 3)
    clips[1:, :, 2] = 255
    with zoo.load(asked) as model:
        made = model.generate(clip=clips, point=points, seed=1)
        assert (made.shape, made.dtype) == ((3, 2), np.float32)
        one = model.generate(first=1, clip=clips[1], point=points[1], seed=1)
        assert np.allclose(one[0], made[1], atol=1e-5)
        assert "clip: videos, uint8 (n, 5, 6, 8)" in model.generate.__doc__
        with raises(SettingError, "point has shape (3, 3); it must be (n, 4, 3)."):
            model.generate(clip=clips, point=points[0, :3])
    (tmp_path / "a.png").write_bytes(animation.png(list(clips[1])))
    (tmp_path / "points.csv").write_text(table.write(points))
    assert zoo_call("generate", asked, "--clip", "a.png", "--point", "points.csv", "-o", "a.npy").returncode == 0
    assert np.load(tmp_path / "a.npy").shape == (3, 2)  # as many as the table has rows
    (tmp_path / "b.gif").write_bytes(animation.gif([np.zeros((12, 12), np.uint8)] * 6))
    given = ("--clip", "b.gif", "--point", "points.csv", "-o", "b.npy")
    one_error(zoo_call("generate", asked, *given), "b.gif is 12×12 pixels; this model takes 8×6", "--fit crop")
    assert zoo_call("generate", asked, *given, "--fit", "crop").returncode == 0


def test_what_is_given_is_in_the_card_the_gallery_and_the_metrics(asked: Path, tmp_path: Path) -> None:
    card = (asked / "release" / "README.md").read_text()
    assert '--clip "video.gif" --point "rows.csv"' in card
    gallery.build(tmp_path / "gallery", [asked], quiet=True)
    page = (tmp_path / "gallery" / "index.html").read_text()
    assert "Samples of seed 0; point: (" in page
    assert "The clip of each" in page
    with Pillow.open(tmp_path / "gallery" / "models" / "asked.tiny" / "given.png") as opened:
        assert opened.n_frames == 5
    found = zoo.evaluate(asked, quiet=True)
    assert "distance" in {measurement.name for measurement in found.measurements}


@pytest.mark.parametrize("options", [{"size": 4}, {"flip": True}, {"crop": 2}])
def test_videos_are_resized_and_augmented_frame_by_frame(options: dict[str, Any]) -> None:
    held = data.load("clips", "train")
    made = data.load("clips", "train", **options)
    x = made.sample.x
    assert isinstance(x, zoo.Video)
    assert x == zoo.Video(1, 5, *((4, 4) if "size" in options else (6, 8)))
    assert made.sample["other"] == zoo.Image(1, x.height, x.width)
    batches = Batches(made, 16, 0, torch.device("cpu"), **augmentation(made))
    batch = batches.train(0, torch.zeros(()))
    assert batch.x.shape == (16, *x.shape)
    assert torch.equal(batch["other"], batch.x[:, 0])  # the first frame, changed alike
    whole = torch.from_numpy(held.array[batch.index.numpy()]) / 255
    if "flip" in options:
        mirrored = (batch.x != whole).flatten(1).any(1)
        assert torch.equal(batch.x[mirrored], whole[mirrored].flip(-1))
        assert 0 < mirrored.sum() < 16
    elif "crop" in options:
        rows = torch.nn.functional.pad(whole, [2] * 4)
        places = [(row, column) for row in range(5) for column in range(5)]
        cut = [rows[..., row : row + 6, column : column + 8] for row, column in places]
        for place in range(16):  # all frames of a video move alike
            assert any(torch.equal(batch.x[place], one[place]) for one in cut)
        assert not torch.equal(batch.x, whole)
    else:
        one = fitted(held.array[0, 3, 0], (4, 4), "crop", zoo.ImageOptions(size=4))
        assert np.array_equal(made.array[0, 3, 0], one)


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("x", np.zeros((4, 2), np.float64), "load gives the field 'x' as float64, and array is held as float32"),
        ("x", np.full((4, 2), 4, np.float32), "with the value 4, which is above 3, the high of its form"),
        ("x", np.full((4, 2), -2.5, np.float32), "with the value -2.5, which is below -2, the low of its form"),
        ("clip", np.zeros((4, 5, 1, 6, 8), np.float32), "as float32, and video is held as uint8"),
        ("clip", np.zeros((4, 5, 6, 8), np.uint8), "of shape (4, 5, 6, 8), and its form is (n, 5, 1, 6, 8)"),
    ],
)
def test_fields_that_do_not_fit_are_one_line(field: str, value: np.ndarray, says: str) -> None:
    sound = {
        "x": np.zeros((4, 2), np.float32),
        "clip": np.zeros((4, 5, 1, 6, 8), np.uint8),
        "point": np.zeros((4, 4, 3), np.float32),
    }
    assert fitting.problem(kinds_data.PAIR, sound) == ""
    assert says in fitting.problem(kinds_data.PAIR, {**sound, field: value})


@only("dots", "moons")
def test_graphs_and_pages_generate_the_same(run: Path, tmp_path: Path, form: Any) -> None:
    import onnxruntime

    zoo.export(run, tmp_path / "web", format="web", quiet=True)
    graph = onnxruntime.InferenceSession(run / "release" / "generate.onnx")
    feeds = {"seed": np.array(3, np.int64), "first": np.array(0, np.int64), "count": np.array(2, np.int64)}
    made = from_batch(graph.run(None, {one.name: feeds[one.name] for one in graph.get_inputs()})[0], form)
    with zoo.load(run) as model:
        samples = model.generate(2, seed=3)
    assert np.abs(made.astype(float) - samples).max() <= (1e-4 if isinstance(form, zoo.Array) else 1)
