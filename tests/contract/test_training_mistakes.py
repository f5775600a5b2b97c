"""Mistakes in what a plugin declares of training: one line with its file and line, before anything is written."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import zoo
from conftest import plugged, raises, write_plugin
from zoo.core.errors import PluginError
from zoo.training import rehearsal

SOUND = """
from dataclasses import dataclass

import torch
from torch import nn

import zoo


@dataclass(frozen=True, kw_only=True)
class Recipe(zoo.Recipe):
    features: str = zoo.setting("features.digits", "the released classifier")


class Net(nn.Module):
    def __init__(self, recipe, sample, features=None):
        super().__init__()
        self.sample, self.features = sample, features
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(64, 4), nn.BatchNorm1d(4))
        self.decoder = nn.Sequential(nn.Linear(4, 64), nn.Sigmoid(), nn.Unflatten(1, sample.x.shape))


def loss(net, batch, recipe):
    return {"mse": (net.decoder(net.encoder(batch.x)) - batch.x).square().mean()}


def penalty(net, batch, recipe):
    return {"penalty": net.decoder[0].weight.square().mean()}


def tasks(net):
    return {"decode": zoo.Task(net.decoder, {"z": zoo.Noise((4,))}, {"image": net.sample.x})}


def constant(t):
    return 1.0


def optimiser(groups):
    return torch.optim.SGD(groups, momentum=0.9)


class Counting(torch.optim.SGD):
    def __init__(self, groups):
        super().__init__(groups)
        self.count = 0

    def step(self, closure=None):
        self.count += 1
        for group in self.param_groups:
            group["lr"] = group["lr"] / self.count
        return super().step(closure)


def project(net, recipe):
    pass


def objectives(recipe, net):
    return (zoo.Objective(loss, optimiser=optimiser, schedule=constant, after=project),)


def needs(recipe):
    return {}


