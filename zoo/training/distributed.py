"""The processes of one run: one by itself, or those that ``torchrun`` started on one machine or many.

Every process holds the same weights and computes its share of each batch. The first one, rank 0, is the only one that
writes. What a process draws at random follows from its rank, and the order of the data does not.
"""

from __future__ import annotations

import gc
import os
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from zoo.core.errors import TrainingError, one_line

PATIENCE = timedelta(hours=2)
"""How long processes wait for the first one, which measures and writes alone."""


@dataclass(frozen=True)
class World:
    """The processes of a run, as one of them sees them."""

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes."""
        return self.rank == 0

    def mean(self, values: Tensor) -> Tensor:
        """The mean over the processes of a float tensor that each of them has."""
        if self.size > 1:
            dist.all_reduce(values)
            values /= self.size
        return values

    def largest(self, value: int, device: torch.device) -> int:
        """The largest of the integers that the processes have."""
        if self.size == 1:
            return value
        held = torch.tensor(value, device=device)
        dist.all_reduce(held, dist.ReduceOp.MAX)
        return int(held)

    def share(self, content: bytes, device: torch.device) -> bytes:
        """The bytes that the first process has."""
        if self.size == 1:
            return content
        length = torch.tensor(len(content), device=device)
        dist.broadcast(length, 0)
        held = torch.empty(int(length), dtype=torch.uint8, device=device)
        if self.first and content:
            held.copy_(torch.frombuffer(bytearray(content), dtype=torch.uint8))
        dist.broadcast(held, 0)
        return held.cpu().numpy().tobytes()

    def settle(self, module: nn.Module) -> None:
        """Give every process the first one's buffers; :class:`TrainingError` unless all have equal weights."""
        if self.size == 1:
            return
        for buffer in module.buffers():
            dist.broadcast(buffer, 0)
        if any(map(_is_split, module.parameters())):
            return  # each process has a part of its own
        mine = torch.stack([_checksum(parameter.detach()) for parameter in module.parameters()])
        largest, least = mine.clone(), mine.clone()
        dist.all_reduce(largest, dist.ReduceOp.MAX)
        dist.all_reduce(least, dist.ReduceOp.MIN)
        if not torch.equal(largest, least):
            raise TrainingError(
                "The processes hold different weights: an objective's `after`, or its loss, differs between them. "
                "Train in one process, or mend the plugin."
            )

    def wait(self) -> None:
        """Wait until every process is here."""
        if self.size > 1:
            dist.barrier()


def _checksum(tensor: Tensor) -> Tensor:
    """A number that differs where a tensor's bytes, or their order, do."""
    held = tensor.reshape(-1).view(torch.uint8).long()
    return (held * (torch.arange(len(held), device=held.device) % 65_521 + 1)).sum()


def rank() -> int:
    """The rank that torchrun gave this process; 0 without it."""
    return int(os.environ.get("RANK", "0"))


def count() -> int:
    """How many processes torchrun started; 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def own(device: torch.device) -> torch.device:
    """The device of this process: one CUDA device each, in the order of their ranks on the machine."""
    if device.type == "cuda" and count() > 1:
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    return device


@contextmanager
def join(device: torch.device) -> Iterator[World]:
    """The processes of this run, connected by NCCL on CUDA and by gloo elsewhere."""
    if count() == 1:
        yield World()
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    try:
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
    except (RuntimeError, ValueError) as error:
        raise TrainingError(
            f"The processes could not meet: {one_line(error)[:150]}. Another one may say why; else see torchrun --help."
        ) from error
    try:
        yield World(dist.get_rank(), dist.get_world_size())
    except BaseException as error:
        traceback.clear_frames(error.__traceback__)  # they may hold what follows
        if _lost(error) or _lost(error.__cause__):
            raise TrainingError(
                "Another process of this run has ended, and may say why. Start all of them again with --resume."
            ) from error
        raise
    finally:
        gc.collect()  # a DDP that outlives the group can wait for it forever
        dist.destroy_process_group()


def _lost(error: BaseException | None) -> bool:
    """Whether an error is that another process is gone."""
    return isinstance(error, dist.DistError) or (isinstance(error, RuntimeError) and "gloo" in str(error))


def shard(module: nn.Module, stacks: Sequence[nn.Module], device: torch.device) -> None:
    """Split the weights of a module among the processes (FSDP2): each member of `stacks` by itself, then the rest."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard  # takes a second

    mesh = init_device_mesh(device.type, (dist.get_world_size(),))
    try:
        for part in stacks:
            fully_shard(part, mesh=mesh)
        fully_shard(module, mesh=mesh)
    except ValueError as error:  # a weight that is a scalar, for one
        raise TrainingError(f"--shard cannot split this model: {one_line(error)[:200]} Leave --shard out.") from error


def _is_split(tensor: Any) -> bool:
    """Whether each process holds a part of it: whether it is a DTensor, which only :func:`shard` imports."""
    return hasattr(tensor, "full_tensor")


def whole(tensor: Tensor) -> Tensor:
    """All of a tensor that may be split among the processes, which must all ask for it."""
    return tensor.full_tensor() if _is_split(tensor) else tensor  # type: ignore[attr-defined]


def put(tensor: Tensor, into: Tensor) -> Tensor:
    """A whole tensor in the form of another one: on its device, and split as that one is."""
    tensor = tensor.to(into.device)
    if not _is_split(into):
        return tensor
    from torch.distributed.tensor import DTensor, distribute_tensor

    assert isinstance(into, DTensor)
    return distribute_tensor(tensor, into.device_mesh, into.placements, src_data_rank=None)
