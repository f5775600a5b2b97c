"""Checks of a task against its declaration, by running it on examples, and its trace with a dynamic batch size."""

from __future__ import annotations

import inspect
import io
import logging
import traceback
import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.utils._python_dispatch import TorchDispatchMode

from zoo.contract import typed
from zoo.core.errors import ExportError, one_line
from zoo.plugin import Task
from zoo.runtime.example_inputs import examples

BATCHES = (3, 1)
"""The batch sizes at which a task is tried."""


FIXED = (
    "it fixes the batch size. Write x.shape[0] for the size of the batch, not len(x), or use flatten, unflatten and -1"
)


class Call(nn.Module):
    """A module whose forward is one task's method."""

    def __init__(self, module: nn.Module, task: Task, name: str) -> None:
        super().__init__()
        self.module = module
        self.task, self.name = task, name

    def forward(self, *inputs: Tensor) -> Any:
        outputs = _outputs(self.name, self.task, self.task.method(*inputs))
        cloned = tuple(output.clone() for output in outputs)  # a graph's outputs must not alias inputs or each other
        return cloned if len(cloned) > 1 else cloned[0]


def try_out(
    module: nn.Module,
    task: Task,
    name: str,
    zeros: Collection[str] = (),
    schedule: Sequence[float] = (),
    generates: bool = False,
) -> bool:
    """Run a task of a module, in eval mode on the CPU, on batches of examples; the inputs in `zeros` are zero.

    `schedule` has the points of an iterative generation, if the task takes them. A task that `generates` must not give
    NaN.
    Returns whether its control flow may depend on values, which :func:`program` finds out for certain. Raises
    :class:`ExportError` if the task fails, draws random numbers, returns other outputs, shapes or dtypes than declared,
    or changes its inputs; and if an item's output differs in a second call, or without the other items of the batch.
    Ranges of values are not checked: with fresh weights they mean nothing.
    """
    watch = _Watch(module, name)
    for batch in BATCHES:
        made = examples(task.inputs, batch, schedule)
        given = [
            torch.zeros((batch, *spec.shape), dtype=getattr(torch, spec.dtype))
            if key in zeros
            else torch.from_numpy(array)
            for (key, spec), array in zip(task.inputs.items(), made.values(), strict=True)
        ]
        try:
            with torch.no_grad(), watch, warnings.catch_warnings():
                warnings.simplefilter("ignore")
                returned = task.method(*given)
        except ExportError:
            raise
        except Exception as error:
            wanted = ", ".join(f"{key} {_form(batch, spec)}" for key, spec in task.inputs.items())
            raise ExportError(
                f"Task {name!r} fails{_at(error, module)} on {wanted}: {one_line(error)[:300]}"
            ) from error
        outputs = _outputs(name, task, returned)
        for (key, spec), output in zip(task.outputs.items(), outputs, strict=True):
            dtype = str(output.dtype).removeprefix("torch.")
            if tuple(output.shape) != (batch, *spec.shape) or dtype != spec.dtype:
                raise ExportError(
                    f"Task {name!r}: output {key!r} is {dtype} {tuple(output.shape)} for a batch of {batch}; "
                    f"it is declared as {_form(batch, spec)}."
                )
            if generates and output.is_floating_point() and output.isnan().any():
                raise ExportError(f"Task {name!r} gives values of {key!r} that are not numbers (NaN), and generates.")
        if batch > 1:
            _same_again(task, name, given)
    return watch.values


def _same_again(task: Task, name: str, given: list[Tensor]) -> None:
    """Call a task twice with the same inputs, and with the last item alone: float outputs must agree.

    The tolerance is wide, so that rounding passes; the parity check at export has a narrow one.
    """
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        copies = [tensor.clone() for tensor in given]
        once = _outputs(name, task, task.method(*given))
        for key, before, after in zip(task.inputs, copies, given, strict=True):
            if not torch.equal(before, after):
                raise ExportError(f"Task {name!r} changes its input {key!r} in place. Compute a new tensor.")
        once = tuple(output.clone() for output in once)
        again = _outputs(name, task, task.method(*copies))
        alone = _outputs(name, task, task.method(*(tensor[-1:] for tensor in copies)))
    for key, first, second, single in zip(task.outputs, once, again, alone, strict=True):
        if not first.is_floating_point():
            continue
        if not _near(first, second):
            raise ExportError(
                f"Task {name!r} gives another {key!r} when it is called again with the same inputs: it must not keep "
                "state between calls."
            )
        if not _near(first[-1:], single):
            raise ExportError(
                f"Task {name!r} gives an item another {key!r} alone than in a batch: it must not mix the items of a "
                "batch. Take means over all axes but the first."
            )


def _near(left: Tensor, right: Tensor) -> bool:
    scale = left.abs().nan_to_num(0.0, 0.0, 0.0).max().item() if left.numel() else 0.0
    return torch.allclose(left, right, rtol=1e-3, atol=1e-5 + 1e-3 * scale, equal_nan=True)


def program(module: nn.Module, task: Task, name: str) -> ExportedProgram:
    """Trace a task with a dynamic batch size. Raises :class:`ExportError` with the task, and the layer if known."""
    examples = tuple(torch.zeros((2, *spec.shape), dtype=getattr(torch, spec.dtype)) for spec in task.inputs.values())
    batch = torch.export.Dim("batch")
    with quiet(name, module):
        return torch.export.export(
            Call(module, task, name).eval(), examples, dynamic_shapes=(tuple({0: batch} for _ in examples),)
        )


