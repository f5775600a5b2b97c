"""Gated PixelCNN: the distribution of a grid of tokens, each given those above and left of it.

Van den Oord et al. 2016, "Conditional image generation with PixelCNN decoders", https://arxiv.org/abs/1606.05328.
A vertical stack of convolutions sees the rows above, a horizontal one the row so far and the vertical stack: there
is no blind spot (section 2.2). Convolutions are cropped instead of masked, so no product with zero is computed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import zoo


class Layer(nn.Module):
    """One layer of both stacks (figure 2), with a residual connection in the vertical one too, which learns faster."""

    def __init__(self, width: int) -> None:
        super().__init__()
        # Each layer adds one row above and one column to either side to what is seen. Twice `width` channels leave each
        # convolution, the halves of which are the two arguments of the gate.
        self.vertical = nn.Conv2d(width, 2 * width, (2, 3), padding=(0, 1))  # on a row and the one above it
        self.down = nn.Conv2d(2 * width, 2 * width, 1)
        self.across = nn.Conv2d(width, 2 * width, (1, 2))  # on a cell and the one left of it
        self.out = nn.Conv2d(width, width, 1)

    def forward(self, v: Tensor, h: Tensor, given: Tensor | None) -> tuple[Tensor, Tensor]:
        """Whole grids, each (b, width, rows, columns), and the term of the label (eq. 4), (b, 2 width, 1, 1)."""
        features = self.vertical(F.pad(v, (0, 0, 1, 0)))  # a row of zeros on top: (b, 2 width, rows, columns)
        features = features if given is None else features + given
        return v + gate(features), h + self.out(gate(self.down(features) + self.across(F.pad(h, (1, 0)))))

    def step(
        self, v: Tensor, h: Tensor, given: Tensor | None, above: Tensor, left: Tensor, here: Tensor
    ) -> tuple[Tensor, Tensor]:
        """This row of v and the one above it, (b, width, 1, columns); this cell of h and its left, (b, width, 1, 1).

        `here`, (b, 1, columns, 1), is 1 in the column of the cell.
        """
        features = self.vertical(torch.cat([above, v], 2))  # (b, 2 width, 1, columns)
        features = features if given is None else features + given
        mixed = self.down(features @ here) + self.across(torch.cat([left, h], 3))  # both (b, 2 width, 1, 1)
        return v + gate(features), h + self.out(gate(mixed))


class GatedPixelCNN(nn.Module):
    """p(tokens) = Π p(token | tokens above, and left of it in its row): eq. 1.

    The first layer sees `reach` rows above and `reach` columns to either side (3 in the paper), each further one
    a row and a column more. With `labels`, the number of classes of a grid, it is p(tokens | label): eq. 3.
    """

    def __init__(
        self, shape: tuple[int, int], classes: int, *, width: int, layers: int, reach: int, labels: int = 0
    ) -> None:
        super().__init__()
        self.shape, self.classes, self.width, self.reach = shape, classes, width, reach
        inner = min(classes, width)  # a vector of that many numbers tells all classes apart
        self.embedding = nn.Embedding(classes, inner)
        self.above = nn.Conv2d(inner, width, (reach, 2 * reach + 1), padding=(0, reach))
        self.before = nn.Conv2d(inner, width, (1, reach))
        self.layers = nn.ModuleList(Layer(width) for _ in range(layers))
        self.labels = nn.Embedding(labels, layers * 2 * width) if labels else None
        self.head = nn.Sequential(nn.ReLU(), nn.Conv2d(width, width, 1), nn.ReLU(), nn.Conv2d(width, classes, 1))

    def given(self, label: Tensor | None) -> Sequence[Tensor | None]:
        """What the label, int64 (b,), adds in each layer: (b, 2 width, 1, 1)."""
        if self.labels is None or label is None:
            return [None] * len(self.layers)
        return self.labels(label).view(-1, len(self.layers), 2 * self.width, 1, 1).unbind(1)

    def forward(self, tokens: Tensor, label: Tensor | None = None) -> Tensor:
        """The logits of every token, given those before it: int64 (b, h, w) to (b, classes, h, w)."""
        x = self.embedding(tokens).permute(0, 3, 1, 2)  # (b, inner, rows, columns)
        # The last row, or column, is cut off and zeros come before the first, so that no cell sees itself.
        v = self.above(F.pad(x[:, :, :-1], (0, 0, self.reach, 0)))  # of the rows above: (b, width, rows, columns)
        h = self.before(F.pad(x[..., :-1], (self.reach, 0)))  # of this row so far: (b, width, rows, columns)
        for layer, given in zip(self.layers, self.given(label), strict=True):
            v, h = layer(v, h, given)
        return self.head(h)

    def step(
        self, token: Tensor, position: Tensor, rows: Tensor, above: Tensor, left: Tensor, label: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        """The logits of the token at `position`, (b, classes), and the next states, given the `token` before it.

        `rows` (b, inner, reach + 1, columns): the rows above and this one so far, embedded. `above` (b, layers, width,
        1, columns): the vertical stack of the row above. `left` (b, layers, width, 1, 1): the horizontal stack of the
        cell to the left. All start as zeros, which is what convolutions pad with. At position 0 the token is ignored.
        """
        columns, reach = self.shape[1], self.reach
        # Where each item of the batch is: items may be at different positions, so all is chosen by masks.
        column = (position % columns).view(-1, 1, 1, 1)  # (b, 1, 1, 1)
        first, last = column == 0, (column == columns - 1).unsqueeze(1)  # (b, 1, 1, 1) and (b, 1, 1, 1, 1)
        places = torch.arange(columns, device=token.device).view(1, 1, 1, columns)
        here = (
            (places == column).to(rows.dtype).transpose(2, 3)
        )  # (b, 1, columns, 1): a product with it picks the column
        behind = (places == (column + columns - 1) % columns) & (position > 0).view(-1, 1, 1, 1)  # (b, 1, 1, columns)

        # Write the token into the cell behind, (b, inner, 1, columns). Behind column 0 is the end of the row before,
        # which is still the last of `rows`; then all rows move up and an empty one begins.
        row = torch.where(behind, self.embedding(token).unsqueeze(2).unsqueeze(3), rows.narrow(2, reach, 1))
        full = torch.cat([rows.narrow(2, 0, reach), row], 2)  # (b, inner, reach + 1, columns)
        rows = torch.where(first, torch.cat([full.narrow(2, 1, reach), torch.zeros_like(row)], 2), full)
        left = left * (~first).unsqueeze(1).to(left.dtype)  # nothing is left of column 0

        # The first convolutions: v of the whole row, since a cell of the next layer sees its neighbours, h of one cell.
        v = self.above(rows.narrow(2, 0, reach))  # no padding above: (b, width, 1, columns)
        h = self.before(F.pad(rows.narrow(2, reach, 1), (reach, -1))) @ here  # cells to the left: (b, width, 1, 1)

        # Each layer needs what it was given in the row above, and in the cell to the left: these are the next states.
        # `above` changes at the end of a row only, since the cells of a row share it.
        vs, hs = [], []
        for number, (layer, given) in enumerate(
            zip(cast(Iterable[Layer], self.layers), self.given(label), strict=True)
        ):
            vs.append(v)
            hs.append(h)
            v, h = layer.step(v, h, given, above.select(1, number), left.select(1, number), here)
        logits = self.head(h).flatten(1)  # (b, classes, 1, 1) to (b, classes)
        return logits, position + 1, rows, torch.where(last, torch.stack(vs, 1), above), torch.stack(hs, 1)

    def nll(self, tokens: Tensor, label: Tensor | None = None) -> Tensor:
        """−log p(tokens), or −log p(tokens | label), in nats: (b,)."""
        return F.cross_entropy(self(tokens, label).float(), tokens, reduction="none").flatten(1).sum(1)

    def step_task(self) -> zoo.Task:
        """The task ``step``, of an :class:`zoo.Autoregressive` over `shape`."""
        columns, layers = self.shape[1], len(self.layers)
        states: dict[str, zoo.Vector] = {
            "position": zoo.Vector((), "int64"),
            "rows": zoo.Vector((self.embedding.embedding_dim, self.reach + 1, columns)),
            "above": zoo.Vector((layers, self.width, 1, columns)),
            "left": zoo.Vector((layers, self.width, 1, 1)),
        }
        inputs: dict[str, zoo.Label | zoo.Vector] = {"token": zoo.Label(self.classes), **states}
        if self.labels is not None:
            inputs["label"] = zoo.Label(self.labels.num_embeddings)
        after = {f"next_{name}": spec for name, spec in states.items()}
        return zoo.Task(self.step, inputs, {"logits": zoo.Vector((self.classes,)), **after})


def gate(features: Tensor) -> Tensor:
    """tanh(a) ⊙ σ(b) of two halves of the channels: eq. 2."""
    a, b = features.chunk(2, dim=1)
    return a.tanh() * b.sigmoid()
