"""What a plugin's author gets wrong is one line with the plugin's file and line, before anything is written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image

import zoo
from conftest import Refused, Shelf, contents, raises, slow
from mistakes import Mistake, Plug, check, plugging
from zoo.core.errors import PluginError
from zoo.modules import tracing
from zoo.training import checkpoints, rehearsal

SOUND = """
from dataclasses import dataclass

import torch
from torch import nn

import zoo


@dataclass(frozen=True, kw_only=True)
class Recipe(zoo.Recipe):
    latent: int = zoo.setting(2, "dimensions of z", ge=1)


class Net(nn.Module):
    def __init__(self, recipe, sample):
        super().__init__()
        self.sample, self.latent = sample, recipe.latent
        image = sample.form(zoo.Image)
        size = image.channels * image.height * image.width
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(size, recipe.latent))
        self.decoder = nn.Sequential(nn.Linear(recipe.latent, size), nn.Sigmoid(), nn.Unflatten(1, image.shape))

    def encode(self, x):
        return self.encoder(x)


def loss(net, batch, recipe):
    return {"mse": (net.decoder(net.encoder(batch.x)) - batch.x).square().mean()}


def tasks(net):
    image, code = net.sample.x, zoo.Vector((net.latent,))
    return {
        "encode": zoo.Task(net.encode, {"image": image}, {"code": code}),
        "decode": zoo.Task(net.decoder, {"code": zoo.Noise((net.latent,))}, {"image": image}),
    }


