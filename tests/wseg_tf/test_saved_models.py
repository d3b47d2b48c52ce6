from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from wseg_tf.classes import CAMVID
from wseg_tf.saved_models import check_operations, load
from wseg_tf.serving import ServedModel, export

Function = Callable[[tf.Tensor], tf.Tensor]
TARGET = "written.txt"


def write_file(x: tf.Tensor) -> tf.Tensor:
    tf.io.write_file(TARGET, "x")
    return x


def read_file(x: tf.Tensor) -> tf.Tensor:
    return x + tf.cast(
        tf.strings.length(tf.io.read_file("/etc/passwd")), x.dtype
    )


def list_files(x: tf.Tensor) -> tf.Tensor:
    return x + tf.cast(tf.size(tf.io.matching_files("/etc/*")), x.dtype)


def python(x: tf.Tensor) -> tf.Tensor:
    return tf.numpy_function(lambda y: y, [x], x.dtype)


def python_without_state(x: tf.Tensor) -> tf.Tensor:
    return tf.numpy_function(lambda y: y, [x], x.dtype, stateful=False)


def eager_python(x: tf.Tensor) -> tf.Tensor:
    return tf.py_function(lambda y: y, [x], x.dtype)


def save(x: tf.Tensor) -> tf.Tensor:
    tf.raw_ops.SaveV2(
        prefix=TARGET, tensor_names=["x"], shape_and_slices=[""], tensors=[x]
    )
    return x


def restore(x: tf.Tensor) -> tf.Tensor:
    return tf.raw_ops.RestoreV2(
        prefix="x", tensor_names=["x"], shape_and_slices=[""], dtypes=[x.dtype]
    )[0]


def print_to_a_file(x: tf.Tensor) -> tf.Tensor:
    tf.print(x, output_stream=f"file://{TARGET}")
    return x


def text_lines(x: tf.Tensor) -> tf.Tensor:
    lines = tf.data.TextLineDataset("/etc/passwd")
    return x + tf.cast(lines.reduce(0, lambda n, _: n + 1), x.dtype)


def debug(x: tf.Tensor) -> tf.Tensor:
    return tf.raw_ops.DebugIdentity(input=x, debug_urls=[f"file://{TARGET}"])


OUTWARD = {
    write_file: "WriteFile",
    read_file: "ReadFile",
    list_files: "MatchingFiles",
    python: "PyFunc",
    python_without_state: "PyFuncStateless",
    eager_python: "EagerPyFunc",
    save: "SaveV2",
    restore: "RestoreV2",
    print_to_a_file: "PrintV2",
    text_lines: "TextLineDataset",
    debug: "DebugIdentity",
}


def plain(x: tf.Tensor) -> tf.Tensor:
    return x + 1.0


def in_a_branch(act: Function) -> Function:
    return lambda x: tf.cond(tf.reduce_sum(x) > 1e9, lambda: act(x), lambda: x)


def in_a_loop(act: Function) -> Function:
    def loop(x: tf.Tensor) -> tf.Tensor:
        return tf.while_loop(
            lambda i, y: i < 1, lambda i, y: (i + 1, act(y)), (0, x)
        )[1]

    return loop


def in_a_function(act: Function) -> Function:
    return tf.function(tf.function(act, autograph=False), autograph=False)


class Model(tf.Module):
    """A model that answers by a function, and has another beside it."""

    def __init__(self, act: Function, aside: Function = plain) -> None:
        super().__init__()
        spec = [tf.TensorSpec([None], tf.float32, name="x")]
        self.factor = tf.Variable(2.0)
        self.answer = tf.function(
            lambda x: act(x * self.factor), input_signature=spec
        )
        self.aside = tf.function(aside, input_signature=spec)


def saved(folder: Path, act: Function, aside: Function = plain) -> str:
    model = Model(act, aside)
    tf.saved_model.save(model, str(folder), {"serving_default": model.answer})
    return str(folder)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_what_computes_is_loaded(tmp_path: Path) -> None:
    folder = saved(tmp_path / "model", in_a_loop(in_a_branch(plain)))
    answer = load(folder).signatures["serving_default"]
    found = answer(x=tf.constant([1.5]))
    assert float(next(iter(found.values()))[0]) == 3.0  # 1.5 x 2, no branch.


@pytest.mark.parametrize("act", OUTWARD, ids=lambda act: act.__name__)
def test_what_leaves_the_model_is_refused(
    tmp_path: Path, act: Function
) -> None:
    folder = saved(tmp_path / "model", act)
    with pytest.raises(ValueError, match=f"`({OUTWARD[act]})`") as caught:
        load(folder)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / TARGET).exists()


