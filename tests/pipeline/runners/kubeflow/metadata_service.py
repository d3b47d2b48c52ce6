"""The metadata service of a cluster: gRPC over ML Metadata in SQLite."""

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.message import Message
from ml_metadata import errors
from ml_metadata.proto import metadata_store_service_pb2 as protocol

from pipeline.release.lineage import open_store

SERVICE = protocol.DESCRIPTOR.services_by_name["MetadataStoreService"]
CODES = {code.value[0]: code for code in grpc.StatusCode}


@contextlib.contextmanager
def metadata_service(path: Path) -> Iterator[int]:
    """Serves the metadata of a SQLite file; yields the port."""
    store = open_store(str(path))
    handlers = {
        method.name: _handler(store, method) for method in SERVICE.methods
    }
    # One thread, since SQLite and the store are not made for more.
    server = grpc.server(ThreadPoolExecutor(max_workers=1))
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(SERVICE.full_name, handlers),)
    )
    port = server.add_insecure_port("localhost:0")
    server.start()
    try:
        yield port
    finally:
        server.stop(grace=None).wait()


def _handler(store: Any, method: Any) -> grpc.RpcMethodHandler:
    request_type = getattr(protocol, method.input_type.name)
    response_type = getattr(protocol, method.output_type.name)

    def answer(request: Message, context: grpc.ServicerContext) -> Message:
        response = response_type()
        try:
            store._call(method.name, request, response)
        except errors.StatusError as error:
            context.abort(CODES[error.error_code], str(error))
        return response

    return grpc.unary_unary_rpc_method_handler(
        answer,
        request_deserializer=request_type.FromString,
        response_serializer=response_type.SerializeToString,
    )
