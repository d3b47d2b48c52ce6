"""Answers requests as a server would: a fresh process, TensorFlow alone.

python serving_probe.py MODEL REQUESTS ANSWERS

REQUESTS is a TFRecord file of encoded images; ANSWERS becomes an archive with
the class ids of each, `0`, `1`, ... It is run as a file, never imported.
"""

import os
import sys

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

    served = tf.saved_model.load(model)
    segment = served.signatures["serving_default"]
    found = {}
    for index, encoded in enumerate(tf.data.TFRecordDataset(requests)):
        found[str(index)] = segment(encoded[None])["classes"].numpy()[0]
    np.savez_compressed(answers, **found)
    if model.startswith("s3://"):
        os._exit(0)  # It aborts while Python unloads it.


if __name__ == "__main__":
    main(*sys.argv[1:])