@contextmanager
def quiet(name: str, module: nn.Module) -> Iterator[None]:
    """Silence torch's exporters in the block, and turn their errors into one line that names the task."""
    logging.disable(logging.CRITICAL)
    output = io.StringIO()  # on failure torch prints the source code at fault
    try:
        with warnings.catch_warnings(), torch.no_grad(), redirect_stdout(output), redirect_stderr(output):
            warnings.simplefilter("ignore")  # the exporter's own deprecations
            yield
    except ExportError:
        raise
    except Exception as error:
        raise ExportError(f"Task {name!r} does not export to ONNX{_at(error, module)}: {_cause(error)}") from error
    finally:
        logging.disable(logging.NOTSET)


def drawn(name: str, operation: str, layer: str = "") -> ExportError:
    """The error for a task that draws random numbers, which differ between runtimes."""
    at = f" at the layer {layer}" if layer else ""
    return ExportError(
        f"Task {name!r} draws random numbers ({operation}){at}, and a task must not: "
        "take them as an input, a zoo.Noise."
    )


class _Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Observes each operation of a task: rejects random ones, and notes those that may steer its control flow."""

    def __init__(self, module: nn.Module, name: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._module, self._name = module, name
        self.values = False

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """False: nothing is compiled here, and skipping would import torch's compiler, which takes seconds."""
        return False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        seeded = torch.Tag.nondeterministic_seeded in func.tags
        before = torch.get_rng_state() if seeded else None
        result = func(*args, **(kwargs or {}))
        if before is not None and (not torch.equal(before, torch.get_rng_state()) or _generator(args, kwargs)):
            raise drawn(
                self._name, func.overloadpacket.__name__, _layer(_callers(inspect.currentframe()), self._module)
            )
        self.values = self.values or _by_values(func, args)
        return result


def _by_values(func: Any, args: tuple[Any, ...]) -> bool:
    """Whether an operation's output shape, or its Python number, depends on the values of its inputs."""
    if func is torch.ops.aten.index.Tensor:  # with integer indices the output has their shape
        return any(index is not None and index.dtype in (torch.bool, torch.uint8) for index in args[1])
    return torch.Tag.data_dependent_output in func.tags or torch.Tag.dynamic_output_shape in func.tags


def _generator(args: tuple[Any, ...], kwargs: Mapping[str, Any] | None) -> bool:
    """Whether an operation draws from a generator that the plugin created."""
    return any(isinstance(value, torch.Generator) for value in (*args, *(kwargs or {}).values()))


def _outputs(name: str, task: Task, returned: Any) -> tuple[Tensor, ...]:
    """A task's return value as one tensor per output; raise :class:`ExportError` if it is anything else."""
    outputs = returned if isinstance(returned, tuple) else (returned,)
    if not all(isinstance(output, Tensor) for output in outputs):
        what = next(output for output in outputs if not isinstance(output, Tensor))
        raise ExportError(
            f"Task {name!r} returns {typed.shown(what)}: it must return a tensor, or a tuple with one tensor for each "
            f"of its outputs, {', '.join(task.outputs)}."
        )
    if len(outputs) != len(task.outputs):
        raise ExportError(
            f"Task {name!r} declares the outputs {list(task.outputs)}; it returns {len(outputs)} tensors."
        )
    return outputs


def _form(batch: int, spec: Any) -> str:
    return f"{spec.dtype} {(batch, *spec.shape)}"


def _at(error: BaseException, module: nn.Module) -> str:
    """`` at the layer …``, if it is known."""
    frames: list[FrameType] = []
    chain: BaseException | None = error
    while chain is not None:
        frames += [frame for frame, _ in traceback.walk_tb(chain.__traceback__)]
        chain = chain.__cause__
    layer = _layer(frames, module)
    return f" at the layer {layer}" if layer else ""


def _layer(frames: Iterable[FrameType], module: nn.Module) -> str:
    """The innermost layer among frames, by name and class: from the module's code, or from its graph."""
    parts = {id(part): name for name, part in module.named_modules() if name}
    found = ""
    for frame in frames:
        part, node = frame.f_locals.get("self"), frame.f_locals.get("node")
        if id(part) in parts:
            found = f"{parts[id(part)]!r} ({type(part).__name__})"
        elif isinstance(node, torch.fx.Node) and node.meta.get("nn_module_stack"):
            path, kind = list(node.meta["nn_module_stack"].values())[-1]
            path = path.removeprefix("module").strip(".")
            found = f"{path!r} ({getattr(kind, '__name__', str(kind)).rpartition('.')[2]})" if path else found
    return found


def _callers(frame: FrameType | None) -> list[FrameType]:
    """A frame and its callers, the innermost last."""
    frames: list[FrameType] = []
    while frame is not None:
        frames.append(frame)
        frame = frame.f_back
    return frames[::-1]


def _cause(error: BaseException) -> str:
    """The message of the root cause in an exporter's chain of errors, shortened."""
    while error.__cause__ is not None:
        error = error.__cause__
    message = one_line(error)[:300]
    if "onstraints violated" in message or "specialized" in message:
        message = f"{FIXED} ({message[:80]} …)"
    if "GuardOnDataDependentSymNode" in message:
        message = f"its control flow depends on values ({message[:120]} …). Use torch.where instead"
    return message