mine = zoo.Model(
    card=zoo.Card(title="Mine", summary="A linear one.", paper="https://example.org", citation="Nobody 2020"),
    build=Net,
    objectives=(zoo.Objective(loss),),
    tasks=tasks,
    generate=zoo.OneShot("decode"),
    recipes={"tiny": Recipe(data=zoo.use("digits"), steps=2, batch=8, precision="fp32")},
)
"""


@pytest.fixture
def plug(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plug]:
    with plugging(tmp_path_factory.mktemp("plugin"), SOUND) as install:
        yield install


def test_the_sound_one_trains(plug: Plug, tmp_path: Path) -> None:
    plug("import torch\n", "import torch\n")
    assert zoo.train("mine.tiny", out=tmp_path / "run", release=False, quiet=True).steps == 2


CONTRACT = {
    "a part that is named twice": Mistake(
        "zoo.Objective(loss)",
        'zoo.Objective(loss, params=("encoder", "encoder"))',
        ("params = ('encoder', 'encoder')", "names 'encoder' twice"),
    ),
    "a form that no data has": Mistake(
        "sample.form(zoo.Image)", "sample.form(zoo.Vector)", ("sample.form takes zoo.Image, zoo.Video",)
    ),
    "an input that is no spec": Mistake(
        '{"image": image}, {"code": code}',
        '{"image": (1, 8, 8)}, {"code": code}',
        (
            "Task: inputs['image'] is (1, 8, 8)",
            "should be zoo.Image",
            "Write zoo.Vector((1, 8, 8))",
        ),
    ),
    "text for a spec": Mistake(
        '{"code": code}),',
        '{"code": "code"}),',
        (
            "Task: outputs['code'] is 'code'",
            "zoo.Number or zoo.Score",
        ),
    ),
    "an int for a shape": Mistake(
        "zoo.Vector((net.latent,))",
        "zoo.Vector(8)",
        ("Vector: shape is 8, and should be a tuple of integers. Write (8,).",),
    ),
    "a shape of 0": Mistake(
        "zoo.Vector((net.latent,))",
        "zoo.Vector((0,))",
        (
            "Vector: shape is (0,)",
            "at least 1",
        ),
    ),
    "ten channels": Mistake(
        "zoo.Vector((net.latent,))",
        "zoo.Video(10, 2, 8, 8)",
        (
            "channels is 10",
            "1 (grey) or 3 (colour)",
            "zoo.Array",
        ),
    ),
    "a sample that is a vector": Mistake(
        "image, code = net.sample.x",
        "image, code = zoo.Sample(zoo.Vector((3,)))",
        (
            "Sample: x is a zoo.Vector",
            "should be zoo.Image, zoo.Video, zoo.Text, zoo.Audio, zoo.LogMel or zoo.Array",
        ),
    ),
    "one objective without a tuple": Mistake(
        "(zoo.Objective(loss),)",
        "zoo.Objective(loss)",
        (
            "Model: objectives is a zoo.Objective, and should be a tuple of zoo.Objective",
            "Write (zoo.Objective(…),)",
        ),
        "mine = zoo.Model(",
    ),
    "text for a generation": Mistake(
        'zoo.OneShot("decode")',
        '"decode"',
        (
            "Model: generate is 'decode'",
            "zoo.OneShot, zoo.Autoregressive",
            "Write zoo.OneShot('decode')",
        ),
        "mine = zoo.Model(",
    ),
    "the class of a generation": Mistake(
        'zoo.OneShot("decode")', "zoo.OneShot", ("generate is the class OneShot",), "mine = zoo.Model("
    ),
    "the name of an optimiser": Mistake(
        "zoo.Objective(loss)",
        'zoo.Objective(loss, optimiser="sgd")',
        ("Objective: optimiser is 'sgd', and should be zoo.AdamW, zoo.RMSprop or a function",),
    ),
    "the class of an optimiser": Mistake(
        "zoo.Objective(loss)",
        "zoo.Objective(loss, optimiser=zoo.AdamW)",
        (
            "is the class AdamW",
            "Write AdamW(…)",
        ),
    ),
    "parameters that are text": Mistake(
        "zoo.Objective(loss)",
        'zoo.Objective(loss, params="encoder")',
        ("Objective: params is 'encoder', and should be a tuple of text. Write ('encoder',).",),
    ),
    "American spelling": Mistake(
        "zoo.Objective(loss)",
        "zoo.Objective(loss, optimizer=zoo.AdamW())",
        (
            "Objective has no field 'optimizer'",
            "Did you mean 'optimiser'?",
            "every",
        ),
    ),
    "a loss that is no function": Mistake(
        "zoo.Objective(loss)",
        "zoo.Objective({})",
        (
            "loss is {}",
            "should be a function",
        ),
    ),
    "a number for a title": Mistake('title="Mine"', "title=3", ("Card: title is 3, and should be text",)),
    "no card": Mistake(
        'zoo.Card(title="Mine", summary="A linear one.", paper="https://example.org", citation="Nobody 2020")',
        '"Mine"',
        ("Model: card is 'Mine', and should be zoo.Card",),
        "mine = zoo.Model(",
    ),
    "no tiny recipe": Mistake(
        '"tiny"',
        '"small"',
        (
            "Model: it has no recipe 'tiny'",
            "There are: small",
        ),
        "mine = zoo.Model(",
    ),
    "a recipe with an odd name": Mistake(
        'recipes={"tiny"',
        'recipes={"a/b": Recipe(), "tiny"',
        ("the recipe name 'a/b' is not allowed",),
        "mine = zoo.Model(",
    ),
    "a recipe that is none": Mistake(
        'Recipe(data=zoo.use("digits"), steps=2, batch=8, precision="fp32")',
        "dict(steps=2)",
        ("Model: recipes['tiny'] is {'steps': 2}, and should be zoo.Recipe",),
        "mine = zoo.Model(",
    ),
    "the class of a recipe": Mistake(
        'Recipe(data=zoo.use("digits"), steps=2, batch=8, precision="fp32")',
        "Recipe",
        (
            "the class Recipe",
            "Write Recipe(…)",
        ),
        "mine = zoo.Model(",
    ),
    "a recipe class that is no dataclass": Mistake(
        "@dataclass(frozen=True, kw_only=True)\n",
        "\n",
        (
            "the class Recipe",
            "Write @dataclass(frozen=True, kw_only=True)",
        ),
        '"tiny"',
    ),
    "a recipe with an unknown field": Mistake(
        "steps=2,",
        "step=2,",
        (
            "Recipe has no field 'step'",
            "Did you mean 'steps'?",
        ),
    ),
    "a recipe field of another type": Mistake(
        "steps=2,", 'steps="2",', ("steps = '2' is not an integer of at least 1",)
    ),
    "a recipe field that cannot be set": Mistake(
        'latent: int = zoo.setting(2, "dimensions of z", ge=1)',
        "latent: int | None = None",
        (
            "the field 'latent' is of the type an integer or None",
            "int, float, bool, str",
        ),
        '"tiny"',
    ),
    "an import that fails": Mistake(
        "import torch\n",
        "import torchh\n",
        (
            "zoo-tests 1.0 cannot be imported",
            "torchh",
        ),
    ),
    "a syntax error": Mistake("class Net(nn.Module):", "class Net(nn.Module:", ("SyntaxError",)),
    "an error at the import": Mistake("import zoo\n", "import zoo\n1 / 0\n", ("ZeroDivisionError",), "1 / 0"),
    "no model": Mistake(
        "mine = zoo.Model(",
        "mine = dict(",
        (
            "mine_plugin:mine of zoo-tests 1.0 is {",
            "should be a zoo.Model",
        ),
        None,
    ),
}
# In the module and its objectives.
MODULE = {
    "a lazy layer": Mistake(
        "nn.Linear(size, recipe.latent))",
        "nn.LazyLinear(recipe.latent))",
        ("the layer 'encoder.1' (LazyLinear) is lazy",),
        "class Net(nn.Module)",
    ),
    "a buffer of float64": Mistake(
        "self.sample, self.latent = sample, recipe.latent",
        "self.sample, self.latent = sample, recipe.latent; self.register_buffer('scale', torch.ones(3).double())",
        ("the buffer 'scale' is float64, and must be float32",),
        "class Net(nn.Module)",
    ),
    "parameters of float64": Mistake(
        "nn.Linear(recipe.latent, size)",
        "nn.Linear(recipe.latent, size).double()",
        ("the parameter 'decoder.0.weight' is float64",),
        "class Net(nn.Module)",
    ),
    "no module": Mistake(
        "build=Net", "build=lambda recipe, sample: {}", ("build returns {}, and must return a torch.nn.Module",)
    ),
    "a build that fails": Mistake(
        "image = sample.form(zoo.Image)",
        "image = sample.form(zoo.Image); recipe.depth",
        (
            "mine.tiny cannot be built for image data of shape (1, 8, 8)",
            "no attribute 'depth'",
        ),
    ),
    "no such submodule": Mistake(
        "zoo.Objective(loss)",
        'zoo.Objective(loss, params=("encodr",))',
        ("params = ('encodr',), and Net has no submodule 'encodr'. Did you mean 'encoder'?",),
        "def loss(",
    ),
    "a learning rate of 0": Mistake(
        "zoo.Objective(loss)",
        "zoo.Objective(loss, lr=0.0)",
        ("has the learning rate 0.0, and must have one above 0",),
        "def loss(",
    ),
    "no such learning rate": Mistake(
        "zoo.Objective(loss)",
        'zoo.Objective(loss, lr="lrr")',
        (
            "lr = 'lrr'",
            "Did you mean 'lr'?",
        ),
        "def loss(",
    ),
    "a loss that is a tensor": Mistake(
        'return {"mse": (net.decoder(net.encoder(batch.x)) - batch.x).square().mean()}',
        "return (net.decoder(net.encoder(batch.x)) - batch.x).square().mean()",
        ("the loss 'loss' returns a tensor of shape (): it must return named scalar tensors, such as {'mse': …}",),
        "def loss(",
    ),
    "a term that is no scalar": Mistake(
        ".square().mean()",
        ".square().mean((1, 2, 3))",
        (
            "returns mse of shape (8,)",
            "named scalar tensors",
            "Take its mean",
        ),
        "def loss(",
    ),
    "a term that is a number": Mistake(
        ".square().mean()",
        ".square().mean().item()",
        (
            "returns mse = ",
            "named scalar tensors",
        ),
        "def loss(",
    ),
    "a loss that moves nothing": Mistake(
        ".square().mean()", ".square().mean().detach()", ("does not depend on any parameter",), "def loss("
    ),
    "a loss that fails": Mistake(
        "net.decoder(net.encoder(batch.x))",
        "net.decoder(batch.x)",
        ("the loss 'loss' fails at step 0 on a batch of (8, 1, 8, 8)",),
    ),
    "a projection that fails": Mistake(
        "zoo.Objective(loss)", "zoo.Objective(loss, after=lambda net, recipe: net.clip())", ("no attribute 'clip'",)
    ),
}
# In tasks and generation.
FINISH = {
    "a function finish without the recipe": Mistake(
        "mine = zoo.Model(",
        "def fit(net, batches):\n    pass\n\n\nmine = zoo.Model(finish=fit,",
        ("finish(module, batches, recipe) cannot be called with these arguments: too many positional arguments",),
        "def fit",
    ),
    "a function finish that wants more": Mistake(
        "mine = zoo.Model(",
        "def fit(net, batches, recipe, step):\n    pass\n\n\nmine = zoo.Model(finish=fit,",
        ("finish(module, batches, recipe) cannot be called with these arguments: missing a required argument: 'step'",),
        "def fit",
    ),
}
TASKS = {
    "a task that mixes the batch": Mistake(
        "return self.encoder(x)",
        "return self.encoder(x) + x.mean()",
        ("task 'encode' gives an item another 'code' alone than in a batch", "must not mix"),
        "def encode",
    ),
    "a task that changes what it is given": Mistake(
        "return self.encoder(x)",
        "return self.encoder(x.mul_(0.5))",
        ("task 'encode' changes its input 'image' in place",),
        "def encode",
    ),
    "a task that keeps something": Mistake(
        "return self.encoder(x)",
        "self.calls = getattr(self, 'calls', 0) + 1; return self.encoder(x) + self.calls",
        ("task 'encode' gives another 'code' when it is called again",),
        "def encode",
    ),
    "noise": Mistake(
        "return self.encoder(x)",
        "return self.encoder(x) + torch.randn(len(x), 2)",
        (
            "task 'encode' draws random numbers (randn)",
            "a zoo.Noise",
        ),
    ),
    "noise of a generator of its own": Mistake(
        "return self.encoder(x)",
        "return self.encoder(x) + torch.rand(len(x), 2, generator=torch.Generator().manual_seed(0))",
        ("task 'encode' draws random numbers (rand)",),
    ),
    "noise in a layer": Mistake(
        "return self.encoder(x)", "return nn.functional.dropout(self.encoder(x), 0.5)", ("draws random numbers",)
    ),
    "a course that depends on values": Mistake(
        "return self.encoder(x)",
        "return self.encoder(x) if x.sum() > 0 else -self.encoder(x)",
        (
            "task 'encode' does not export to ONNX",
            "torch.where",
        ),
    ),
    "another rank": Mistake(
        "return self.encoder(x)",
        "return self.encoder(x)[:, None]",
        ("task 'encode': output 'code' is float32 (3, 1, 2) for a batch of 3; it is declared as float32 (3, 2)",),
        "def encode(",
    ),
    "no batch": Mistake(
        "return self.encoder(x)",
        "return self.encoder(x).sum(0)",
        (
            "'code' is float32 (2,)",
            "it is declared as",
        ),
        "def encode(",
    ),
    "another branch for one": Mistake(
        "return self.encoder(x)",
        "return self.encoder(x).squeeze(0)",
        ("'code' is float32 (2,) for a batch of 1",),
        "def encode(",
    ),
    "another type": Mistake(
        "return self.encoder(x)", "return self.encoder(x).double()", ("'code' is float64 (3, 2)",), "def encode("
    ),
    "two outputs": Mistake(
        "return self.encoder(x)",
        "return self.encoder(x), x",
        ("declares the outputs ['code']; it returns 2 tensors",),
        "def encode(",
    ),
    "a dict": Mistake(
        "return self.encoder(x)",
        'return {"code": self.encoder(x)}',
        (
            "task 'encode' returns {'code': tensor",
            "must return a tensor",
        ),
        "def encode(",
    ),
    "a task that fails": Mistake(
        "return self.encoder(x)",
        "return self.encoder(x.flatten(1)[:, 1:])",
        ("task 'encode' fails at the layer 'encoder.1' (Linear)",),
    ),
    "a taken name": Mistake(
        '"encode":',
        '"save":',
        (
            "the task 'save' has a name that is not allowed",
            "Taken are backend, close, compress",
        ),
        "def tasks(net)",
    ),
    "a keyword": Mistake(
        '"encode":',
        '"import":',
        (
            "the task 'import'",
            "a keyword of Python",
        ),
        "def tasks(net)",
    ),
    "an odd name": Mistake(
        '"encode":',
        '"Encode it":',
        (
            "the task 'Encode it'",
            "lower-case letters",
        ),
        "def tasks(net)",
    ),
    "an odd name of an input": Mistake(
        '"image": image}, {"code": code}', '"my image": image}, {"code": code}', ("input or output 'my image'",)
    ),
    "an input that begins with _": Mistake(
        '"image": image}, {"code": code}',
        '"_a": image}, {"code": code}',
        ("input or output '_a' has a name that is not allowed: it must begin with a letter",),
    ),
    "an output that ends in _": Mistake(
        '"image": image}, {"code": code}',
        '"image": image}, {"is_": code}',
        ("input or output 'is_' has a name that is not allowed: it must begin with a letter and not end with '_'",),
    ),
    "one name on both sides": Mistake(
        '{"code": code}),', '{"image": code}),', ("Task: image is an input and an output",)
    ),
    "no inputs": Mistake('{"image": image}, {"code": code}', '{}, {"code": code}', ("Task: it has no inputs",)),
    "a list of tasks": Mistake(
        '    return {\n        "encode"',
        '    return [] and {\n        "encode"',
        ("the function 'tasks' returns []",),
        "def tasks(net)",
    ),
    "tasks that fail": Mistake(
        "image, code = net.sample.x",
        "image, code = net.form",
        (
            "the function 'tasks', which declares the tasks, fails",
            "'form'",
        ),
    ),
    "a task that is none": Mistake(
        'zoo.Task(net.encode, {"image": image}, {"code": code})',
        "net.encode",
        ("the task 'encode' is the function encode",),
        "def tasks(net)",
    ),
    "no tasks": Mistake(
        '    return {\n        "encode"',
        '    return {}\n    {\n        "encode"',
        (
            "declares no tasks",
            "--no-release",
        ),
        "def tasks(net)",
    ),
    "a generation without its task": Mistake(
        'zoo.OneShot("decode")',
        'zoo.OneShot("decodr")',
        (
            "cannot generate",
            "'decodr', which is not there. Did you mean 'decode'?",
        ),
        "def tasks(net)",
    ),
    "a generation that fails": Mistake(
        'zoo.OneShot("decode")',
        "lambda net: net.plan",
        (
            "which says how it generates, fails",
            "no attribute 'plan'",
        ),
    ),
    "a generation that is text": Mistake(
        'zoo.OneShot("decode")',
        'lambda net: "decode"',
        (
            "generate gives 'decode'",
            "zoo.OneShot",
        ),
    ),
    "an input that is not drawn": Mistake(
        "zoo.Noise((net.latent,))",
        "code",
        (
            "cannot generate",
            "the input 'code' is vector, neither noise, a label, a number nor what a user can give",
        ),
        "def tasks(net)",
    ),
}
GENERATE = 'generate=zoo.OneShot("decode"),'


def measured(metrics: str) -> str:
    return f"{GENERATE} metrics=({metrics},),"


def measured_set(value: str, more: str = "") -> str:
    return measured(f'zoo.SetMetric("s", lambda generated, test: {value}, "", "p", {more})')


METRICS = {
    "two metrics of one name": Mistake(
        GENERATE,
        measured('zoo.Metric("m", loss, "", "p"), zoo.Metric("m", loss, "", "p")'),
        ("two of its metrics are called 'm'",),
        "mine = zoo.Model(",
    ),
    "a metric without a name": Mistake(
        GENERATE, measured('zoo.Metric("", loss, "", "p")'), ("the name '' is not allowed",)
    ),
    "a metric of no samples": Mistake(
        GENERATE, measured('zoo.Metric("m", loss, "", "p", limit=0)'), ("limit = 0 of 'm' must be at least 1",)
    ),
    "a mean over the batch": Mistake(
        GENERATE,
        measured('zoo.Metric("m", lambda net, batch, recipe: batch.x.mean(), "", "p")'),
        ("mine.tiny cannot be measured: The metric 'm' gave () for a batch of 5", "A mean is over all axes but"),
    ),
    "a metric that fails": Mistake(
        GENERATE,
        measured('zoo.Metric("m", lambda net, batch, recipe: 1 / 0, "", "p")'),
        ("mine.tiny cannot be measured: The metric 'm' fails: ZeroDivisionError",),
    ),
    "a metric with the name of one of zoo's": Mistake(
        GENERATE, measured('zoo.Metric("fid", loss, "", "p")'), ("the name 'fid' is that of one of zoo's own metrics",)
    ),
    "a metric of a set of samples that are not generated": Mistake(
        GENERATE,
        'metrics=(zoo.SetMetric("s", lambda generated, test: 0.0, "", "p"),),',
        ("the metric 's' is of generated samples, and this model generates nothing. Declare generate",),
        "mine = zoo.Model(",
    ),
    "a metric of an empty set": Mistake(
        GENERATE, measured_set("0.0", "samples=0"), ("SetMetric: samples = 0 of 's' must be at least 1",)
    ),
    "a metric of a set that is no number": Mistake(
        GENERATE,
        measured_set("generated / 255 - test['x'] / 255"),
        ("mine.tiny cannot be measured: The metric 's' gave ndarray for 5 generated samples: it must give one number",),
    ),
    "a metric of a set that is true or false": Mistake(
        GENERATE, measured_set("True"), ("The metric 's' gave bool for 5 generated samples",)
    ),
    "a metric of a set that is NaN": Mistake(
        GENERATE, measured_set("float('nan')"), ("cannot be measured: s is nan, not finite, for 5 generated samples",)
    ),
    "a metric of a set that fails": Mistake(
        GENERATE,
        measured_set("test['caption'].mean()"),
        ("mine.tiny cannot be measured: The metric 's' fails: KeyError: 'caption'",),
    ),
    "a metric of a set that draws": Mistake(
        GENERATE,
        measured_set("__import__('random').random()"),
        ("The metric 's' gives 0.", "for the same samples: it draws random numbers without a seed"),
    ),
}
# In a codec.
LAST = 'steps=2, batch=8, precision="fp32")},\n)'
CODED = """

