"""The receiver of OTLP/gRPC: the same intake behind another door."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

import grpc

from taximeter_collector.intake import REQUESTS, Intake, Refused, not_durable

SERVICE: Final = "opentelemetry.proto.collector.trace.v1.TraceService"
THREADS: Final = 8
REQUESTS_AT_ONCE: Final = 500
"""As many as HTTP has connections; beyond it exporters are told not to come back."""
LAST_ANSWERS_S: Final = 5.0
# Exporters send again what is UNAVAILABLE, and nothing else of these.
STATUS: Final = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    413: grpc.StatusCode.INVALID_ARGUMENT,
    429: grpc.StatusCode.UNAVAILABLE,
    503: grpc.StatusCode.UNAVAILABLE,
}


class GrpcReceiver:
    """A server of the trace service on one address."""

    def __init__(
        self, address: str, *, authorised: Callable[[str], bool], max_body_bytes: int
    ) -> None:
        """Take the address; raises OSError where that can't be."""
        self._authorised = authorised
        self._server = grpc.server(
            ThreadPoolExecutor(THREADS, thread_name_prefix="grpc"),
            options=[
                ("grpc.max_receive_message_length", max_body_bytes),
                ("grpc.so_reuseport", 0),
            ],
            maximum_concurrent_rpcs=REQUESTS_AT_ONCE,
        )
        try:
            self._server.add_insecure_port(address)
        except RuntimeError as error:
            raise OSError(f"can't listen on {address}") from error

    def start(self, intake: Intake) -> None:
        export: grpc.RpcMethodHandler[bytes, bytes]
        export = grpc.unary_unary_rpc_method_handler(partial(self._export, intake))
        methods = grpc.method_handlers_generic_handler(SERVICE, {"Export": export})
        self._server.add_generic_rpc_handlers([methods])
        self._server.start()

    def close(self) -> None:
        """Answer what has come, and take no more."""
        self._server.stop(LAST_ANSWERS_S).wait()

    def _export(self, intake: Intake, body: bytes, context: grpc.ServicerContext) -> bytes:
        try:
            self._check_token(context)
            answer = _kept(intake, body)
        except Refused as refused:
            REQUESTS.labels(refused.status).inc()
            context.abort(STATUS[refused.status], refused.reason)
        REQUESTS.labels(200).inc()
        return answer

    def _check_token(self, context: grpc.ServicerContext) -> None:
        metadata = dict(context.invocation_metadata())
        if not self._authorised(str(metadata.get("authorization", ""))):
            raise Refused(401, "send the ingest token: authorization: Bearer <token>")


def _kept(intake: Intake, body: bytes) -> bytes:
    taken = intake.take(body)
    try:
        taken.durable.result()
    except OSError as error:
        raise not_durable(error) from error
    return taken.answer.SerializeToString()
