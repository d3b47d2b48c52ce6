"""SavedModels are programs: which of their operations are run unasked.

What computes is let through. What could read or write files, call Python or
reach the network is not, wherever it is: in a signature, in a function of the
library, or in what a server runs when it loads the model.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from typing import Any

import tensorflow as tf
from tensorflow.python.framework import op_def_registry
from tensorflow.python.saved_model.loader_impl import parse_saved_model

from wseg_tf.filesystems import named_plainly

MODEL = "saved_model.pb"
# Operations that keep a state, and harm nobody with it.
STATEFUL = re.compile(
    r"VarHandleOp|VariableV2|VarIsInitializedOp|VariableShape"
    r"|ReadVariableOp|DisableCopyOnRead|Assign(Add|Sub)?VariableOp"
    r"|Resource(Gather|GatherNd|Scatter\w+|StridedSliceAssign)"
    r"|(Stateful)?PartitionedCall|If|While|Case|Assert|CheckNumerics(V2)?"
    r"|(Anonymous)?HashTable(V2)?|InitializeTableV2"
    r"|LookupTable(Find|Size|Export|Import)V2|DestroyResourceOp"
    r"|TensorArray\w*|Stack\w*|Empty|GuaranteeConst|DeviceIndex"
    r"|Random(Uniform|UniformInt|StandardNormal|Shuffle|Gamma|PoissonV2)"
    r"|TruncatedNormal|Multinomial|Stateful(Uniform\w*|\w+Normal\w*)"
    r"|RngReadAndSkip|StatelessRandomGetAlg|SampleDistortedBoundingBox(V2)?"
    r"|_Arg|_Retval"
)
# Of those that keep none, by parts of their names: what leaves the model.
OUTWARD = re.compile(
    r"File|Dataset|Iterator|Reader|PyFunc|Debug|Snapshot|Remote|TPU|TfLite"
    r"|^Copy|CustomCall|XlaLaunch|RegisterDataset|CallModule"
)
# Data sets that are in memory: they decode a batch, errors and all.
IN_MEMORY = re.compile(
    r"(Tensor|TensorSlice|Range|Map|ParallelMap|FlatMap|Filter|Batch|Zip|Take"
    r"|Skip|Repeat|Concatenate|Prefetch|IgnoreErrors|Reduce|Options|Model)"
    r"Dataset(V[2-9])?|DatasetToSingleElement"
)
# What gives variables their values, and what writes a checkpoint: allowed to
# the model's own saver, and not to what answers.
RESTORES = re.compile(r"Restore(V2|Slice)?")
SAVES = re.compile(r"Save(V2|Slices)?|MergeV2Checkpoints|Sharded\w+")


class OperationError(ValueError):
    """A SavedModel that does more than compute; names the operation."""


def load(folder: str, trust: bool = False) -> Any:
    """Loads a SavedModel whose operations compute, and do nothing else.

    Args:
        folder: The SavedModel.
        trust: Whether its operations are not looked at. Defaults to False.

    Returns:
        What `tf.saved_model.load` returns.

    Raises:
        ValueError: If it is damaged, or an operation does more.

    Example:

    >>> load("model").signatures["serving_default"]  # doctest: +SKIP
    """
    if not trust:
        check_operations(folder)
    try:
        with named_plainly(folder) as plain:
            return tf.saved_model.load(plain)
    # What TensorFlow raises differs with what is damaged.
    except Exception as error:
        raise _damaged(folder, error) from error


def held_in(folder: str) -> str:
    """Says which models are in a folder that is none itself, such as versions.

    Args:
        folder: The folder.

    Returns:
        A clause for the end of a sentence; empty if there are none.

    Example:

    >>> held_in("no such folder")
    ''
    """
    found = tf.io.gfile.glob(os.path.join(folder, "*", MODEL))
    if not found:
        return ""
    newest = os.path.dirname(max(found))
    return f", which holds {len(found)} of them, such as {newest}"


def check_operations(folder: str) -> None:
    """Refuses a SavedModel that can do more than compute.

    Args:
        folder: The SavedModel.

    Raises:
        OperationError: If an operation does more.
        ValueError: If it is damaged.
    """
    try:
        graphs = parse_saved_model(folder).meta_graphs
    # What TensorFlow raises differs with what is damaged.
    except Exception as error:
        raise _damaged(folder, error) from error
    for graph in graphs:
        found = next(_outward(graph), None)
        if found is not None:
            raise OperationError(
                f"Invalid model {folder}. Expected operations that compute. "
                f"Received: `{found}`, which may read or write files, run "
                "other code or reach the network."
            )


def _damaged(folder: str, error: Exception) -> ValueError:
    held = held_in(folder)
    if held:
        return ValueError(
            f"Invalid model. Expected a SavedModel. Received: {folder}{held}."
        )
    reason = " ".join(str(error).split())[:200]
    return ValueError(
        f"Invalid model. Expected a SavedModel. Received: {folder} "
        f"({type(error).__name__}: {reason})."
    )


def _outward(graph: Any) -> Iterator[str]:
    """Yields the operations of a graph that do more than compute."""
    nodes = {node.name: node for node in graph.graph_def.node}
    library = {f.signature.name: f for f in graph.graph_def.library.function}
    saver = graph.saver_def
    answers = [
        tensor
        for signature in graph.signature_def.values()
        for output in signature.outputs.values()
        for tensor in (
            output.name,
            *(part.name for part in output.composite_tensor.components),
            output.coo_sparse.values_tensor_name,
            output.coo_sparse.indices_tensor_name,
            output.coo_sparse.dense_shape_tensor_name,
        )
    ]
    for collection in graph.collection_def.values():
        answers += collection.node_list.value
    restoring = _above(nodes, [saver.restore_op_name])
    saving = _above(nodes, [saver.save_tensor_name]) - restoring
    answering = nodes.keys() - (restoring | saving)
    answering |= _above(nodes, answers)
    objects = graph.object_graph_def
    called = [*objects.concrete_functions]
    for each in objects.nodes:
        called += each.function.concrete_functions
        called.append(each.bare_concrete_function.concrete_function_name)
    of_answers = _below(library, [nodes[n] for n in answering], called)
    of_restore = _below(library, [nodes[n] for n in restoring], [])
    of_saving = _below(library, [nodes[n] for n in saving], [])
    # Functions that nothing calls are held to what answers.
    of_answers |= library.keys() - (of_restore | of_saving)
    for names, functions, allowed in (
        (answering, of_answers, None),
        (restoring - answering, of_restore - of_answers, RESTORES),
        (saving - answering, of_saving - of_answers - of_restore, SAVES),
    ):
        held = [nodes[name] for name in names]
        held += [n for f in functions for n in library[f].node_def]
        for node in held:
            is_own = allowed is not None and allowed.fullmatch(node.op)
            if node.op not in library and not is_own and not _computes(node.op):
                yield node.op


def _computes(operation: str) -> bool:
    known = op_def_registry.get(operation)
    if known is None:
        return False
    if IN_MEMORY.fullmatch(operation):
        return True
    if known.is_stateful:
        return STATEFUL.fullmatch(operation) is not None
    return OUTWARD.search(operation) is None


def _above(nodes: dict[str, Any], ends: Iterable[str]) -> set[str]:
    """Returns the nodes that some tensors or nodes are made from."""
    waiting, found = [*ends], set()
    while waiting:
        name = waiting.pop().removeprefix("^").partition(":")[0]
        if name in nodes and name not in found:
            found.add(name)
            waiting += nodes[name].input
    return found


def _below(
    library: dict[str, Any], nodes: Iterable[Any], called: Iterable[str]
) -> set[str]:
    """Returns the functions that some nodes call, directly or not."""
    waiting = [*called, *(name for node in nodes for name in _calls(node))]
    found: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in library and name not in found:
            found.add(name)
            for node in library[name].node_def:
                waiting += _calls(node)
    return found


def _calls(node: Any) -> list[str]:
    """Returns the functions that a node names."""
    named = [node.op]
    for value in node.attr.values():
        named.append(value.func.name)
        named += [each.name for each in value.list.func]
    return named
