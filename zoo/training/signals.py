"""Interruption by Ctrl-C and SIGTERM: the handlers record a reason, which the training loop checks between steps."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from zoo.core.errors import TrainingError


class Interrupted(TrainingError):
    """A run was stopped by Ctrl-C, after it wrote a checkpoint."""

    exit_code = 130


class Terminated(Interrupted):
    """A run was stopped by SIGTERM, for example when a machine is preempted."""

    exit_code = 143


REASONS: tuple[type[Interrupted] | None, ...] = (None, Interrupted, Terminated)
"""The reasons by number, for exchange between processes: the largest number wins."""

Stopped = Callable[[], type[Interrupted] | None]
"""Returns the reason to stop a run, or None to continue."""


def after(reason: type[Interrupted], task: str = "") -> Interrupted:
    """The error for a run that was interrupted after its training was complete."""
    while_ = f" while {task}" if task else ""
    return reason(f"{reason.__name__}{while_}. The training is complete. Continue with --resume.")


@contextmanager
def afterwards(task: str) -> Iterator[None]:
    """In the work after training, turn Ctrl-C and SIGTERM into an error that names the command to continue."""
    reason: type[Interrupted] = Interrupted

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal reason
        reason = Terminated
        raise KeyboardInterrupt

    main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, stop) if main else None
    try:
        yield
    except KeyboardInterrupt:
        raise after(reason, task) from None
    finally:
        if main:
            signal.signal(signal.SIGTERM, before)


@contextmanager
def signals() -> Iterator[Stopped]:
    """Record Ctrl-C and SIGTERM as a reason that the loop checks after each step; a second Ctrl-C stops at once."""
    reason: type[Interrupted] | None = None

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal reason
        if reason and number == signal.SIGINT:
            raise KeyboardInterrupt
        reason = Interrupted if number == signal.SIGINT else Terminated

    if threading.current_thread() is not threading.main_thread():
        yield lambda: reason
        return
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: reason
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
