"""Compares two measurements of one metric: the recorded one of a release, and a new one of a run that repeats it."""

from __future__ import annotations

import re

from zoo.contract.metric import Measurement, format_protocol

_FEATURES = re.compile(r"(features\.[\w.-]+) \([0-9a-f]{8}\)")
_FOUND = re.compile(r"^class \d+ of (?=[\d,]+ generated images)")
"""The rarest or the commonest class in a protocol, which is a result."""


def agree(recorded: Measurement, new: Measurement) -> bool | None:
    """Whether two measurements of one metric agree; None if neither has an interval to decide it by.

    They agree if their values are equal or their 95% intervals overlap. If only one has an interval, they agree if it
    contains the value of the other. Overlap is a mild test: two estimates whose difference is just significant at 5%
    may still have intervals that overlap. The intervals cover the samples of the evaluation, not another seed of
    training.
    """
    if recorded.value == new.value:
        return True
    ends = [
        None if one.low is None or one.high is None else (min(one.low, one.value), max(one.high, one.value))
        for one in (recorded, new)
    ]
    if ends == [None, None]:
        return None
    (low, high), (new_low, new_high) = ends[0] or (recorded.value,) * 2, ends[1] or (new.value,) * 2
    return low <= new_high and new_low <= high


def same_protocol(recorded: Measurement, new: Measurement) -> bool:
    """Whether two measurements have the same protocol, up to the hash of the classifier that gives the features."""
    return _bare(recorded) == _bare(new)


def protocol_note(recorded: Measurement, new: Measurement) -> str:
    """How the protocol of the new measurement differs from the recorded one; "" if it does not."""
    if not same_protocol(recorded, new):
        return f"the protocol here is “{format_protocol(new)}”, and the recorded one “{format_protocol(recorded)}”"
    before, now = (_FEATURES.search(one.protocol) for one in (recorded, new))
    if before is None or now is None or before.group() == now.group():
        return ""
    return f"computed here by {now.group()}, and the recorded value by {before.group()}"


def _bare(measurement: Measurement) -> str:
    return _FEATURES.sub(r"\1", _FOUND.sub("", measurement.protocol))
