"""What ``help`` says of the methods that follow from a release: their signatures and docstrings."""

from __future__ import annotations

import inspect
from inspect import Parameter, Signature

from zoo.contract.generation_plan import Plan
from zoo.contract.options import Option
from zoo.contract.specs import Number, Text
from zoo.media.convert import gives, takes
from zoo.release import ReleasedTask
from zoo.sampling import generation

ERRORS = [
    "Raises SettingError for an invalid input, DataError for a file that cannot be read, and",
    "ReleaseError for a graph that was altered or does not run. All are ZooErrors with one-line messages.",
]


def describe_task(name: str, task: ReleasedTask, model: str) -> tuple[str, Signature]:
    """The docstring and the signature of a task's method."""
    lines = [f"The task {name} of {model}, on a batch of any size.", ""]
    lines += [f"{key}: {takes(spec)}." for key, spec in task.inputs.items()]
    lines += ["", "A single item needs no batch axis; several files are given as a list.", ""]
    if len(task.outputs) == 1:
        lines += [f"Returns {key}: {gives(spec)}." for key, spec in task.outputs.items()]
    else:
        lines += ["Returns a dict:", *(f"    {key}: {gives(spec)}" for key, spec in task.outputs.items())]
    parameters = [Parameter(f"_{''.join(task.inputs)}", Parameter.POSITIONAL_OR_KEYWORD)]  # `self`: no input has it
    for key, spec in task.inputs.items():
        default = spec.default if isinstance(spec, Number) else Parameter.empty
        # After an input that has a default, one that has none is given by name.
        late = default is Parameter.empty and any(one.default is not Parameter.empty for one in parameters)
        kind = Parameter.KEYWORD_ONLY if late else Parameter.POSITIONAL_OR_KEYWORD
        parameters.append(Parameter(key, kind, default=default))
    parameters.sort(key=lambda one: one.kind)
    return "\n".join([*lines, "", *ERRORS]), Signature(parameters)


def describe_generate(model: str, plan: Plan | None) -> tuple[str, Signature]:
    """The docstring and the signature of ``generate``."""
    fixed = [
        Parameter("_self", Parameter.POSITIONAL_OR_KEYWORD),  # no input has this name
        Parameter("n", Parameter.POSITIONAL_OR_KEYWORD, default=None),
        Parameter("seed", Parameter.KEYWORD_ONLY, default=0),
        Parameter("first", Parameter.KEYWORD_ONLY, default=0),
    ]
    if plan is None:
        return f"{model} does not generate.", Signature(fixed)
    lines = [
        f"Generate samples of {model}.",
        "",
        "n: how many; by default as many as are given or listed, or 1.",
        "seed, first: the samples first … first + n − 1 of the seed; each depends only on these and on what is asked.",
    ]
    lines += [f"{name}: {describe_option(option)}." for name, option in plan.options.items()]
    if generation.fits(plan):
        lines.append("fit: 'crop' or 'pad' cuts or pads given images and videos of another size, and resizes them.")
        fixed.append(Parameter("fit", Parameter.KEYWORD_ONLY, default=""))
    lines += ["", f"Returns {gives(plan.gives)}.", "", *ERRORS]
    return "\n".join(lines), inspect.Signature([*fixed, *map(_parameter, plan.options.values())])


def describe_option(option: Option) -> str:
    """An option of generation in words."""
    if option.what == "label":
        assert option.spec is not None
        return f"{takes(option.spec)}; one, or one a sample; by default the sample's index modulo the classes"
    if option.what == "given":
        assert option.spec is not None
        if isinstance(option.spec, Text):
            known = f"of the {option.spec.classes} that it knows"
            return f"text of at most {option.spec.length} characters, {known}; one, or one a sample"
        return f"{takes(option.spec)}; one, or one a sample"
    if option.what == "number":
        assert option.spec is not None
        said = takes(option.spec) if option.each else gives(option.spec)
    elif option.what == "integer":
        said = f"an integer of at least {option.least}" + (f" and at most {option.most}" if option.most else "")
    else:
        return option.help
    return f"{option.help}: {said}" if option.help else said


def _parameter(option: Option) -> Parameter:
    default = Parameter.empty if option.what == "given" else option.default
    return Parameter(option.name, Parameter.KEYWORD_ONLY, default=default)


FILES = {
    "image": "image.png", "video": "video.gif", "audio": "clip.wav", "log-mel": "clip.wav", "array": "rows.csv",
}  # fmt: skip
"""The name of a file in an example of use, by the kind of sample in it."""


def example_of_given(plan: Plan | None) -> tuple[str, str]:
    """What an example of use gives to ``generate`` beside the seed: in Python, and in the shell."""
    python, shell = "", ""
    for name, spec in plan.inputs("given").items() if plan is not None else ():
        value = '"…"' if isinstance(spec, Text) else f'"{FILES.get(spec.kind, f"{name}.npy")}"'
        python += f"{name}={value}, "
        shell += f" --{name.replace('_', '-')} {value}"
    return python, shell
