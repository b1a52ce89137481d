"""Check: the image's self-test, run while it is built: signed, and scoring as in training."""

import sys
from importlib.metadata import version
from pathlib import Path

import msgspec
import numpy as np
import onnxruntime

from app import weights
from app.schema import Schema
from app.serving import model, verify

_LIBRARIES = ("numpy", "onnxruntime", "msgspec")


def differences(folder: Path) -> list[str]:
    """One line for each row of golden.json whose probability is another than in training."""
    golden = msgspec.json.decode((folder / "golden.json").read_bytes(), type=model.Golden)
    info = msgspec.json.decode((folder / "model.json").read_bytes(), type=model.Info)
    session = onnxruntime.InferenceSession(folder / "model.onnx")
    matrix = Schema.parse(info.schema).from_rows(golden.rows)
    found = np.asarray(session.run(["probability"], {"features": matrix})[0], np.float64)
    return [
        f"row {row}: {score:.9f} here, {wanted:.9f} in training, differs by {score - wanted:+.3g}"
        for row, (score, wanted) in enumerate(zip(found, golden.probabilities, strict=True))
        if not abs(score - wanted) <= model.SELF_TEST_TOLERANCE
    ]


def main(folder: Path, expected_weights: str, signature: Path, signer: str) -> int:
    """Verify and load the model as the server does; 0 when it may serve, 3 when it may not."""
    libraries = ", ".join(f"{name} {version(name)}" for name in _LIBRARIES)
    names = tuple(sorted(path.name for path in folder.iterdir())) if folder.is_dir() else ()
    if names != weights.MODEL_FILES:
        print(
            f"refused: {folder} holds {', '.join(names) or 'nothing'}; "
            f"a model is {', '.join(weights.MODEL_FILES)}",
            file=sys.stderr,
        )
        return 3
    try:
        verify.verify(folder, signature, signer)
        loaded = model.load(folder, expected_weights)
    except model.Unfit as error:
        print(f"refused: {error}; here are {libraries}", file=sys.stderr)
        if weights.digest(folder) == expected_weights:
            _explain(folder)
        return 3
    print(f"{loaded.info.name} scores as in training with {libraries}")
    return 0


def _explain(folder: Path) -> None:
    try:
        lines = differences(folder)
    except Exception as error:  # the refusal stands; why it cannot be explained is worth a line
        lines = [f"no row can be scored: {error}"]
    print("\n".join(lines), file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), sys.argv[4]))
