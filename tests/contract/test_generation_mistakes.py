"""Mistakes in how a model generates: each is one line with the plugin's file and line, before anything is written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import zoo
from mistakes import Mistake, Plug, check, plugging

SOUND = """
from dataclasses import dataclass

import torch
from torch import nn

import zoo


class Net(nn.Module):
    def __init__(self, recipe, sample):
        super().__init__()
        self.sample = sample
        self.velocity, self.decoder = nn.Linear(4, 4), nn.Linear(4, 64)

    def move(self, x, time, until, noise, label, guidance):
        x = x + ((until - time) * guidance)[:, None] * self.velocity(x) + noise
        return x, self.decode(x, label)

    def decode(self, z, label):
        return self.decoder(z).sigmoid().unflatten(1, self.sample.x.shape)


def loss(net, batch, recipe):
    x = torch.zeros(len(batch.x), 4)
    return {"mse": (net.decode(x, None) - batch.x).square().mean() + net.velocity(x).square().mean()}


def tasks(net):
    image, label, point = net.sample.x, zoo.Label(10), zoo.Vector(())
    guidance = zoo.Number(2.0, ge=0, le=10)
    return {
        "move": zoo.Task(
            net.move,
            {"x": zoo.Noise((4,)), "time": point, "until": point, "noise": zoo.Noise((4,)), "label": label,
             "guidance": guidance},
            {"next_x": zoo.Vector((4,)), "image": image},
        ),
        "decode": zoo.Task(net.decode, {"z": zoo.Vector((4,)), "label": label}, {"image": image}),
    }


