"""A process that uses spoiled releases, and may die of it: little memory, a time limit, every warning an error.

    python fuzz_worker.py FORBIDDEN < requests > outcomes

A request is a line of JSON, ``[use, release folder]``; the answer is ``null`` where that worked, or what was raised.
FORBIDDEN is a folder that nothing may open.
"""

from __future__ import annotations

import contextlib
import faulthandler
import io
import json
import os
import resource
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

MEMORY = 8 << 30  # bytes of addresses; torch and ONNX Runtime take three themselves
SECONDS = 60


def load(folder: Path) -> None:
    import zoo

    with zoo.load(folder) as model:
        repr(model)


def task(folder: Path) -> None:
    """Every task, on plausible inputs of the form that the manifest names, where that is no gigantic one."""
    import zoo
    from zoo.media.convert import from_batch
    from zoo.runtime.example_inputs import example

    with zoo.load(folder) as model:
        for name, declared in model.release.tasks.items():
            help(getattr(model, name))
            if all(sum(spec.shape) < 10_000 for spec in declared.inputs.values()):
                model.run(name, **{key: from_batch(example(spec, 2, 0), spec) for key, spec in declared.inputs.items()})


def generate(folder: Path) -> None:
    import zoo

    with zoo.load(folder) as model:
        model.generate(2)


def torch(folder: Path) -> None:
    import zoo

    with zoo.load(folder, backend="torch") as model:
        model.generate(2)


def module(folder: Path) -> None:
    import zoo

    zoo.load_module(folder)


def verify(folder: Path) -> None:
    command("verify", str(folder))


def info(folder: Path) -> None:
    command("info", str(folder))


def copy(folder: Path) -> None:
    with room() as to:
        command("export", str(folder), "-o", str(to))


def uint8(folder: Path) -> None:
    with room() as to:
        command("export", str(folder), "-o", str(to), "--uint8")


def web(folder: Path) -> None:
    with room() as to:
        command("export", str(folder), "-o", str(to), "--format", "web")


USES: dict[str, Callable[[Path], None]] = {
    use.__name__: use for use in (load, task, generate, torch, module, verify, info, copy, uint8, web)
}


class Refused(Exception):
    """What a command said on stderr."""


def command(*arguments: str) -> None:
    """A command of zoo, on a terminal that shows UTF-8: it works and says nothing on stderr, or says one line there."""
    from zoo.cli import main

    sys.argv = ["zoo", *arguments]
    said = io.TextIOWrapper(io.BytesIO(), "utf-8")
    kept = sys.stderr
    sys.stdout, sys.stderr = io.TextIOWrapper(io.BytesIO(), "utf-8"), said
    code: Any = 0
    try:
        main()
    except SystemExit as ended:
        code = ended.code
    finally:
        sys.stdout, sys.stderr = sys.__stdout__, kept
    said.flush()
    text = said.buffer.getvalue().decode()  # type: ignore[attr-defined]
    if code or text:
        raise Refused(text.removeprefix("Error: ").removesuffix("\n") if code == 1 else f"code {code}\n{text}")


@contextlib.contextmanager
def room() -> Iterator[Path]:
    """A place for a folder; nothing of what is forbidden may come to lie there."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / "new"
        for path in Path(folder).rglob("*"):
            assert path.is_symlink() or path.is_dir() or b"CANARY" not in path.read_bytes(), f"{path} has the canary"


def main(forbidden: str) -> None:
    from zoo.core.errors import ZooError

    opened: list[str] = []

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(arguments[0], str) and os.path.realpath(arguments[0]).startswith(forbidden):
            opened.append(arguments[0])

    import onnxruntime  # noqa: F401
    import torch  # noqa: F401

    import zoo.pipeline.verify  # noqa: F401

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.addaudithook(watch)
    answers = sys.stdout
    for line in sys.stdin:
        use, folder = json.loads(line)
        opened.clear()
        outcome: str | None = None
        faulthandler.dump_traceback_later(SECONDS, exit=True)
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("error")
            try:
                USES[use](Path(folder))
            except (ZooError, Refused) as error:
                outcome = str(error)
            except BaseException as error:
                outcome = f"TRACEBACK of {type(error).__name__}: {error}"
        faulthandler.cancel_dump_traceback_later()
        if opened:
            outcome = f"OPENED {opened[0]}"
        answers.write(json.dumps(outcome) + "\n")
        answers.flush()


if __name__ == "__main__":
    main(sys.argv[1])