@pytest.mark.parametrize("place", [in_a_branch, in_a_loop, in_a_function])
def test_wherever_it_is(
    tmp_path: Path, place: Callable[[Function], Function]
) -> None:
    with pytest.raises(ValueError, match="`WriteFile`"):
        load(saved(tmp_path / "model", place(write_file)))


def test_beside_what_answers_too(tmp_path: Path) -> None:
    folder = saved(tmp_path / "model", plain, aside=in_a_function(save))
    with pytest.raises(ValueError, match="`SaveV2`"):
        load(folder)


def edited(folder: str, edit: Callable[[Any], None]) -> str:
    """Edits the graph of a SavedModel, as an attacker would."""
    path = Path(folder, "saved_model.pb")
    content = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    edit(content.meta_graphs[0])
    path.write_bytes(content.SerializeToString())
    return folder


def function_of(graph: Any, node: str) -> Any:
    """Returns the function that a node of the graph calls."""
    found = {each.name: each for each in graph.graph_def.node}[node]
    name = found.attr["f"].func.name
    functions = graph.graph_def.library.function
    return next(f for f in functions if f.signature.name == name)


def add_writing(function: Any) -> None:
    for name, value in (("evil/name", TARGET), ("evil/content", "x")):
        node = function.node_def.add(name=name, op="Const")
        node.attr["dtype"].type = tf.string.as_datatype_enum
        tensor = tf.make_tensor_proto(value)
        node.attr["value"].tensor.CopyFrom(tensor)
    function.node_def.add(
        name="evil",
        op="WriteFile",
        input=["evil/name:output:0", "evil/content:output:0"],
    )
    function.control_ret["evil"] = "evil"


def test_the_saver_may_restore_and_no_more(tmp_path: Path) -> None:
    def write(graph: Any) -> None:
        add_writing(function_of(graph, graph.saver_def.restore_op_name))

    def save_while_restoring(graph: Any) -> None:
        graph.saver_def.restore_op_name = (
            graph.saver_def.save_tensor_name.partition(":")[0]
        )

    for name, edit, found in (
        ("write", write, "WriteFile"),
        (
            "save",
            save_while_restoring,
            "SaveV2|RestoreV2|MergeV2Checkpoints|Sharded",
        ),
    ):
        folder = edited(saved(tmp_path / name, plain), edit)
        with pytest.raises(ValueError, match=f"`({found})"):
            check_operations(folder)


def test_an_answer_made_by_the_saver_is_refused(tmp_path: Path) -> None:
    def answer_by_saving(graph: Any) -> None:
        output = next(
            iter(graph.signature_def["serving_default"].outputs.values())
        )
        output.name = graph.saver_def.save_tensor_name

    folder = edited(saved(tmp_path / "model", plain), answer_by_saving)
    with pytest.raises(ValueError, match=r"`(SaveV2|MergeV2|Sharded)"):
        check_operations(folder)


def test_an_operation_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    folder = edited(
        saved(tmp_path / "model", plain),
        lambda graph: graph.graph_def.node.add(name="new", op="OwnKernel"),
    )
    with pytest.raises(ValueError, match="`OwnKernel`"):
        check_operations(folder)


def test_a_user_may_trust(tmp_path: Path) -> None:
    folder = saved(tmp_path / "model", write_file)
    load(folder, trust=True).signatures["serving_default"](tf.constant([1.0]))
    assert (tmp_path / TARGET).exists()


def test_our_own_models_compute(tmp_path: Path) -> None:
    image = keras.Input([None, None, 3])
    hidden = keras.layers.BatchNormalization()(image / 255.0)
    hidden = keras.layers.Dropout(0.5)(hidden)
    model = keras.Model(image, keras.layers.Conv2D(len(CAMVID), 1)(hidden))
    export(model, str(tmp_path / "model"), CAMVID, 32, 48)
    assert ServedModel(str(tmp_path / "model")).classes == CAMVID


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("saved_model.pb", b""),
        ("saved_model.pb", b"\x00" * 100),
        ("saved_model.pb", b"{}"),
        ("variables/variables.index", b""),
        ("variables/variables.index", b"x" * 50),
    ],
)
def test_a_damaged_model_is_one_sentence(
    tmp_path: Path, name: str, content: bytes
) -> None:
    folder = saved(tmp_path / "model", plain)
    (tmp_path / "model" / name).write_bytes(content)
    with pytest.raises(ValueError, match="Expected a SavedModel") as caught:
        load(folder)
    assert "\n" not in str(caught.value)