mine = zoo.Model(
    card=zoo.Card(title="Mine", summary="A linear one.", paper="https://example.org", citation="Nobody 2020"),
    build=Net,
    objectives=objectives,
    tasks=tasks,
    generate=zoo.OneShot("decode"),
    recipes={"tiny": Recipe(data=zoo.use("digits"), steps=2, batch=8, precision="fp32")},
    needs=needs,
)
"""


class Mistake(NamedTuple):
    """The text `old` is replaced by `new`; the error has the texts `says`, and the line that has the text `at`."""

    old: str
    new: str
    says: tuple[str, ...]
    at: str


SGD = "return torch.optim.SGD(groups, momentum=0.9)"
ONE = "return (zoo.Objective(loss, optimiser=optimiser, schedule=constant, after=project),)"

OPTIMISERS = {
    "no optimiser": Mistake(
        SGD, "return {}", ("the optimiser 'optimiser' returns {}, and must return a torch.optim.Optimizer",),
        "def optimiser",
    ),
    "a scheduler": Mistake(
        SGD,
        f"return torch.optim.lr_scheduler.ConstantLR({SGD.removeprefix('return ')})",
        ("returns <torch.optim.lr_scheduler.ConstantLR", "must return a torch.optim.Optimizer"),
        "def optimiser",
    ),
    "only the matrices": Mistake(
        SGD,
        "return torch.optim.SGD(groups[:1])",
        ("the optimiser 'optimiser' misses 4 of the 6 weights of its phase (first: 'encoder.1.bias')",),
        "def optimiser",
    ),
    "matrices that are none": Mistake(
        SGD, "return torch.optim.Muon(groups)",
        ("the optimiser 'optimiser' fails: ValueError: Muon only supports 2D parameters",), "return torch.optim.Muon",
    ),
    "a step that wants a closure": Mistake(
        SGD,
        "return torch.optim.LBFGS([{'params': [p for g in groups for p in g['params']], 'lr': 0.1}])",
        ("the optimiser 'optimiser' fails in its first steps: TypeError", "closure"),
        "def optimiser",
    ),
    "no state dict": Mistake(
        SGD,
        "found = torch.optim.SGD(groups); found.state_dict = None; return found",
        ("the optimiser 'optimiser' has no state dict: TypeError: 'NoneType' object is not callable",),
        "def optimiser",
    ),
    "a state dict that is no dict": Mistake(
        SGD,
        "found = torch.optim.SGD(groups); found.state_dict = lambda: [1]; return found",
        ("the optimiser 'optimiser' has the state dict [1], which must be a dict",),
        "def optimiser",
    ),
    "a state that no checkpoint holds": Mistake(
        SGD,
        "found = torch.optim.SGD(groups); found.param_groups[0]['rule'] = print; return found",
        (
            "has a state dict that a checkpoint cannot hold",
            "state_dict()['param_groups'][0]['rule'] is a builtin_function_or_method, which is no tensor, number",
        ),
        "def optimiser",
    ),
    "a tensor that no checkpoint holds": Mistake(
        SGD,
        "found = torch.optim.SGD(groups); found.param_groups[0]['x'] = torch.eye(2).to_sparse(); return found",
        ("has a state dict that a checkpoint cannot hold", "['x'] is a tensor of the layout torch.sparse_coo"),
        "def optimiser",
    ),
    "a state beside the state dict": Mistake(
        SGD,
        "return Counting(groups)",
        ("the optimiser 'optimiser' makes another step after its state dict was saved and loaded",),
        "def optimiser",
    ),
    "groups without a learning rate": Mistake(
        SGD,
        "found = torch.optim.SGD(groups); del found.param_groups[0]['lr']; return found",
        ("the optimiser 'optimiser' returns a SGD without params or lr in a group: KeyError: 'lr'",),
        "def optimiser",
    ),
    "an optimiser of an optimiser": Mistake(
        "optimiser=optimiser", "optimiser=zoo.AdamW",
        ("optimiser is the class AdamW", "Write AdamW(…)"), "optimiser=zoo.AdamW",
    ),
}  # fmt: skip
SCHEDULES = {
    "a negative factor": Mistake(
        "return 1.0", "return 0.5 - t", ("the schedule 'constant' gives -0.0625 at t = 0.562, and must give a finite",),
        "def constant",
    ),
    "a factor that is infinite at the end": Mistake(
        "return 1.0", "return float('inf') if t > 0.99 else 1.0", ("the schedule 'constant' gives inf at t = 1",),
        "def constant",
    ),
    "a factor that is a tensor": Mistake(
        "return 1.0", "return torch.tensor(1.0)", ("the schedule 'constant' gives tensor(1.)",), "def constant"
    ),
    "a schedule that fails": Mistake(
        "return 1.0", "return 1.0 / t", ("the schedule 'constant' fails: ZeroDivisionError",), "return 1.0 / t"
    ),
}  # fmt: skip
OBJECTIVES = {
    "no objectives": Mistake(
        ONE, "return ()", ("'objectives' returns (), and should return a tuple of zoo.Objective",), "def objectives"
    ),
    "an objective without a tuple": Mistake(
        ONE, "return zoo.Objective(loss)", ("'objectives' returns a zoo.Objective, and should return a tuple",),
        "def objectives",
    ),
    "objectives that fail": Mistake(
        ONE, "return net.phases", ("'objectives', which declares the objectives, fails: AttributeError",),
        "return net.phases",
    ),
    "a shared optimiser that is not there": Mistake(
        ONE,
        "return (zoo.Objective(loss), zoo.Objective(penalty, shares='los'))",
        ("the loss 'penalty' has shares = 'los', and no earlier objective has that loss. Did you mean 'loss'?",),
        "def penalty",
    ),
    "a shared optimiser that comes later": Mistake(
        ONE,
        "return (zoo.Objective(penalty, shares='loss'), zoo.Objective(loss))",
        ("the loss 'penalty' has shares = 'loss', and no earlier objective has that loss. It is the first",),
        "def penalty",
    ),
    "a shared optimiser that is not clear": Mistake(
        ONE,
        "return (zoo.Objective(loss), zoo.Objective(loss), zoo.Objective(penalty, shares='loss'))",
        ("has shares = 'loss', and 2 earlier objectives have that loss",),
        "def penalty",
    ),
    "a shared optimiser and parameters": Mistake(
        ONE,
        "return (zoo.Objective(loss), zoo.Objective(penalty, shares='loss', params=('decoder',)))",
        ("An objective has shares = 'loss' and params = ('decoder',)", "Leave params out"),
        "zoo.Objective(penalty",
    ),
    "a shared optimiser and an optimiser": Mistake(
        ONE,
        "return (zoo.Objective(loss), zoo.Objective(penalty, shares='loss', optimiser=optimiser))",
        ("An objective has shares = 'loss' and optimiser = ", "Leave optimiser out"),
        "zoo.Objective(penalty",
    ),
    "a shared phase that moves nothing of the other": Mistake(
        ONE,
        "return (zoo.Objective(loss, params=('encoder',)), zoo.Objective(penalty, shares='loss'))",
        ("the loss 'penalty' does not depend on the parameters of encoder",),
        "def penalty",
    ),
}  # fmt: skip
FROZEN = {
    "a frozen part that is not there": Mistake(
        "needs=needs,", "needs=needs, frozen=('encodr',),",
        ("frozen = ('encodr',), and Net has no submodule 'encodr'. Did you mean 'encoder'?",), "class Net",
    ),
    "a frozen part that is named twice": Mistake(
        "needs=needs,", "needs=needs, frozen=('encoder', 'encoder'),", ("names 'encoder' twice",), "mine = zoo.Model("
    ),
    "a frozen part without a tuple": Mistake(
        "needs=needs,", "needs=needs, frozen='encoder',", ("frozen is 'encoder'", "Write ('encoder',)"),
        "mine = zoo.Model(",
    ),
    "an objective that trains a frozen part": Mistake(
        ONE + "\n\n\ndef needs(recipe):\n    return {}\n\n\nmine = zoo.Model(",
        "return (zoo.Objective(loss, params=('encoder.1',)),)\n\n\ndef needs(recipe):\n    return {}\n\n\n"
        "mine = zoo.Model(frozen=('encoder',),",
        ("the loss 'loss' trains 'encoder.1', which is frozen: encoder",), "def loss",
    ),
    "a projection that changes a frozen part": Mistake(
        "    pass\n" + SOUND.split("    pass\n")[1].partition("needs=needs,")[0] + "needs=needs,",
        "    for weight in net.parameters():\n        weight.mul_(0.9)\n"
        + SOUND.split("    pass\n")[1].partition("needs=needs,")[0] + "needs=needs, frozen=('encoder',),",
        ("the objective of the loss 'loss' changes 'encoder.1.weight', which is frozen",), "def project",
    ),
    "a loss that changes a frozen statistic": Mistake(
        SOUND[SOUND.index('    return {"mse"'):SOUND.index("    needs=needs,")],
        "    net.encoder[2].running_mean.add_(1.0)\n"
        + SOUND[SOUND.index('    return {"mse"'):SOUND.index("    needs=needs,")] + "    frozen=('encoder',),\n",
        ("the objective of the loss 'loss' changes 'encoder.2.running_mean', which is frozen",), "def project",
    ),
    "nothing left to train": Mistake(
        "needs=needs,", "needs=needs, frozen=('encoder', 'decoder'),",
        ("the loss 'loss' has nothing to train", "frozen = ('encoder', 'decoder')"), "def loss",
    ),
}  # fmt: skip
NEEDS = {
    "a release that is not there": Mistake(
        "return {}\n\n\nmine", "return {'features': 'features.digit'}\n\n\nmine",
        ("mine.tiny needs the release 'features.digit' as 'features'", "features.digit"), "def needs",
    ),
    "a model that is not there": Mistake(
        "return {}\n\n\nmine", "return {'features': 'featurs.digits'}\n\n\nmine",
        ("mine.tiny needs the release 'featurs.digits' as 'features': No model named 'featurs'", "'features'?"),
        "def needs",
    ),
    "a folder that is not there": Mistake(
        "return {}\n\n\nmine", "return {'features': './nowhere'}\n\n\nmine", ("nowhere", "does not exist"), "def needs"
    ),
    "needs that are no mapping": Mistake(
        "return {}\n\n\nmine", "return ['features.digits']\n\n\nmine",
        ("needs gives ['features.digits'], and should give a released name for each argument of build",), "def needs",
    ),
    "an argument that build has not": Mistake(
        "return {}\n\n\nmine", "return {'classifier': recipe.features}\n\n\nmine",
        ("build(recipe, sample, classifier) cannot be called so", "keyword argument 'classifier'"), "class Net",
    ),
    "needs of a wrong field": Mistake(
        "return {}\n\n\nmine", "return {'features': recipe.feature}\n\n\nmine",
        ("the function of the releases that it needs fails: AttributeError",), "recipe.feature}",
    ),
    "an objective that trains a needed release": Mistake(
        ONE + "\n\n\ndef needs(recipe):\n    return {}",
        "return (zoo.Objective(loss, params=('features.head',)),)\n\n\ndef needs(recipe):\n"
        "    return {'features': recipe.features}",
        ("the loss 'loss' trains 'features.head', which is frozen: features",), "def loss",
    ),
}  # fmt: skip
CASES = OPTIMISERS | SCHEDULES | OBJECTIVES | FROZEN | NEEDS

Plug = Callable[[str, str], Path]


@pytest.fixture
def plug(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plug]:
    """Installs the plugin `mine` with one text replaced; returns its file."""
    folder = tmp_path_factory.mktemp("plugin")

    def install(old: str, new: str) -> Path:
        assert SOUND.count(old) == 1, old
        file = folder / "mistaken_plugin.py"
        write_plugin(file, SOUND.replace(old, new))
        return file

    with plugged(folder, mine="mistaken_plugin:mine"):
        yield install
    sys.modules.pop("mistaken_plugin", None)


@pytest.mark.parametrize("needed", [False, True])
def test_the_sound_one_trains(needed: bool, plug: Plug, tmp_path: Path) -> None:
    plug("return {}\n\n\nmine", f"return {{{chr(34)}features{chr(34)}: recipe.features}}\n\n\nmine" if needed else
         "return {}\n\n\nmine")  # fmt: skip
    assert zoo.train("mine.tiny", out=tmp_path / "run", release=False, quiet=True).steps == 2


@pytest.mark.parametrize("case", CASES)
def test_one_line_before_anything_is_written(case: str, plug: Plug, tmp_path: Path) -> None:
    old, new, says, at = CASES[case]
    file = plug(old, new)
    line = next(number for number, text in enumerate(file.read_text().split("\n"), 1) if at in text)
    with raises(PluginError, f"Plugin 'mine' ({file}, line {line}): ", *says):
        zoo.train("mine.tiny", out=tmp_path / "run", quiet=True)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("case", ["only the matrices", "a negative factor", "a release that is not there"])
def test_the_doctor_finds_it_too(case: str, plug: Plug) -> None:
    old, new, says, _ = CASES[case]
    plug(old, new)
    with raises(PluginError, "Plugin 'mine' (", *says):
        rehearsal.tiny("mine", graphs=False)


def test_the_doctor_looks_at_the_needs_of_every_recipe(plug: Plug) -> None:
    plug(
        'recipes={"tiny": Recipe(data=zoo.use("digits"), steps=2, batch=8, precision="fp32")},\n    needs=needs,',
        'recipes={"tiny": Recipe(data=zoo.use("digits"), batch=8),\n'
        '    "big": Recipe(data=zoo.use("digits"), features="features.big")},\n'
        '    needs=lambda recipe: {"features": recipe.features},',
    )
    with raises(PluginError, "mine.big needs the release 'features.big' as 'features'"):
        rehearsal.tiny("mine", graphs=False)