import dataclasses


class Coded(Net):
    def __init__(self, recipe, sample):
        super().__init__(recipe, sample)
        self.register_buffer("frequencies", TABLE)

    def symbols(self, x):
        return (x[:, 0, ::4, ::4] * 3).round().long()

    def images(self, symbols):
        return (symbols[:, None] / 3).repeat_interleave(4, 2).repeat_interleave(4, 3)


def coded(net):
    image, symbols = net.sample.x, zoo.Label(4, (2, 2))
    return {
        **tasks(net),
        "pack": zoo.Task(net.symbols, {"image": image}, {"symbols": symbols}),
        "unpack": zoo.Task(net.images, {"symbols": symbols}, {"image": image}),
    }


mine = dataclasses.replace(mine, build=Coded, tasks=coded, generate=None, codec=CODEC)
"""
"""A codec of 2 × 2 symbols of 4, to append to the plugin."""


def coding(says: str, at: str, codec: str, table: str = "torch.full((4,), 16384)") -> Mistake:
    return Mistake(LAST, LAST + CODED.replace("CODEC", codec).replace("TABLE", table), (says,), at)


PACK = '"pack", "unpack"'
CODECS = {
    "text for a codec": coding("Model: codec is 'pack', and should be zoo.Codec", "codec=", "'pack'"),
    "a codec of another value": coding("codec gives {}, and should give a zoo.Codec", "codec=", "lambda net: {}"),
    "a codec that fails": coding("fails: AttributeError", "codec=", "lambda net: net.codec"),
    "a codec with an unknown field": coding("Codec has no field 'table'.", "codec=", "zoo.Codec(table='a')"),
    "a codec of a missing task": coding(
        "the codec uses task 'pakc', which is not there. Did you mean 'pack'?",
        "def coded",
        'zoo.Codec("pakc", "unpack")',
    ),
    "a codec that encodes no symbols": coding(
        "'encode' of the codec must give symbols first, a Label; it gives vector",
        "def coded",
        'zoo.Codec("encode", "unpack")',
    ),
    "a codec that decodes something else": coding(
        "'decode' of the codec must take the symbols of 'pack' alone", "def coded", 'zoo.Codec("pack", "decode")'
    ),
    "a context that is later": coding(
        "Codec: context has (0, 1), which leads to no earlier symbol", "codec=", f"zoo.Codec({PACK}, context=((0, 1),))"
    ),
    "a context of another grid": coding(
        "offsets of 1 numbers, and its grid of symbols has 2 axes", "def coded", f"zoo.Codec({PACK}, context=((-1,),))"
    ),
    "a context without parentheses": coding(
        "Codec: context[0] is 0, and should be", "codec=", f"zoo.Codec({PACK}, context=(0, -1))"
    ),
    "tables that are not there": coding(
        "tables = 'frequency', which is no buffer of its module. Did you mean 'frequencies'?",
        "class Coded",
        f"zoo.Codec({PACK}, tables='frequency')",
    ),
    "tables that are not kept": coding(
        "leaves it out of its state dict: register it with persistent=True",
        "class Coded",
        f"zoo.Codec({PACK})",
        "torch.full((4,), 16384), persistent=False",
    ),
    "tables of floats": coding(
        "the tables 'frequencies' of the codec are float32, and must be int32 or int64",
        "class Coded",
        f"zoo.Codec({PACK})",
        "torch.full((4,), 16384.0)",
    ),
    "tables of another shape": coding(
        "have the shape (5,), which does not broadcast against (2, 2, 4)",
        "class Coded",
        f"zoo.Codec({PACK})",
        "torch.full((5,), 16384)",
    ),
    "tables that do not sum": coding(
        "have the sum 4 in row [], and each row must sum to 65536",
        "class Coded",
        f"zoo.Codec({PACK})",
        "torch.ones(4, dtype=torch.int64)",
    ),
    "tables with a frequency of zero": coding(
        "have the frequency 0, and each must be from 1 to 65536",
        "class Coded",
        f"zoo.Codec({PACK})",
        "torch.tensor([0, 65534, 1, 1])",
    ),
    "frequencies of what is no count": coding(
        "zoo.frequencies takes integer counts",
        "self.register_buffer",
        f"zoo.Codec({PACK})",
        "zoo.frequencies(torch.ones(4))",
    ),
}

CASES = CONTRACT | MODULE | FINISH | TASKS | METRICS | CODECS


@pytest.mark.parametrize("case", CASES)
def test_one_line_before_anything_is_written(case: str, plug: Plug, tmp_path: Path) -> None:
    check(CASES[case], plug, tmp_path)


@pytest.mark.parametrize("case", ["a mean over the batch", "a metric of a set that is no number"])
def test_what_zoo_doctor_tries_are_the_metrics_too(case: str, plug: Plug) -> None:
    mistake = METRICS[case]
    file, line = plug(mistake.old, mistake.new)
    where = f"Plugin 'mine' ({file}, line {line}): mine.tiny cannot be measured"
    with raises(PluginError, where, mistake.says[0].partition(" for ")[0], *mistake.says[1:]):
        rehearsal.tiny("mine", graphs=False)


def test_the_command_says_the_same(plug: Plug, refused: Refused) -> None:
    file, line = plug("return self.encoder(x)", "return self.encoder(x)[:, None]")
    refused("train", "mine.tiny", says=("Plugin 'mine' (", f"{file}, line {line - 1}", "output 'code'"))


def test_a_plugin_that_ends_the_program_is_named(plug: Plug, refused: Refused) -> None:
    file, line = plug('    return {"mse"', '    raise SystemExit(3)\n    return {"mse"')
    refused("train", "mine.tiny", says=(f"{file}, line {line}, ended the program: SystemExit(3). A plugin must raise",))


def test_a_long_run_makes_its_graphs_before_it_starts(plug: Plug, tmp_path: Path) -> None:
    """ONNX has no Bessel functions, which torch alone does not know."""
    file, line = plug("return self.encoder(x)", "return torch.special.bessel_j0(self.encoder(x))")
    with raises(PluginError, f"Plugin 'mine' ({file}, line {line - 1}): task 'encode' does not export to ONNX"):
        zoo.train("mine.tiny", out=tmp_path / "run", set={"steps": rehearsal.LONG}, quiet=True)
    assert contents(tmp_path) == {}


def test_without_the_packages_of_onnx_torch_alone_finds_out(
    plug: Plug, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zoo_export.installed", lambda package: False)
    plug("return self.encoder(x)", "return self.encoder(x) if x.sum() > 0 else -self.encoder(x)")
    with raises(PluginError, "task 'encode' does not export to ONNX", "its control flow depends on values"):
        zoo.train("mine.tiny", out=tmp_path / "run", release=False, quiet=True)


@pytest.mark.parametrize("model", ["vae", *slow("sngan", "vq-vae")])
def test_a_run_is_the_same_to_the_bit_without(
    model: str, shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With spectral norm, batch norm, noise, and buffers that a loss changes."""
    monkeypatch.setattr("zoo.training.trainer_state.rehearse", lambda *args, **options: None)
    run = zoo.train(f"{model}.tiny", out=tmp_path / "run", release=False, quiet=True)
    left, right = (checkpoints.read(folder).tensors for folder in (run.folder, shelf.run(model)))
    assert left.keys() == right.keys()
    assert all(torch.equal(left[key], right[key]) for key in left)


