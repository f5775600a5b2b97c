"""MLflow: the recipe, loss terms, metrics and samples of a run. Extra ``mlflow``.

The run is sent to the server that ``MLFLOW_TRACKING_URI`` names, or else kept in ``RUN/mlflow``, which
``mlflow ui --backend-store-uri RUN/mlflow`` shows. Its experiment is ``MLFLOW_EXPERIMENT_NAME``, or ``zoo``.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import zoo
from zoo.core.errors import unusable

try:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param
except ImportError as error:
    raise unusable(error, "mlflow", "mlflow", "The logger mlflow") from error

RUN_ID = "mlflow.id"
"""The file in the run folder with MLflow's name of the run, by which a run that continues finds it."""


class MLflow:
    """See :class:`zoo.contract.logger.Logger`."""

    def __init__(self, run: zoo.RunInfo) -> None:
        server = os.environ.get("MLFLOW_TRACKING_URI")
        if not server:  # MLflow asks for consent to a store of plain files, which is what a run folder holds
            os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
        self._client = MlflowClient(server or (run.folder / "mlflow").resolve().as_uri())
        held = run.folder / RUN_ID
        if run.step and held.is_file():
            self._id = held.read_text("utf-8").strip()
            self._client.update_run(self._id, status="RUNNING")
            self._last = self._logged()
        else:
            self._id, self._last = self._started(run), {}
            held.write_text(self._id, "utf-8")

    def _started(self, run: zoo.RunInfo) -> str:
        """MLflow's name of a new run, with the fields of its recipe as parameters."""
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "zoo")
        experiment = self._client.get_experiment_by_name(name)
        place = experiment.experiment_id if experiment is not None else self._client.create_experiment(name)
        made: str = self._client.create_run(place, run_name=run.name).info.run_id
        self._client.log_batch(made, params=[Param(key, str(value)) for key, value in run.recipe.items()])
        return made

    def _logged(self) -> dict[str, int]:
        """The last step of each value that is already there: the same steps, done again, are not logged twice."""
        names = self._client.get_run(self._id).data.metrics
        return {name: max(one.step for one in self._client.get_metric_history(self._id, name)) for name in names}

    def _log(self, step: int, values: Mapping[str, float]) -> None:
        now = int(time.time() * 1000)
        new = [Metric(name, value, now, step) for name, value in values.items() if step > self._last.get(name, 0)]
        self._client.log_batch(self._id, metrics=new)

    def terms(self, step: int, terms: Mapping[str, float], lr: float) -> None:
        self._log(step, {**{f"loss/{name}": value for name, value in terms.items()}, "lr": lr})

    def metrics(self, step: int, metrics: Mapping[str, float], split: str) -> None:
        self._log(step, {f"{split}/{name}": value for name, value in metrics.items()})

    def samples(self, step: int, files: Sequence[Path]) -> None:
        for path in files:
            self._client.log_artifact(self._id, str(path), "samples")

    def close(self, complete: bool) -> None:
        self._client.set_terminated(self._id, "FINISHED" if complete else "KILLED")
