"""Which classes are generated, whether labels are obeyed, and which scores are strange, where the answer is known."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import zoo
from zoo import data
from zoo.contract.metric import Measurement
from zoo.evaluation import classes, threshold
from zoo.evaluation.evaluated_model import Budget, DoesNotApply, EvaluatedModel, of_module

TRAINING, TEST = (data.load("digits", split) for split in ("train", "test"))
QUIET = Budget(quiet=True)


class Album(nn.Module):
    """Gives real images, whose classes are known, for labels."""

    def __init__(self, order: list[int]) -> None:
        super().__init__()
        assert TEST.labels is not None
        first = [int(np.flatnonzero(TEST.labels == label)[0]) for label in order]
        self.images = nn.Parameter(torch.from_numpy(TEST.array[first]).float() / 255)

    def decode(self, label: Tensor) -> Tensor:
        return self.images[label]

    def score(self, x: Tensor) -> Tensor:
        return x.flatten(1).mean(1)


def evaluated(order: list[int], name: str) -> EvaluatedModel:
    album = Album(order)
    image = TEST.sample.x
    assert isinstance(image, zoo.Image)
    tasks = {
        "decode": zoo.Task(album.decode, {name: zoo.Label(10)}, {"image": image}),
        "score": zoo.Task(album.score, {"image": image}, {"score": zoo.Score()}),
    }
    model = of_module("album.tiny", album, tasks, zoo.OneShot("decode"), TEST.sample)
    return EvaluatedModel(model, TRAINING, TEST, TEST)


def found(order: list[int], name: str) -> Mapping[str, Measurement]:
    return {measurement.name: measurement for measurement in classes.measurements(evaluated(order, name), QUIET)}


def test_labels_that_are_obeyed_and_that_are_not() -> None:
    right = found([*range(10)], "label")
    assert right["label_accuracy"].value == 1
    assert right["rarest_class"].value == pytest.approx(0.1, abs=0.01)
    assert right["commonest_class"].value == pytest.approx(0.1, abs=0.01)
    assert right["rarest_class"].baseline is not None
    assert 0.05 < right["rarest_class"].baseline[1] < 0.1 < right["commonest_class"].baseline[1] < 0.15  # type: ignore[index]
    wrong = found([*range(1, 10), 0], "label")
    assert wrong["label_accuracy"].value == 0
    assert "code_accuracy" not in wrong


def test_a_learned_code_is_matched_to_classes() -> None:
    assert found([*range(1, 10), 0], "code")["code_accuracy"].value == 1
    twice = found([0, 0, 2, 3, 4, 5, 6, 7, 8, 9], "code")  # only one of the two codes can stand for class 0
    assert twice["code_accuracy"].value == pytest.approx(0.9, abs=0.01)
    assert "label_accuracy" not in twice


def test_a_missing_class_shows() -> None:
    only = found([3] * 10, "code")
    assert only["rarest_class"].value == 0
    assert only["commonest_class"].value == 1


def test_matching_by_hand() -> None:
    codes, picked = np.array([0, 0, 1, 1, 2, 2]), np.array([2, 2, 0, 0, 0, 1])
    assert classes.match(codes, picked, 3).tolist() == [1, 2, 0]


def test_nothing_to_judge_by() -> None:
    silent = of_module("album.tiny", nn.Linear(1, 1), {}, None, TEST.sample)
    with pytest.raises(DoesNotApply, match="generates nothing"):
        classes.measurements(EvaluatedModel(silent, TRAINING, TEST, TEST), QUIET)
    with pytest.raises(DoesNotApply, match="has no task 'score'"):
        threshold.measurements(EvaluatedModel(silent, TRAINING, TEST, TEST), QUIET)


def test_the_threshold_is_the_quantile_of_test_scores() -> None:
    (measurement,) = threshold.measurements(evaluated([*range(10)], "label"), QUIET)
    scores = TEST.array.astype(np.float32).mean((1, 2, 3)) / 255
    assert measurement.value == pytest.approx(np.quantile(scores, 0.99), rel=1e-5)
    assert measurement.protocol.startswith("99% of 297 test images of digits")