def test_finish_that_fails(plug: Plug, tmp_path: Path) -> None:
    file, line = plug("build=Net,", "build=Net, finish=lambda net, batches, recipe: net.fit(batches),")
    with raises(PluginError, f"Plugin 'mine' ({file}, line {line}): the function 'finish' of mine.tiny fails", "'fit'"):
        zoo.train("mine.tiny", out=tmp_path / "run", quiet=True)


# Data that a model cannot be trained on


def images(folder: Path, count: int, size: int) -> str:
    folder.mkdir()
    for number in range(count):
        Image.new("L", (size, size), 40 * number).save(folder / f"{number}.png")
    return f"folder:{folder}"


def test_batch_norm_on_one_sample(refused: Refused, tmp_path: Path) -> None:
    two = images(tmp_path / "two", 2, 8)
    says = ("dcgan.tiny has batch norm, which needs at least 2 samples in a batch", "the data has 1 sample to train on")
    refused("train", "dcgan.tiny", "--data", two, says=says)


def test_batch_norm_on_batches_of_one(refused: Refused) -> None:
    refused("train", "dcgan.tiny", "--set", "batch=1", says=("batch norm", "there is 1. Set batch=2 or more."))
    accumulated = ("--set", "batch=4", "--set", "accumulate=4")
    refused("train", "dcgan.tiny", *accumulated, says=("there is 1 in each of 4 micro-batches", "accumulate=1"))


def test_images_of_one_pixel(refused: Refused, tmp_path: Path) -> None:
    data = images(tmp_path / "small", 8, 1)
    says = ("ddpm.tiny cannot be built", "images of 1×1 pixels are one cell of the coarser stage", "larger images")
    refused("train", "ddpm.tiny", "--data", data, says=says)


def test_a_mask_may_change_the_course_and_an_index_may_not() -> None:
    """What may is made a graph before step 0, which takes seconds."""
    form = zoo.Vector((2,))
    ways = {"index": lambda x: x[:, torch.tensor([1, 0])], "mask": lambda x: x + 0 * x[x > 0].sum()}
    doubtful = {
        key: tracing.try_out(torch.nn.Identity(), zoo.Task(way, {"x": form}, {"y": form}), key)
        for key, way in ways.items()
    }
    assert doubtful == {"index": False, "mask": True}
