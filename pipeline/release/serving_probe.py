"""Answers requests as a server would: a fresh process, TensorFlow alone.

python serving_probe.py MODEL REQUESTS ANSWERS

REQUESTS is a TFRecord file of encoded images; ANSWERS becomes an archive with
the class ids of each, `0`, `1`, ... It is run as a file, never imported.

Exit code 0: answered. 3: the model cannot be served, and the last line says
why. Anything else says nothing about the model: memory, a disk, a kill.
"""

import os
import sys

FAULT = 3
ABSENT = ("keras_cv", "pipeline", "tensorflow_addons", "tfx", "wseg_tf")


def main(model: str, requests: str, answers: str) -> None:
    """Runs the serving signature on every request.

    Args:
        model: Folder of a SavedModel.
        requests: Path of the requests.
        answers: Path the answers are written to.
    """
    for name in ABSENT:
        # A server has none of them; Python refuses to import what is None.
        sys.modules[name] = None  # type: ignore[assignment]
    import numpy as np
    import tensorflow as tf

    if model.startswith("s3://"):
        import tensorflow_io  # noqa: F401 (TensorFlow opens S3 with it)

    asked = list(tf.data.TFRecordDataset(requests))
    passing = (tf.errors.ResourceExhaustedError, tf.errors.UnavailableError)
    found = {}
    try:
        served = tf.saved_model.load(model)
        segment = served.signatures["serving_default"]
        for index, encoded in enumerate(asked):
            found[str(index)] = segment(encoded[None])["classes"].numpy()[0]
    except (MemoryError, *passing):
        raise
    except Exception as error:
        # A disk that is full, or a file that cannot be read for now, is no
        # fault of the model's; one that is not there is.
        graph = os.path.join(model, "saved_model.pb")
        if isinstance(error, OSError) and tf.io.gfile.exists(graph):
            raise
        lines = f"{type(error).__name__}: {error}".splitlines()
        print(" ".join(lines)[:500], file=sys.stderr)
        sys.exit(FAULT)
    np.savez_compressed(answers, **found)
    if model.startswith("s3://"):
        os._exit(0)  # It aborts while Python unloads it.


if __name__ == "__main__":
    # Python looks beside the file first, where modules have other names.
    sys.path.remove(os.path.dirname(os.path.abspath(__file__)))
    main(*sys.argv[1:])
