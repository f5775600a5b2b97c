"""The processes of one run: a single process, or those that ``torchrun`` started on one machine or many.

Every process holds the same weights and computes its micro-batches of each batch. Only rank 0, the first process,
writes files. A process's random numbers depend on its rank; the order of the data does not.
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
"""How long processes wait for rank 0, which evaluates and writes alone."""


@dataclass(frozen=True)
class World:
    """The processes of a run, as seen by one of them."""

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this process is rank 0, which writes."""
        return self.rank == 0

    def mean(self, values: Tensor) -> Tensor:
        """The mean of a float tensor over the processes."""
        if self.size > 1:
            dist.all_reduce(values)
            values /= self.size
        return values

    def average(self, weights: Sequence[nn.Parameter]) -> None:
        """Average the gradients of weights over the processes. One that no process has stays None."""
        has = torch.tensor([weight.grad is not None for weight in weights], dtype=torch.uint8, device=weights[0].device)
        dist.all_reduce(has, dist.ReduceOp.MAX)
        used = [weight for weight, somewhere in zip(weights, has.tolist(), strict=True) if somewhere]
        for weight in used:
            if weight.grad is None:
                weight.grad = torch.zeros_like(weight)
        flat = torch.cat([weight.grad.reshape(-1) / self.size for weight in used if weight.grad is not None])
        dist.all_reduce(flat)
        for weight, part in zip(used, flat.split([weight.numel() for weight in used]), strict=True):  # type: ignore[no-untyped-call]
            weight.grad = part.view_as(weight).clone()

    def largest(self, value: int, device: torch.device) -> int:
        """The maximum of an integer over the processes."""
        if self.size == 1:
            return value
        tensor = torch.tensor(value, device=device)
        dist.all_reduce(tensor, dist.ReduceOp.MAX)
        return int(tensor)

    def broadcast(self, content: bytes, device: torch.device) -> bytes:
        """The bytes of rank 0."""
        if self.size == 1:
            return content
        length = torch.tensor(len(content), device=device)
        dist.broadcast(length, 0)
        buffer = torch.empty(int(length), dtype=torch.uint8, device=device)
        if self.first and content:
            buffer.copy_(torch.frombuffer(bytearray(content), dtype=torch.uint8))
        dist.broadcast(buffer, 0)
        return buffer.cpu().numpy().tobytes()

    def settle(self, module: nn.Module) -> None:
        """Broadcast rank 0's buffers; raise :class:`TrainingError` unless all processes have equal weights."""
        if self.size == 1:
            return
        for buffer in module.buffers():
            dist.broadcast(buffer, 0)
        if any(map(_is_split, module.parameters())):
            return  # each process has its own shard
        checksums = torch.stack([checksum(parameter.detach()) for parameter in module.parameters()])
        largest, smallest = checksums.clone(), checksums.clone()
        dist.all_reduce(largest, dist.ReduceOp.MAX)
        dist.all_reduce(smallest, dist.ReduceOp.MIN)
        if not torch.equal(largest, smallest):
            raise TrainingError(
                "The processes hold different weights: an objective's `after`, or its loss, differs between them. "
                "Train in one process, or fix the plugin."
            )

    def wait(self) -> None:
        """Wait until every process has arrived."""
        if self.size > 1:
            dist.barrier()


def checksum(tensor: Tensor) -> Tensor:
    """A checksum of a tensor's bytes that depends on their order: an int64 scalar."""
    octets = tensor.reshape(-1).view(torch.uint8).long()
    return (octets * (torch.arange(len(octets), device=octets.device) % 65_521 + 1)).sum()


def rank() -> int:
    """The rank that torchrun gave this process; 0 without it."""
    return int(os.environ.get("RANK", "0"))


def count() -> int:
    """The number of processes that torchrun started; 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def own(device: torch.device) -> torch.device:
    """The device of this process: with CUDA, the device of its local rank."""
    if device.type == "cuda" and count() > 1:
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    return device


@contextmanager
def join(device: torch.device) -> Iterator[World]:
    """Connect the processes of this run, by NCCL on CUDA and by gloo elsewhere."""
    if count() == 1:
        yield World()
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    try:
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
    except (RuntimeError, ValueError) as error:
        raise TrainingError(
            f"The processes could not connect: {one_line(error)[:150]}. See the other processes' output, or "
            "torchrun --help."
        ) from error
    try:
        yield World(dist.get_rank(), dist.get_world_size())
    except BaseException as error:
        traceback.clear_frames(error.__traceback__)  # the frames may hold a DDP: see below
        if _lost(error) or _lost(error.__cause__):
            raise TrainingError(
                "Another process of this run has ended. See its output; then start all of them again with --resume."
            ) from error
        raise
    finally:
        gc.collect()  # a DDP that outlives the group can wait for it forever
        dist.destroy_process_group()


def _lost(error: BaseException | None) -> bool:
    """Whether an error means that another process has ended."""
    return isinstance(error, dist.DistError) or (isinstance(error, RuntimeError) and "gloo" in str(error))


def shard(module: nn.Module, stacks: Sequence[nn.Module], device: torch.device) -> None:
    """Shard the weights of a module over the processes (FSDP2): each member of `stacks` by itself, then the rest."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard  # the import takes a second

    mesh = init_device_mesh(device.type, (dist.get_world_size(),))
    try:
        for part in stacks:
            fully_shard(part, mesh=mesh)
        fully_shard(module, mesh=mesh)
    except ValueError as error:  # such as for a scalar weight
        raise TrainingError(f"--shard cannot split this model: {one_line(error)[:200]} Leave --shard out.") from error


def _is_split(tensor: Any) -> bool:
    """Whether a tensor is a DTensor, sharded over the processes; only :func:`shard` imports that class."""
    return hasattr(tensor, "full_tensor")


def whole(tensor: Tensor) -> Tensor:
    """The full tensor of one that may be sharded; every process must call this."""
    return tensor.full_tensor() if _is_split(tensor) else tensor  # type: ignore[attr-defined]


def put(tensor: Tensor, into: Tensor) -> Tensor:
    """A full tensor on the device of `into`, sharded as `into` is."""
    tensor = tensor.to(into.device)
    if not _is_split(into):
        return tensor
    from torch.distributed.tensor import DTensor, distribute_tensor

    assert isinstance(into, DTensor)
    return distribute_tensor(tensor, into.device_mesh, into.placements, src_data_rank=None)
