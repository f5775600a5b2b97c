"""Residual classifier, whose features the distances between sets of images use.

He, Zhang, Ren & Sun 2016, "Deep residual learning for image recognition", https://arxiv.org/abs/1512.03385: the
small ResNet of section 4.2, with three stages of 3×3 convolutions and global average pooling. The pooled vector is the
feature vector from which FID, KID, precision and recall are computed (docs/reference/metrics.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

import zoo


@dataclass(frozen=True, kw_only=True)
class Recipe(zoo.Recipe):
    width: int = zoo.setting(
        28, "channels of the first stage; the third, and so the features, have 4 times as many", ge=1
    )
    blocks: int = zoo.setting(1, "residual blocks a stage", ge=1)
    stride: int = zoo.setting(1, "stride of the first convolution; 2 is four times quicker", ge=1, le=2)


class Block(nn.Module):
    """ReLU(shortcut(x) + F(x)) (eq. 2); F is two convolutions; the shortcut is 1×1 if the shape changes (option B)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut: nn.Module = nn.Identity()
        if inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        return (self.shortcut(x) + self.residual(x)).relu()


class Classifier(nn.Module):
    """p(label | image)."""

    def __init__(self, recipe: Recipe, sample: zoo.Sample) -> None:
        super().__init__()
        image = sample.form(zoo.Image)
        if sample.classes < 2:
            raise ValueError(f"a classifier needs 2 or more classes, and this data has {sample.classes}")
        self.sample, self.size = sample, 4 * recipe.width
        layers: list[nn.Module] = [
            nn.Conv2d(image.channels, recipe.width, 3, recipe.stride, 1, bias=False),
            nn.BatchNorm2d(recipe.width),
            nn.ReLU(),
        ]
        channels = recipe.width
        for stage in range(3):
            for block in range(recipe.blocks):
                outputs = recipe.width * 2**stage
                layers.append(Block(channels, outputs, 2 if stage and block == 0 else 1))
                channels = outputs
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(self.size, sample.classes)

    def features(self, x: Tensor) -> Tensor:
        """The globally average-pooled output of the last stage, (b, size)."""
        return self.body(2 * x - 1).mean((2, 3))  # (b, size, h, w) → (b, size)

    def classify(self, x: Tensor) -> Tensor:
        """Logits, (b, classes)."""
        return self.head(self.features(x))

    def forward(self, x: Tensor) -> Tensor:
        """Logits of the classes: float32 (b, c, h, w) in [0, 1] → (b, classes)."""
        return self.classify(x)


def loss(net: Classifier, batch: zoo.Batch, recipe: Recipe) -> Mapping[str, Tensor]:
    return {"cross_entropy": F.cross_entropy(net.classify(batch.x), batch.labels)}


def cross_entropy(net: Classifier, batch: zoo.Batch, recipe: Recipe) -> Tensor:
    """−log p(class of the image), (b,)."""
    return F.cross_entropy(net.classify(batch.x), batch.labels, reduction="none")


def tasks(net: Classifier) -> Mapping[str, zoo.Task]:
    image = net.sample.x
    return {
        "classify": zoo.Task(net.classify, {"image": image}, {"logits": zoo.Vector((net.sample.classes,))}),
        "features": zoo.Task(net.features, {"image": image}, {"features": zoo.Vector((net.size,))}),
    }


features = zoo.Model(
    card=zoo.Card(
        title="Residual classifier",
        summary="A small classifier whose features tell how close generated images are to real ones.",
        paper="https://arxiv.org/abs/1512.03385",
        citation="He et al. 2016",
    ),
    build=Classifier,
    objectives=(zoo.Objective(loss, optimiser=zoo.AdamW(weight_decay=0.05)),),
    tasks=tasks,
    metrics=(zoo.Metric("cross_entropy", cross_entropy, "nats per image", "−log p of the class of each image"),),
    recipes={
        "digits": Recipe(
            data=zoo.use("digits"), precision="fp32", steps=600, batch=100, lr=3e-3, warmup=50, decay="cosine"
        ),
        "mnist": Recipe(data=zoo.use("mnist"), stride=2, steps=3500, lr=3e-3, warmup=200, decay="cosine"),
        "cifar10-jpeg": Recipe(  # flips and random crops with 4 pixels of padding, as in section 4.2
            data=zoo.use("cifar10-jpeg", flip=True, crop=4), stride=2, steps=5000, lr=3e-3, warmup=300, decay="cosine"
        ),
        "tiny": Recipe(data=zoo.use("digits"), precision="fp32", width=4, steps=20, batch=32),
    },
)
