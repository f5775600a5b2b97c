"""A small causal transformer on characters.

The decoder of Vaswani et al. 2017, "Attention is all you need", https://arxiv.org/abs/1706.03762, as a language model
(Radford et al. 2018), with pre-normalisation, rotary position embedding (Su et al. 2021,
https://arxiv.org/abs/2104.09864), and the output layer tied to the embedding (Press & Wolf 2017,
https://arxiv.org/abs/1608.05859).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import zoo


@dataclass(frozen=True, kw_only=True)
class Recipe(zoo.Recipe):
    # Sizes, no dropout and 2,000 steps: as in nanoGPT's example for a CPU (https://github.com/karpathy/nanoGPT).
    layers: int = zoo.setting(4, "transformer blocks", ge=1)
    heads: int = zoo.setting(4, "attention heads a block", ge=1)
    width: int = zoo.setting(128, "dimensions of the embedding of a character; a multiple of 2 × heads", ge=2)
    dropout: float = zoo.setting(0.0, "fraction of activations dropped in training", ge=0, le=0.9)


class Block(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x))."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.heads, self.dropout = recipe.heads, recipe.dropout
        self.norm1, self.norm2 = nn.LayerNorm(recipe.width), nn.LayerNorm(recipe.width)
        self.qkv = nn.Linear(recipe.width, 3 * recipe.width, bias=False)
        self.proj = nn.Linear(recipe.width, recipe.width, bias=False)
        self.mlp = nn.Sequential(
            nn.Linear(recipe.width, 4 * recipe.width, bias=False),
            nn.GELU(),
            nn.Linear(4 * recipe.width, recipe.width, bias=False),
            nn.Dropout(recipe.dropout),
        )

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """Map a whole text, (b, t, width), to the same shape; `cos` and `sin` are (t, head / 2)."""
        q, k, v = self._qkv(x)  # each (b, heads, t, head)
        q, k, dropout = rotate(q, cos, sin), rotate(k, cos, sin), self.dropout if self.training else 0.0
        if v.dtype is torch.bfloat16 and not v.is_cuda:  # on the CPU torch's fused attention is 3 times slower
            seen = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool, device=x.device).tril()
            mixed = F.dropout(attention(q, k, seen), dropout) @ v
        else:
            mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True, dropout_p=dropout)
        return self._finish(x, mixed)

    def step(
        self, x: Tensor, cos: Tensor, sin: Tensor, cache: Tensor, here: Tensor, seen: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Map one character, (b, 1, width), given the cached keys and values of those before it.

        `cache` is (b, 2, heads, length, head). The masks `here` and `seen`, each (b, length), mark the slot of this
        character and the slots filled so far.
        """
        q, k, v = self._qkv(x)  # each (b, heads, 1, head)
        kv = torch.stack([rotate(k, cos, sin), v], dim=1)  # (b, 2, heads, 1, head)
        cache = torch.where(here[:, None, None, :, None], kv, cache)
        weights = attention(rotate(q, cos, sin), cache[:, 0], seen[:, None, None, :])  # (b, heads, 1, length)
        return self._finish(x, weights @ cache[:, 1]), cache

    def _qkv(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        qkv = self.qkv(self.norm1(x)).unflatten(-1, (3, self.heads, -1))  # (b, t, 3 width) → (b, t, 3, heads, head)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)  # each (b, heads, t, head)
        return q, k, v

    def _finish(self, x: Tensor, mixed: Tensor) -> Tensor:
        x = x + self.proj(mixed.transpose(1, 2).flatten(2))  # (b, heads, t, head) → (b, t, width)
        return x + self.mlp(self.norm2(x))


class CharGPT(nn.Module):
    """p(character | the characters before it)."""

    frequency: Tensor
    """θ_i, radians per position, of each pair of a head's dimensions: (head / 2,)."""

    def __init__(self, recipe: Recipe, sample: zoo.Sample) -> None:
        super().__init__()
        text = sample.form(zoo.Text)
        if recipe.width % (2 * recipe.heads):
            raise ValueError(f"width (={recipe.width}) must be a multiple of 2 x heads (={2 * recipe.heads})")
        self.sample, self.classes, self.length = sample, text.classes, text.length
        head = recipe.width // recipe.heads
        self.cache = (recipe.layers, 2, recipe.heads, self.length, head)
        self.embedding = nn.Embedding(self.classes, recipe.width)
        self.blocks = nn.ModuleList(Block(recipe) for _ in range(recipe.layers))
        self.norm = nn.LayerNorm(recipe.width)
        self.head = nn.Linear(recipe.width, self.classes, bias=False)
        for name, parameter in self.named_parameters():
            if parameter.ndim == 2:  # residual branches start smaller, as in GPT-2 (Radford et al. 2019)
                last = name.endswith(("proj.weight", "mlp.2.weight"))
                nn.init.normal_(parameter, std=0.02 / (math.sqrt(2 * recipe.layers) if last else 1.0))
        self.head.weight = self.embedding.weight
        self.register_buffer("frequency", 10000.0 ** -(torch.arange(0, head, 2) / head))

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits of the next character at each position: int64 (b, t) → (b, t, classes)."""
        cos, sin = self._angles(torch.arange(tokens.shape[1], device=tokens.device))
        x = self.embedding(tokens)  # (b, t, width)
        for block in self.blocks:
            x = block(x, cos, sin)
        return self.head(self.norm(x))

    def step(self, token: Tensor, position: Tensor, cache: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits of the next character, (b, classes), the next position and the next cache.

        `token` and `position` are int64, (b,). The KV cache is (b, layers, 2, heads, length, head), zeros at first. It
        is a ring buffer: a text may be longer than the context length.
        """
        slots = torch.arange(self.length, device=token.device)
        here = slots == (position % self.length)[:, None]  # (b, length)
        seen = slots <= position[:, None]  # (b, length)
        cos, sin = (angle[:, None, None, :] for angle in self._angles(position))  # (b, 1, 1, head / 2)
        x = self.embedding(token)[:, None]  # (b, 1, width)
        caches = []
        for block, block_cache in zip(cast(Iterable[Block], self.blocks), cache.unbind(1), strict=True):
            x, block_cache = block.step(x, cos, sin, block_cache, here, seen)
            caches.append(block_cache)
        return self.head(self.norm(x))[:, 0], position + 1, torch.stack(caches, dim=1)

    def _angles(self, position: Tensor) -> tuple[Tensor, Tensor]:
        angle = position[:, None] * self.frequency
        return angle.cos(), angle.sin()


def attention(q: Tensor, k: Tensor, seen: Tensor) -> Tensor:
    """softmax(q kᵀ / √head), the attention weights of eq. 1 (Vaswani et al. 2017), masked by `seen`."""
    return (q / math.sqrt(q.shape[-1]) @ k.transpose(-2, -1)).masked_fill(~seen, -1e9).softmax(-1)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate pairs of dimensions by their position's angles (Su et al. 2021, eq. 34): (…, t, head).

    Dimensions i and i + head / 2 form a pair. The paper pairs neighbours; this is the same up to a permutation of
    each head's dimensions.
    """
    a, b = x.chunk(2, dim=-1)
    return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1)


def nll(gpt: CharGPT, batch: zoo.Batch, recipe: Recipe) -> Tensor:
    """Mean negative log-likelihood of a window's characters, in nats per character, (b,); the first is not scored."""
    logits = gpt(batch.x[:, :-1]).float()  # (b, t, classes)
    losses = F.cross_entropy(logits.flatten(0, 1), batch.x[:, 1:].flatten(), reduction="none")
    return losses.unflatten(0, (len(logits), -1)).mean(1)


def bits(gpt: CharGPT, batch: zoo.Batch, recipe: Recipe) -> Tensor:
    """The same in bits per character, (b,)."""
    return nll(gpt, batch, recipe) / math.log(2)


def loss(gpt: CharGPT, batch: zoo.Batch, recipe: Recipe) -> Mapping[str, Tensor]:
    return {"nll": nll(gpt, batch, recipe).mean()}


def tasks(gpt: CharGPT) -> Mapping[str, zoo.Task]:
    position, cache = zoo.Vector((), "int64"), zoo.Vector(gpt.cache)
    outputs = {"logits": zoo.Vector((gpt.classes,)), "next_position": position, "next_cache": cache}
    return {
        "step": zoo.Task(gpt.step, {"token": zoo.Label(gpt.classes), "position": position, "cache": cache}, outputs)
    }


chargpt = zoo.Model(
    card=zoo.Card(
        title="Character transformer",
        summary="A small causal transformer that writes text one character at a time.",
        paper="https://arxiv.org/abs/1706.03762",
        citation="Vaswani et al. 2017",
    ),
    build=CharGPT,
    # β₂ = 0.99 because a batch has few characters. The betas, weight decay, warm-up and clip are nanoGPT's.
    objectives=(zoo.Objective(loss, optimiser=zoo.AdamW(betas=(0.9, 0.99), weight_decay=0.1)),),
    tasks=tasks,
    generate=zoo.Autoregressive("step"),
    metrics=(zoo.Metric("bits_per_character", bits, "bits", "windows of the recipe's length, overlapping by one"),),
    recipes={
        "shakespeare": Recipe(
            data=zoo.use("shakespeare"), steps=2000, batch=32, lr=2e-3, warmup=100, decay="cosine", clip=1.0
        ),
        "tiny": Recipe(
            data=zoo.use("descriptions", length=16), precision="fp32", layers=1, heads=2, width=16, steps=20, batch=8
        ),
    },
)
