"""Names of a SavedModel's functions that tell nothing of what came before.

TensorFlow numbers functions as a process traces them, so a model that was
exported after a training, and the same one after a resume, would differ in
bytes, and with them in every digest. Here they are numbered as they are met.
"""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Iterable, Iterator
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf import fingerprint_pb2, saved_model_pb2
from tensorflow.python.saved_model import fingerprinting_utils

from wseg_tf.filesystems import read_bytes, write_whole
from wseg_tf.saved_models import MODEL

FINGERPRINT, CALLED = "fingerprint.pb", "_user_specified_name"
# A protocol buffer's message; its types are made when it is loaded.
Message = Any


def number_functions(folder: str) -> None:
    r"""Numbers a SavedModel's functions anew, in place.

    Args:
        folder: What `tf.saved_model.save` wrote.

    Example:

    >>> import tempfile
    >>> folder, module = tempfile.mkdtemp(), tf.Module()
    >>> module.double = tf.function(lambda x: 2 * x)
    >>> _ = module.double.get_concrete_function(tf.zeros([3]))
    >>> tf.saved_model.save(module, folder)
    >>> number_functions(folder)
    >>> text = read_bytes(os.path.join(folder, MODEL))
    >>> re.findall(rb"__inference_<lambda>_\d+", text)[0]
    b'__inference_<lambda>_2'
    """
    path = os.path.join(folder, MODEL)
    model = saved_model_pb2.SavedModel.FromString(read_bytes(path))
    for graph in model.meta_graphs:
        _rename(graph, _numbered(graph))
    write_whole(path, model.SerializeToString(deterministic=True))
    _fingerprint(os.path.join(folder, FINGERPRINT))


def _numbered(graph: Message) -> dict[str, str]:
    """Returns new names by old ones, numbered in the order of use."""
    library = {
        each.signature.name: each for each in graph.graph_def.library.function
    }
    found: dict[str, str] = {}

    def meet(names: Iterable[str]) -> None:
        waiting = [*names][::-1]
        while waiting:
            name = waiting.pop()
            if name in library and name not in found:
                plain = re.sub(r"_\d+$", "", name)
                found[name] = f"{plain}_{len(found)}"
                waiting += [*_used(library[name].node_def)][::-1]

    meet(_used(graph.graph_def.node))
    for node in graph.object_graph_def.nodes:
        meet(node.function.concrete_functions)
        meet([node.bare_concrete_function.concrete_function_name])
    meet(sorted(library))  # Which nothing uses.
    return found


def _fingerprint(path: str) -> None:
    """Writes the model's fingerprint anew, without what is drawn for it."""
    if tf.io.gfile.exists(path):
        fingerprinting_utils.write_fingerprint(os.path.dirname(path))
        found = fingerprint_pb2.FingerprintDef.FromString(read_bytes(path))
        if hasattr(found, "uuid"):
            found.uuid = ""
        write_whole(path, found.SerializeToString(deterministic=True))


def _used(nodes: Iterable[Message]) -> Iterator[str]:
    for node in nodes:
        for attribute in _attributes(node):
            yield from (each.name for each in _functions(attribute))


def _attributes(node: Message) -> Iterator[Message]:
    """Yields attributes in an order that the names of functions leave alone."""
    for name in sorted(node.attr):
        yield node.attr[name]


def _functions(attribute: Message) -> Iterator[Message]:
    kind = attribute.WhichOneof("value")
    if kind == "func":
        yield attribute.func
    elif kind == "list":
        yield from attribute.list.func


def _rename(graph: Message, names: dict[str, str]) -> None:
    """Gives functions other names, wherever one is named."""
    library, objects = graph.graph_def.library, graph.object_graph_def
    functions = [*library.function]
    nodes = [node for each in functions for node in each.node_def]
    for owner in (*graph.graph_def.node, *nodes, *functions):
        for attribute in _attributes(owner):
            for each in _functions(attribute):
                each.name = names.get(each.name, each.name)
            if attribute.WhichOneof("value") == "s":
                text = attribute.s.decode(errors="replace")
                attribute.s = names.get(text, "").encode() or attribute.s
    outer = objects.concrete_functions
    for each in functions:
        name = each.signature.name
        bound = len(outer[name].bound_inputs) if name in outer else None
        _number_arguments(each, bound)
        each.signature.name = names[name]
    for each in library.gradient:
        each.function_name = names.get(each.function_name, each.function_name)
    for each in (*library.gradient, *library.registered_gradients):
        each.gradient_func = names.get(each.gradient_func, each.gradient_func)
    library.function.sort(key=lambda each: each.signature.name)
    for node in objects.nodes:
        # To write nothing into a message makes the node one of its kind.
        if own := node.function.concrete_functions:
            own[:] = [names.get(name, name) for name in own]
        for owner, field in (
            (node.bare_concrete_function, "concrete_function_name"),
            (node.captured_tensor, "concrete_function"),
        ):
            if name := names.get(getattr(owner, field)):
                setattr(owner, field, name)
    known = copy.deepcopy(dict(outer))
    outer.clear()
    for name, each in known.items():
        outer[names.get(name, name)].CopyFrom(each)


def _number_arguments(function: Message, bound: int | None) -> None:
    """Numbers the arguments that a function captured, by their place.

    Args:
        function: A function of the library.
        bound: How many of its last arguments it captured, where a caller names
            those before and its outputs; None where none is named.
    """
    signature, names = function.signature, {}
    count = len(signature.input_arg) if bound is None else bound
    first = len(signature.input_arg) - count
    kept = (*function.node_def, *signature.input_arg[:first])
    taken = {each.name for each in kept}
    for place, each in enumerate(signature.input_arg[first:]):
        name = f"captured_{place}"
        while name in taken:
            name += "_"
        names[each.name] = each.name = name
    for node in function.node_def:
        node.input[:] = [_reference(each, names) for each in node.input]
    found = {key: _reference(each, names) for key, each in function.ret.items()}
    if bound is None:
        outputs = {
            each.name: f"output_{place}"
            for place, each in enumerate(signature.output_arg)
        }
        found = {outputs[key]: each for key, each in found.items()}
        for each in signature.output_arg:
            each.name = outputs[each.name]
    function.ret.clear()
    function.ret.update(found)
    for argument in function.arg_attr.values():
        if CALLED in argument.attr and argument.attr[CALLED].s.isdigit():
            del argument.attr[CALLED]


def _reference(text: str, names: dict[str, str]) -> str:
    """Returns what a node is given: `name`, `name:0`, or after `^name`."""
    mark = "^" * text.startswith("^")
    name, colon, rest = text.removeprefix("^").partition(":")
    return f"{mark}{names.get(name, name)}{colon}{rest}"
