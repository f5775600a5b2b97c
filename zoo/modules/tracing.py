"""Whether a task does what it declares: run on examples, and traced as a graph whose batch has any size."""

from __future__ import annotations

import inspect
import io
import logging
import traceback
import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping
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
from zoo.runtime.example_inputs import example

BATCHES = (3, 1)
"""Sizes of the batches that a task is tried on."""


class Call(nn.Module):
    """A module whose forward is one task's method."""

    def __init__(self, module: nn.Module, task: Task, name: str) -> None:
        super().__init__()
        self.module = module
        self.task, self.name = task, name

    def forward(self, *inputs: Tensor) -> Any:
        outputs = _outputs(self.name, self.task, self.task.method(*inputs))
        cloned = tuple(output.clone() for output in outputs)  # a graph's output is no input, and no two are one tensor
        return cloned if len(cloned) > 1 else cloned[0]


def try_out(module: nn.Module, task: Task, name: str, zeros: Collection[str] = ()) -> bool:
    """Run a task of a module, in eval mode on the CPU, on batches of examples; the inputs in `zeros` are zero.

    Returns whether its course may depend on values, which :func:`program` finds out for certain. Raises
    :class:`ExportError` where it fails, draws random numbers, gives another number of outputs, another shape or another
    type than it declares, changes what it is given, or gives an item something else when it is called again, or for
    the item alone. The ranges of values are not looked at: those of fresh weights say nothing.
    """
    watch = _Watch(module, name)
    for batch in BATCHES:
        given = [
            torch.zeros((batch, *spec.shape), dtype=getattr(torch, spec.dtype))
            if key in zeros
            else torch.from_numpy(example(spec, batch, stream))
            for stream, (key, spec) in enumerate(task.inputs.items())
        ]
        try:
            with torch.no_grad(), watch, warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = task.method(*given)
        except ExportError:
            raise
        except Exception as error:
            wanted = ", ".join(f"{key} {_form(batch, spec)}" for key, spec in task.inputs.items())
            raise ExportError(
                f"Task {name!r} fails{_at(error, module)} on {wanted}: {one_line(error)[:300]}"
            ) from error
        outputs = _outputs(name, task, found)
        for (key, spec), output in zip(task.outputs.items(), outputs, strict=True):
            dtype = str(output.dtype).removeprefix("torch.")
            if tuple(output.shape) != (batch, *spec.shape) or dtype != spec.dtype:
                raise ExportError(
                    f"Task {name!r}: output {key!r} is {dtype} {tuple(output.shape)} for a batch of {batch}; "
                    f"declared is {_form(batch, spec)}."
                )
        if batch > 1:
            _same_again(task, name, given)
    return watch.values


def _same_again(task: Task, name: str, given: list[Tensor]) -> None:
    """Call a task twice with the same, and with the last item alone: outputs that are floats must not differ.

    The bound is wide, so that only what is meant to differ does; parity at export has a narrow one.
    """
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kept = [tensor.clone() for tensor in given]
        once = _outputs(name, task, task.method(*given))
        for key, before, after in zip(task.inputs, kept, given, strict=True):
            if not torch.equal(before, after):
                raise ExportError(f"Task {name!r} changes its input {key!r} in place. Compute a new tensor.")
        once = tuple(output.clone() for output in once)
        again = _outputs(name, task, task.method(*kept))
        alone = _outputs(name, task, task.method(*(tensor[-1:] for tensor in kept)))
    for key, first, second, single in zip(task.outputs, once, again, alone, strict=True):
        if not first.is_floating_point():
            continue
        if not _near(first, second):
            raise ExportError(
                f"Task {name!r} gives another {key!r} when it is called again with the same: it must keep nothing from "
                "one call to the next."
            )
        if not _near(first[-1:], single):
            raise ExportError(
                f"Task {name!r} gives an item another {key!r} alone than beside others: it must not mix the items of a "
                "batch. Take means over all axes but the first."
            )


def _near(left: Tensor, right: Tensor) -> bool:
    scale = left.abs().nan_to_num(0.0, 0.0, 0.0).max().item() if left.numel() else 0.0
    return torch.allclose(left, right, rtol=1e-3, atol=1e-5 + 1e-3 * scale, equal_nan=True)


def program(module: nn.Module, task: Task, name: str) -> ExportedProgram:
    """A task traced with a dynamic batch. Raises :class:`ExportError` that names the task, and the layer if known."""
    examples = tuple(torch.zeros((2, *spec.shape), dtype=getattr(torch, spec.dtype)) for spec in task.inputs.values())
    batch = torch.export.Dim("batch")
    with quiet(name, module):
        return torch.export.export(
            Call(module, task, name).eval(), examples, dynamic_shapes=(tuple({0: batch} for _ in examples),)
        )


@contextmanager
def quiet(name: str, module: nn.Module) -> Iterator[None]:
    """Within the block an exporter of torch runs: it prints nothing, and its error is one line that names the task."""
    logging.disable(logging.CRITICAL)
    said = io.StringIO()  # where it fails, torch prints the code that it was at
    try:
        with warnings.catch_warnings(), torch.no_grad(), redirect_stdout(said), redirect_stderr(said):
            warnings.simplefilter("ignore")  # the exporter's own deprecations
            yield
    except ExportError:
        raise
    except Exception as error:
        raise ExportError(f"Task {name!r} does not export to ONNX{_at(error, module)}: {_cause(error)}") from error
    finally:
        logging.disable(logging.NOTSET)


def drawn(name: str, operation: str, layer: str = "") -> ExportError:
    """The error for a task that draws random numbers, which no two runtimes would draw alike."""
    at = f" at the layer {layer}" if layer else ""
    return ExportError(
        f"Task {name!r} draws random numbers ({operation}){at}, and a task must not: "
        "take them as an input, a zoo.Noise."
    )


class _Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sees each operation of a task: one that draws is refused, one whose result may steer the task is noted."""

    def __init__(self, module: nn.Module, name: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._module, self._name = module, name
        self.values = False

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """No: it is never compiled, and what would skip it imports torch's compiler, which takes seconds."""
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
    """Whether what an operation gives has a shape, or is a Python number, that depends on the values of its inputs."""
    if func is torch.ops.aten.index.Tensor:  # with whole numbers as indices it has theirs
        return any(index is not None and index.dtype in (torch.bool, torch.uint8) for index in args[1])
    return torch.Tag.data_dependent_output in func.tags or torch.Tag.dynamic_output_shape in func.tags


def _generator(args: tuple[Any, ...], kwargs: Mapping[str, Any] | None) -> bool:
    """Whether an operation draws from a generator of the plugin's own."""
    return any(isinstance(value, torch.Generator) for value in (*args, *(kwargs or {}).values()))


def _outputs(name: str, task: Task, found: Any) -> tuple[Tensor, ...]:
    """What a task's method returned, as one tensor an output; :class:`ExportError` where it is not that."""
    outputs = found if isinstance(found, tuple) else (found,)
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
    """The last layer that frames are in, by its name and class: where code is in the module, or in its graph."""
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
    """A frame and those that called it, the innermost last."""
    found: list[FrameType] = []
    while frame is not None:
        found.append(frame)
        frame = frame.f_back
    return found[::-1]


def _cause(error: BaseException) -> str:
    """The first words of what went wrong at the bottom of an exporter's chain of errors."""
    while error.__cause__ is not None:
        error = error.__cause__
    words = one_line(error)[:300]
    if "GuardOnDataDependentSymNode" in words:
        words = f"its course depends on values ({words[:120]} …); torch.where takes both ways"
    return words