mine = zoo.Model(
    card=zoo.Card(title="Mine", summary="A linear one.", paper="https://example.org", citation="Nobody 2020"),
    build=Net,
    objectives=(zoo.Objective(loss),),
    tasks=tasks,
    generate=zoo.Chain(zoo.Iterative("move", (0.0, 0.5, 1.0), steps=2), "decode"),
    recipes={"tiny": zoo.Recipe(data=zoo.use("digits"), steps=2, batch=8, precision="fp32")},
)
"""

SAMPLER = 'zoo.Chain(zoo.Iterative("move", (0.0, 0.5, 1.0), steps=2), "decode")'
TASKS = "def tasks(net)"
GIVEN_TO_MOVE = '             "guidance": guidance},'
CANNOT = "the model cannot generate: "
UNFIT = "is not of the form that chain generation needs: "


def added(spec: str) -> str:
    """The inputs of `move` with one more."""
    return GIVEN_TO_MOVE.replace("}", f", {spec}}}")


def sampler(value: str, *says: str, at: str = TASKS) -> Mistake:
    return Mistake(SAMPLER, value, says, at)


def inputs(spec: str, *says: str) -> Mistake:
    return Mistake(GIVEN_TO_MOVE, added(spec), (f"{CANNOT}task 'move' {UNFIT}", *says), TASKS)


def of_move(old: str, new: str, *says: str) -> Mistake:
    return Mistake(old, new, (f"{CANNOT}task 'move' {UNFIT}", *says), TASKS)


def of_decode(old: str, new: str, *says: str) -> Mistake:
    return Mistake(old, new, (f"{CANNOT}task 'decode' {UNFIT}", *says), TASKS)


ROLES = {
    "an input that is none of the roles": inputs(
        '"extra": zoo.Vector((3,))',
        "the input 'extra' is vector, neither noise, a label, a number, a state nor what a user can give",
    ),
    "a score": inputs('"extra": zoo.Score()', "the input 'extra' is score, neither noise"),
    "a given input that no data has": inputs(
        '"caption": zoo.Text("ab", 8)',
        "the input 'caption' (zoo.Text(vocabulary='ab', length=8)) is given by the user",
        "is like no field of the data, which has x (zoo.Image(channels=1, height=8, width=8)), label (",
        "Give it the name and the form of a field",
    ),
    "a given input of another form than the data": inputs(
        '"picture": zoo.Image(3, 8, 8)',
        "the input 'picture' (zoo.Image(channels=3, height=8, width=8)) is given by the user",
        "which has x (zoo.Image(channels=1, height=8, width=8))",
    ),
    "several labels where the data has one": inputs(
        '"labels": zoo.Label(10, (3,))', "the input 'labels' (zoo.Label(classes=10, shape=(3,))) is given by the user"
    ),
    "a number called seed": inputs('"seed": zoo.Number(1.0)', "the input 'seed' has a name that generation needs"),
    "a number called output": inputs(
        '"output": zoo.Number(1.0)', "the input 'output' has a name that generation needs"
    ),
    "a number called steps": inputs('"steps": zoo.Number(1.0)', "the input 'steps' has a name that generation needs"),
    "a given image called fit": inputs('"fit": net.sample.x', "the input 'fit' has a name that generation needs"),
    "a number called self": inputs('"self": zoo.Number(1.0)', "the input 'self' has a name that generation needs"),
    "noise called first": inputs('"first": zoo.Noise((3,))', "the input 'first' has a name that generation needs"),
    "noise called steps": inputs('"steps": zoo.Noise((3,))', "the input 'steps' has a name that generation needs"),
    "one name for two things": of_decode(
        '{"z": zoo.Vector((4,)), "label": label}',
        '{"z": zoo.Vector((4,)), "label": label, "guidance": zoo.Number(1.0)}',
        "the input 'guidance' is zoo.Number(default=1.0",
        "and zoo.Number(default=2.0, ge=0.0, le=10.0",
        "in another task",
    ),
}
NUMBERS = {
    "a default above the range": Mistake(
        "zoo.Number(2.0,", "zoo.Number(11,", ("Number: the default is 11, and must be at least 0 and at most 10.",)
    ),
    "a default below the range": Mistake(
        "zoo.Number(2.0,", "zoo.Number(-1.0,", ("the default is -1, and must be at least 0",)
    ),
    "a default that is not finite": Mistake(
        "zoo.Number(2.0, ge=0, le=10)", 'zoo.Number(float("inf"))', ("the default is inf, and must be finite",)
    ),
    "a default that is text": Mistake("zoo.Number(2.0,", 'zoo.Number("2",', ("Number: default is '2'",)),
    "no default": Mistake("zoo.Number(2.0,", "zoo.Number(", ("Number", "default")),
}
SAMPLERS = {
    "a state that changes its form": of_move(
        '"next_x": zoo.Vector((4,))', '"next_x": zoo.Vector((3,))', "the state 'x' changes its form, from [4] to [3]"
    ),
    "a state that changes its type": of_move(
        '"next_x": zoo.Vector((4,))', '"next_x": zoo.Vector((4,), "int64")', "the state 'x' changes its form"
    ),
    "a state that is no number": Mistake(
        "return x, self.decode(x, label)",
        "return x / 0 * 0, self.decode(x, label)",
        ("task 'move' gives values of 'next_x' that are not numbers (NaN)",),
        "def move",
    ),
    "no state": of_move('"next_x": zoo', '"moved": zoo', "it has no state: no input X with an output next_X"),
    "no time": of_move('"time": point, ', "", "it takes no time, a zoo.Vector(()): where in the schedule"),
    "a time that is a label": of_move(
        '"time": point', '"time": zoo.Label(3)', "its time is zoo.Label(classes=3", "and must be a zoo.Vector(())"
    ),
    "an until of two numbers": of_move(
        '"until": point', '"until": zoo.Vector((2,))', "its until is zoo.Vector(shape=(2,)", "must be a zoo.Vector(())"
    ),
    "a schedule of one point": sampler(
        'zoo.Iterative("move", (0.0,), steps=1)', CANNOT, "the schedule of generation must have 2 to", "and it has 1"
    ),
    "a schedule of nothing": sampler('zoo.Iterative("move", (), steps=1)', "must have 2 to", "and it has 0"),
    "a schedule of text": sampler(
        'zoo.Iterative("move", "abc", steps=1)', "Iterative: schedule is 'abc', and should be a tuple of numbers", at=""
    ),
    "a schedule that is not finite": sampler(
        'zoo.Iterative("move", (0.0, float("nan")), steps=1)', "has a point that is not finite"
    ),
    "a schedule without end": sampler(
        'zoo.Iterative("move", (0.0, float("inf")), steps=1)', "has a point that is not finite"
    ),
    "more steps than the schedule has": sampler(
        'zoo.Iterative("move", (0.0, 0.5, 1.0), steps=3)', "generation has 3 steps", "3 points allows 1 to 2"
    ),
    "no steps": sampler('zoo.Iterative("move", (0.0, 0.5, 1.0), steps=0)', "generation has 0 steps"),
    "another sampler's task": sampler('zoo.Iterative("decode", (0.0, 1.0), steps=1)', "it takes no time"),
    "no such task": sampler(
        'zoo.Iterative("mov", (0.0, 1.0), steps=1)', "task 'mov', which is not there", "Did you mean 'move'?"
    ),
    "samples of another kind": Mistake(
        '"label": label}, {"image": image}),',
        '"label": label}, {"score": zoo.Score()}),',
        (f"task 'decode' {UNFIT}it gives score, and the data is image",),
        TASKS,
    ),
}
CHAINS = {
    "a last task that does not take the state": of_decode(
        '{"z": zoo.Vector((4,))', '{"z": zoo.Vector((5,))', "its first input 'z' has not the form of the first state"
    ),
    "a last task that takes something else first": of_decode(
        '{"z": zoo.Vector((4,)), "label": label}',
        '{"label": label, "z": zoo.Vector((4,))}',
        "its first input 'label' has not the form of the first state",
    ),
    "a chain of one task": sampler(
        'zoo.Chain(zoo.Iterative("move", (0.0, 1.0), steps=1), "move")', f"task 'move' {UNFIT}it is the loop's own"
    ),
    "a chain of a single call": sampler(
        'zoo.Chain(zoo.OneShot("decode"), "decode")', "Chain: first is a zoo.OneShot", "zoo.Iterative", at=""
    ),
    "a chain without its first part": sampler('zoo.Chain("move", "decode")', "Chain: first is 'move'", at=""),
}
CASES = ROLES | NUMBERS | SAMPLERS | CHAINS


@pytest.fixture
def plug(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plug]:
    with plugging(tmp_path_factory.mktemp("plugin"), SOUND) as install:
        yield install


def test_the_sound_one_trains(plug: Plug, tmp_path: Path) -> None:
    plug("import torch\n", "import torch\n")
    assert zoo.train("mine.tiny", out=tmp_path / "run", release=False, quiet=True).steps == 2


@pytest.mark.parametrize("case", CASES)
def test_one_line_before_anything_is_written(case: str, plug: Plug, tmp_path: Path) -> None:
    check(CASES[case], plug, tmp_path)
