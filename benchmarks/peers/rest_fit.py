"""The model that all servers get, trained on the sample: `python rest_fit.py FOLDER`.

Writes `model/` as the image holds it, `pipeline.joblib` for scikit-learn and `mlflow/` for MLflow.
"""

import sys
from pathlib import Path

import joblib
import mlflow

from app import definition, evaluate, fit, train


def main(folder: Path) -> None:
    model = definition.find("credit-default")
    table = model.dataset.load(sample=True)
    (folder / "model").mkdir(parents=True)
    train.build(model, table, "0" * 64, folder / "model")
    trained = ~evaluate.held_out(model.dataset, table)
    matrix = model.schema.from_columns(model.dataset.columns(table))
    labels = model.dataset.labels(table)
    fitted = fit.fit(model.schema, matrix[trained], labels[trained])
    joblib.dump(fitted.pipeline, folder / "pipeline.joblib")
    mlflow.pyfunc.save_model(
        folder / "mlflow",
        python_model=Path(__file__).with_name("rest_mlflow.py"),
        artifacts={"model": str(folder / "model")},
        pip_requirements=[],
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
