"""Gated PixelCNN: an autoregressive model of a grid of tokens in raster order.

Van den Oord, Kalchbrenner, Vinyals, Espeholt, Graves & Kavukcuoglu 2016, "Conditional image generation with PixelCNN
decoders", https://arxiv.org/abs/1606.05328. The vertical stack sees the rows above. The horizontal stack sees the cells
to the left and the vertical stack. So there is no blind spot (section 2.2). The convolutions are cropped instead of
masked, which avoids products with zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import zoo


class Layer(nn.Module):
    """One layer of both stacks (figure 2); the vertical stack has a residual connection too, which learns faster."""

    def __init__(self, width: int) -> None:
        super().__init__()
        # Each layer extends the receptive field by one row above and one column to either side. Each convolution
        # outputs 2 `width` channels: the two arguments of the gate.
        self.vertical = nn.Conv2d(width, 2 * width, (2, 3), padding=(0, 1))  # a row and the row above
        self.vertical_to_horizontal = nn.Conv2d(2 * width, 2 * width, 1)
        self.horizontal = nn.Conv2d(width, 2 * width, (1, 2))  # a cell and the cell to its left
        self.proj = nn.Conv2d(width, width, 1)

    def forward(self, v: Tensor, h: Tensor, given: Tensor | None) -> tuple[Tensor, Tensor]:
        """Map whole grids v and h, each (b, width, rows, columns); `given` (b, 2 width, 1, 1) is eq. 4's label term."""
        features = self.vertical(F.pad(v, (0, 0, 1, 0)))  # a row of zeros on top: (b, 2 width, rows, columns)
        features = features if given is None else features + given
        return v + gate(features), h + self.proj(
            gate(self.vertical_to_horizontal(features) + self.horizontal(F.pad(h, (1, 0))))
        )

    def step(
        self, v: Tensor, h: Tensor, given: Tensor | None, above: Tensor, left: Tensor, column_mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Map one row of v and one cell of h.

        v and `above`, the row above it, are (b, width, 1, columns). h and `left`, the cell to its left, are
        (b, width, 1, 1). `column_mask`, (b, 1, columns, 1), is 1 in the column of the cell.
        """
        features = self.vertical(torch.cat([above, v], 2))  # (b, 2 width, 1, columns)
        features = features if given is None else features + given
        mixed = self.vertical_to_horizontal(features @ column_mask) + self.horizontal(
            torch.cat([left, h], 3)
        )  # both (b, 2 width, 1, 1)
        return v + gate(features), h + self.proj(gate(mixed))


class GatedPixelCNN(nn.Module):
    """p(tokens) = Π p(token | tokens above it, tokens left of it in its row) (eq. 1).

    The first layer sees `reach` rows above and `reach` columns to either side (3 in the paper). Each further layer
    adds a row and a column. `labels` is the number of classes of a grid: if not 0, the model is p(tokens | label)
    (eq. 3).
    """

    def __init__(
        self, shape: tuple[int, int], classes: int, *, width: int, layers: int, reach: int, labels: int = 0
    ) -> None:
        super().__init__()
        self.shape, self.classes, self.width, self.reach = shape, classes, width, reach
        inner = min(classes, width)  # enough dimensions for a one-hot embedding, if width allows
        self.embedding = nn.Embedding(classes, inner)
        self.vertical_in = nn.Conv2d(inner, width, (reach, 2 * reach + 1), padding=(0, reach))
        self.horizontal_in = nn.Conv2d(inner, width, (1, reach))
        self.layers = nn.ModuleList(Layer(width) for _ in range(layers))
        self.labels = nn.Embedding(labels, layers * 2 * width) if labels else None
        self.head = nn.Sequential(nn.ReLU(), nn.Conv2d(width, width, 1), nn.ReLU(), nn.Conv2d(width, classes, 1))

    def given(self, label: Tensor | None) -> Sequence[Tensor | None]:
        """The label's term in each layer (eq. 4), (b, 2 width, 1, 1), from the label, int64 (b,)."""
        if self.labels is None or label is None:
            return [None] * len(self.layers)
        return self.labels(label).view(-1, len(self.layers), 2 * self.width, 1, 1).unbind(1)

    def forward(self, tokens: Tensor, label: Tensor | None = None) -> Tensor:
        """Logits of each token, given the tokens before it: int64 (b, h, w) → (b, classes, h, w)."""
        x = self.embedding(tokens).permute(0, 3, 1, 2)  # (b, rows, columns, inner) → (b, inner, rows, columns)
        # The grid is shifted by one row (or column): zeros before the first, the last dropped. So no cell sees itself.
        v = self.vertical_in(F.pad(x[:, :, :-1], (0, 0, self.reach, 0)))  # sees rows above: (b, width, rows, columns)
        h = self.horizontal_in(F.pad(x[..., :-1], (self.reach, 0)))  # sees cells to the left: the same shape
        for layer, given in zip(self.layers, self.given(label), strict=True):
            v, h = layer(v, h, given)
        return self.head(h)

    def step(
        self, token: Tensor, position: Tensor, rows: Tensor, above: Tensor, left: Tensor, label: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        """Logits of the token at `position`, (b, classes), and the next states; `token` is the previous one.

        `rows` (b, inner, reach + 1, columns): the embedded rows above, and this row so far. `above` (b, layers, width,
        1, columns): each layer's vertical input in the row above. `left` (b, layers, width, 1, 1): each layer's
        horizontal input in the cell to the left. All states start as zeros, like the padding of the convolutions. At
        position 0 the token is ignored.
        """
        columns, reach = self.shape[1], self.reach
        # Masks select the position of each item, since the items of a batch may be at different positions.
        column = (position % columns).view(-1, 1, 1, 1)  # (b, 1, 1, 1)
        first, last = column == 0, (column == columns - 1).unsqueeze(1)  # (b, 1, 1, 1) and (b, 1, 1, 1, 1)
        places = torch.arange(columns, device=token.device).view(1, 1, 1, columns)
        # A product with column_mask, (b, 1, columns, 1), selects the column.
        column_mask = (places == column).to(rows.dtype).transpose(2, 3)
        previous = (places == (column + columns - 1) % columns) & (position > 0).view(-1, 1, 1, 1)  # (b, 1, 1, columns)

        # Write the token into the previous cell, (b, inner, 1, columns). Before column 0 that is the end of the
        # previous row, which is still the last of `rows`; then all rows move up, and an empty row follows.
        row = torch.where(previous, self.embedding(token).unsqueeze(2).unsqueeze(3), rows.narrow(2, reach, 1))
        full = torch.cat([rows.narrow(2, 0, reach), row], 2)  # (b, inner, reach + 1, columns)
        rows = torch.where(first, torch.cat([full.narrow(2, 1, reach), torch.zeros_like(row)], 2), full)
        left = left * (~first).unsqueeze(1).to(left.dtype)  # zeros to the left of column 0

        # First layer: v of the whole row, since a cell of the next layer sees its neighbours; h of one cell.
        v = self.vertical_in(rows.narrow(2, 0, reach))  # no padding above: (b, width, 1, columns)
        # Of the cells to the left: (b, width, 1, 1).
        h = self.horizontal_in(F.pad(rows.narrow(2, reach, 1), (reach, -1))) @ column_mask

        # The next states are each layer's inputs. `above` changes only at the end of a row, since all cells of a row
        # share it.
        vs, hs = [], []
        for i, (layer, given) in enumerate(zip(cast(Iterable[Layer], self.layers), self.given(label), strict=True)):
            vs.append(v)
            hs.append(h)
            v, h = layer.step(v, h, given, above.select(1, i), left.select(1, i), column_mask)
        logits = self.head(h).flatten(1)  # (b, classes, 1, 1) → (b, classes)
        return logits, position + 1, rows, torch.where(last, torch.stack(vs, 1), above), torch.stack(hs, 1)

    def nll(self, tokens: Tensor, label: Tensor | None = None) -> Tensor:
        """−log p(tokens), or −log p(tokens | label), in nats, (b,)."""
        return F.cross_entropy(self(tokens, label).float(), tokens, reduction="none").flatten(1).sum(1)

    def step_task(self) -> zoo.Task:
        """The task ``step``, for :class:`zoo.Autoregressive` over `shape`."""
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
    """tanh(a) ⊙ σ(b) of the two halves of the channels (eq. 2): (b, 2 width, …) → (b, width, …)."""
    a, b = features.chunk(2, dim=1)
    return a.tanh() * b.sigmoid()
