"""Plugins for the tests of what a generation takes: given inputs, numbers, and samplers that are tasks."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

import zoo
from zoo.data import characters
from zoo_data.digits import digits

LATENT = 6
LEVELS = 3
"""Tokens of the masked model; 0 is the mask."""


@dataclass(frozen=True, kw_only=True)
class Recipe(zoo.Recipe):
    width: int = zoo.setting(16, "hidden units", ge=1)


def mlp(inputs: int, outputs: int, width: int) -> nn.Module:
    return nn.Sequential(nn.Linear(inputs, width), nn.SiLU(), nn.Linear(width, outputs))


class Net(nn.Module):
    """An autoencoder, and networks of every kind on its latents and on images."""

    def __init__(self, recipe: Recipe, sample: zoo.Sample) -> None:
        super().__init__()
        image = sample.form(zoo.Image)
        self.sample, self.shape = sample, image.shape
        self.size = image.channels * image.height * image.width
        self.encoder, self.decoder = mlp(self.size, LATENT, recipe.width), mlp(LATENT, self.size, recipe.width)
        self.painter = mlp(self.size + LATENT, self.size, recipe.width)
        self.velocity = mlp(self.size + 1 + sample.classes, self.size, recipe.width)
        self.latent_velocity = mlp(LATENT + 1, LATENT, recipe.width)
        self.guess = mlp(LATENT * LEVELS, LATENT * LEVELS, recipe.width)

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x.flatten(1)).tanh()

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z).sigmoid().unflatten(1, self.shape)

    def paint(self, image: Tensor, z: Tensor, strength: Tensor, temperature: Tensor, prompt: Tensor) -> Tensor:
        """The image, changed as z says by a strength of 0 to 2; the last two have names of options of tokens."""
        made = (
            self.painter(torch.cat([image.flatten(1), z * (temperature + prompt)[:, None]], 1))
            .sigmoid()
            .unflatten(1, self.shape)
        )
        share = strength[:, None, None, None] / 2
        return (1 - share) * image + share * made

    def guided(self, x: Tensor, time: Tensor, label: Tensor, guidance: Tensor) -> Tensor:
        """Classifier-free guidance (Ho & Salimans 2022, eq. 6) of the velocity at x, (b, size)."""
        known = F.one_hot(label, self.sample.classes).float()
        with_label, without = (
            self.velocity(torch.cat([x, time[:, None], there], 1)) for there in (known, torch.zeros_like(known))
        )
        return without + guidance[:, None] * (with_label - without)

    def heun(self, x: Tensor, time: Tensor, until: Tensor, label: Tensor, guidance: Tensor) -> tuple[Tensor, Tensor]:
        """Heun's step along the flow, the form of Karras et al. 2022, algorithm 1."""
        step = (until - time)[:, None]
        first = self.guided(x, time, label, guidance)
        second = self.guided(x + step * first, until, label, guidance)
        x = x + step * (first + second) / 2
        return x, ((x + 1) / 2).clamp(0, 1).unflatten(1, self.shape)

    def euler(self, z: Tensor, time: Tensor, until: Tensor) -> Tensor:
        return z + (until - time)[:, None] * self.latent_velocity(torch.cat([z, time[:, None]], 1))

    def unmask(self, tokens: Tensor, time: Tensor, until: Tensor, order: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
        """Reveal tokens whose turn, a number in [0, 1) of each place, comes before `until` (as in MaskGIT).

        Tokens, (b, LATENT), are 0 while masked. `order` keeps from step to step.
        """
        logits = self.guess(F.one_hot(tokens, LEVELS).float().flatten(1)).unflatten(1, (LATENT, LEVELS))
        logits = torch.cat([torch.full_like(logits[:, :, :1], -1e9), logits[:, :, 1:]], 2)  # never the mask again
        made = (logits - (-(u.clamp(min=1e-6)).log()).log()).argmax(2)
        now = (order < until[:, None]) & (tokens == 0)
        return torch.where(now, made, tokens), order + 0

    def of_tokens(self, tokens: Tensor) -> Tensor:
        return self.decode(tokens.float() - 1)


def loss(net: Net, batch: zoo.Batch, recipe: Recipe) -> Mapping[str, Tensor]:
    x, noise = 2 * batch.x.flatten(1) - 1, torch.randn(len(batch.x), net.size)
    time = torch.rand(len(x), 1)
    label = F.one_hot(batch["label"], net.sample.classes).float() * (torch.rand(len(x), 1) < 0.8)
    velocity = net.velocity(torch.cat([(1 - time) * noise + time * x, time, label], 1))
    z = net.encode(batch.x)
    moved = net.latent_velocity(torch.cat([time * z.detach(), time], 1))
    painted = net.paint(batch.x, torch.randn(len(x), LATENT), *torch.tensor([[2.0], [1.0], [0.0]]).expand(3, len(x)))
    levels = (z.detach() > 0).long() + 1
    hidden = levels * (torch.rand(levels.shape) < time)
    logits = net.guess(F.one_hot(hidden, LEVELS).float().flatten(1)).unflatten(1, (LATENT, LEVELS))
    return {
        "reconstruction": F.mse_loss(net.decode(z), batch.x),
        "flow": F.mse_loss(velocity, x - noise),
        "latent": F.mse_loss(moved, z.detach()),
        "paint": F.mse_loss(painted, 1 - batch.x),
        "guess": F.cross_entropy(logits.flatten(0, 1), levels.flatten()),
    }


GUIDANCE = zoo.Number(2.0, ge=0, le=10, help="how much the class counts; 1 is the class alone")


def tasks(net: Net) -> Mapping[str, zoo.Task]:
    image, z, point = net.sample.x, zoo.Vector((LATENT,)), zoo.Vector(())
    x, label = zoo.Noise((net.size,)), zoo.Label(net.sample.classes)
    where = {"time": point, "until": point}
    tokens, places = zoo.Label(LEVELS, (LATENT,)), zoo.Noise((LATENT,), "uniform")
    return {
        "encode": zoo.Task(net.encode, {"image": image}, {"z": z}),
        "decode": zoo.Task(net.decode, {"z": z}, {"image": image}),
        "paint": zoo.Task(
            net.paint,
            {
                "image": image,
                "z": zoo.Noise((LATENT,)),
                "strength": zoo.Number(1.0, ge=0, le=2),
                "temperature": zoo.Number(1.0),
                "prompt": zoo.Number(0.0, le=1),
            },
            {"painted": image},
        ),
        "heun": zoo.Task(
            net.heun,
            {"x": x, **where, "label": label, "guidance": GUIDANCE},
            {"next_x": zoo.Vector(x.shape), "image": image},
        ),
        "euler": zoo.Task(net.euler, {"z": zoo.Noise((LATENT,)), **where}, {"next_z": z}),
        "unmask": zoo.Task(
            net.unmask,
            {"tokens": tokens, **where, "order": places, "u": zoo.Noise((LATENT, LEVELS), "uniform")},
            {"next_tokens": tokens, "next_order": zoo.Vector((LATENT,))},
        ),
        "of_tokens": zoo.Task(net.of_tokens, {"tokens": tokens}, {"image": image}),
    }


def even(steps: int) -> tuple[float, ...]:
    return tuple(k / steps for k in range(steps + 1))


def model(generate: object, title: str, data: str = "digits") -> zoo.Model:
    return zoo.Model(
        card=zoo.Card(
            title=title,
            summary="A small model for tests.",
            paper="https://arxiv.org/abs/2210.02747",
            citation="Lipman et al. 2023",
        ),
        build=Net,
        objectives=(zoo.Objective(loss),),
        tasks=tasks,
        generate=generate,  # type: ignore[arg-type]
        recipes={"tiny": Recipe(data=zoo.use(data), steps=20, batch=32, precision="fp32")},
    )


paint = model(zoo.OneShot("paint"), "Paints over an image")
flow = model(zoo.Iterative("heun", even(8), steps=4), "Flow matching with Heun's steps and guidance", "named")
drift = model(zoo.Chain(zoo.Iterative("euler", even(8), steps=4), "decode"), "Flow of latents")
masked = model(zoo.Chain(zoo.Iterative("unmask", even(6), steps=3), "of_tokens"), "Masked tokens")


class Sentence(nn.Module):
    """p(character | the one before, z, label of the text's first character): a text from noise, as a sentence VAE."""

    def __init__(self, recipe: Recipe, sample: zoo.Sample) -> None:
        super().__init__()
        self.sample, self.classes = sample, sample.form(zoo.Text).classes
        self.characters = nn.Embedding(self.classes, recipe.width)
        self.latent, self.head = nn.Linear(LATENT, recipe.width), nn.Linear(recipe.width, self.classes)

    def step(self, token: Tensor, z: Tensor, memory: Tensor, sharpness: Tensor) -> tuple[Tensor, Tensor]:
        memory = (0.5 * memory + self.characters(token) + self.latent(z)).tanh()
        return self.head(memory) * sharpness[:, None], memory


def text_loss(net: Sentence, batch: zoo.Batch, recipe: Recipe) -> Mapping[str, Tensor]:
    z, memory, total = torch.randn(len(batch.x), LATENT), torch.zeros(len(batch.x), recipe.width), 0.0
    for place in range(3):
        logits, memory = net.step(batch.x[:, place], z, memory, torch.ones(len(z)))
        total = total + F.cross_entropy(logits, batch.x[:, place + 1])
    return {"nll": total / 3}  # type: ignore[dict-item]


def text_tasks(net: Sentence) -> Mapping[str, zoo.Task]:
    width = net.head.in_features
    inputs = {
        "token": zoo.Label(net.classes),
        "z": zoo.Noise((LATENT,)),
        "memory": zoo.Vector((width,)),
        "sharpness": zoo.Number(1.0, ge=0, le=4),
    }
    outputs = {"logits": zoo.Vector((net.classes,)), "next_memory": zoo.Vector((width,))}
    return {"step": zoo.Task(net.step, inputs, outputs)}


sentence = zoo.Model(
    card=paint.card,
    build=Sentence,
    objectives=(zoo.Objective(text_loss),),
    tasks=text_tasks,
    generate=zoo.Autoregressive("step"),
    recipes={"tiny": Recipe(data=zoo.use("descriptions", length=8), steps=20, batch=16, precision="fp32")},
)


# Captions: digits with their names

NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
VOCABULARY = " " + "".join(sorted({letter for name in NAMES for letter in name}))
CAPTION = zoo.Text(VOCABULARY, 8)


def load_named(split: str, folder: Path, options: zoo.ImageOptions) -> dict[str, NDArray[Any]]:
    held = digits.load(split, folder, options)
    captions = characters.rows((NAMES[label] for label in held["label"]), CAPTION)
    return {"x": held["x"], "label": held["label"], "caption": captions}


def load_captions(split: str, folder: Path, options: zoo.ImageOptions) -> dict[str, NDArray[Any]]:
    """The same, in which the names are modelled."""
    held = load_named(split, folder, options)
    return {"x": held["caption"], "picture": held["x"]}


named = dataclasses.replace(
    digits,
    sample=lambda options: zoo.Sample(zoo.Image(1, 8, 8), {"label": zoo.Label(10), "caption": CAPTION}),
    load=load_named,
    classes=NAMES,
)
captions = dataclasses.replace(
    digits,
    sample=lambda options: zoo.Sample(CAPTION, {"picture": zoo.Image(1, 8, 8)}),
    load=load_captions,
    classes=(),
)


class Illustrator(nn.Module):
    """An image from a caption and noise."""

    def __init__(self, recipe: Recipe, sample: zoo.Sample) -> None:
        super().__init__()
        self.sample, self.shape = sample, sample.form(zoo.Image).shape
        self.text = sample["caption"]
        self.words = nn.Embedding(self.text.classes, recipe.width)
        self.layers = mlp(recipe.width * self.text.length + LATENT, 64, recipe.width)

    def draw(self, caption: Tensor, z: Tensor) -> Tensor:
        return self.layers(torch.cat([self.words(caption).flatten(1), z], 1)).sigmoid().unflatten(1, self.shape)


def drawn(net: Illustrator, batch: zoo.Batch, recipe: Recipe) -> Mapping[str, Tensor]:
    return {"error": F.mse_loss(net.draw(batch["caption"], torch.randn(len(batch.x), LATENT)), batch.x)}


illustrate = zoo.Model(
    card=paint.card,
    build=Illustrator,
    objectives=(zoo.Objective(drawn),),
    tasks=lambda net: {
        "draw": zoo.Task(net.draw, {"caption": net.text, "z": zoo.Noise((LATENT,))}, {"image": net.sample.x})
    },
    generate=zoo.OneShot("draw"),
    recipes={"tiny": Recipe(data=zoo.use("named"), steps=30, batch=32, precision="fp32")},
)


class Describer(nn.Module):
    """p(character | the one before, picture)."""

    def __init__(self, recipe: Recipe, sample: zoo.Sample) -> None:
        super().__init__()
        self.sample, self.classes, self.picture = sample, sample.form(zoo.Text).classes, sample["picture"]
        self.seen, self.words = nn.Linear(64, recipe.width), nn.Embedding(self.classes, recipe.width)
        self.head = nn.Linear(recipe.width, self.classes)

    def step(self, token: Tensor, picture: Tensor) -> Tensor:
        return self.head((self.words(token) + self.seen(picture.flatten(1))).relu())


def described(net: Describer, batch: zoo.Batch, recipe: Recipe) -> Mapping[str, Tensor]:
    return {"nll": F.cross_entropy(net.step(batch.x[:, 0], batch["picture"]), batch.x[:, 1])}


describe = zoo.Model(
    card=paint.card,
    build=Describer,
    objectives=(zoo.Objective(described),),
    tasks=lambda net: {
        "step": zoo.Task(
            net.step,
            {"token": zoo.Label(net.classes), "picture": net.picture},
            {"logits": zoo.Vector((net.classes,))},
        )
    },
    generate=zoo.Autoregressive("step"),
    recipes={"tiny": Recipe(data=zoo.use("captions"), steps=30, batch=32, precision="fp32")},
)
