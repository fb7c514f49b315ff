"""A finished run in MLflow, when asked: its settings, losses, development figures and record.

`training.finetune ... --mlflow` writes to `sqlite:///mlruns.db`; `--mlflow http://...` to a server.
Look at them with `mlflow ui --backend-store-uri sqlite:///mlruns.db`.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from voc.errors import InputError

DEFAULT_URI = "sqlite:///mlruns.db"
EXPERIMENT = "voc"


def track(uri: str, folder: Path, record: dict[str, Any]) -> str:
    """Log the run that `folder` holds and `record` (its run.json) describes; returns MLflow's run id.

    Raises
    ------
    InputError
        MLflow is not installed, or the server or file at `uri` can't be used.
    """
    try:
        import mlflow
        from mlflow.exceptions import MlflowException
    except ImportError as error:
        raise InputError(
            "MLflow is not installed", field="--mlflow", remedy="pip install mlflow-skinny, or leave it out"
        ) from error
    try:
        mlflow.set_tracking_uri(uri)
        mlflow.set_experiment(EXPERIMENT)
        with mlflow.start_run(run_name=folder.name) as run:
            # MLflow refuses a parameter of more than 6,000 characters: lists of sets are in run.json.
            mlflow.log_params(
                {key: value for key, value in record["settings"].items() if not isinstance(value, list)}
            )
            mlflow.set_tags({"data_sha256": record["data"]["sha256"], "seconds": record["seconds"]})
            for point in record["history"]:
                mlflow.log_metric("loss", point["loss"], step=point["step"])
            mlflow.log_metrics(dict(_flat(record["development"])))
            mlflow.log_artifact(str(folder / "run.json"))
            return str(run.info.run_id)
    except (MlflowException, OSError) as error:
        raise InputError(
            f"MLflow could not log the run: {error}", field="--mlflow",
            remedy=f"check the address {uri}; the run itself is complete in {folder}",
        ) from error  # fmt: skip


def _flat(figures: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    for key, value in figures.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        elif isinstance(value, int | float):
            yield f"{prefix}{key}", float(value)
