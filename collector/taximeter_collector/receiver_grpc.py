"""The receiver of OTLP/gRPC: the same intake behind another door."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeAlias

import grpc

from taximeter_collector.intake import Intake, Refused, not_durable

METHOD: Final = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
THREADS: Final = 8
REQUESTS_AT_ONCE: Final = 500
"""As many as HTTP has connections; beyond it exporters are told not to come back."""
LAST_ANSWERS_S: Final = 5.0
Handler: TypeAlias = "grpc.RpcMethodHandler[bytes, bytes]"
# Exporters send again what is UNAVAILABLE, and nothing else of these.
STATUS: Final = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
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
        self._server.add_generic_rpc_handlers([_Traces(intake, self._authorised)])
        self._server.start()

    def close(self) -> None:
        """Answer what has come, and take no more."""
        self._server.stop(LAST_ANSWERS_S).wait()


class _Traces(grpc.GenericRpcHandler):
    def __init__(self, intake: Intake, authorised: Callable[[str], bool]) -> None:
        self._intake = intake
        self._authorised = authorised
        self._handler: Handler = grpc.unary_unary_rpc_method_handler(self._export)

    def service(self, details: grpc.HandlerCallDetails) -> Handler | None:
        return self._handler if details.method == METHOD else None

    def _export(self, body: bytes, context: grpc.ServicerContext) -> bytes:
        metadata = dict(context.invocation_metadata())
        if not self._authorised(str(metadata.get("authorization", ""))):
            reason = "send the ingest token: authorization: Bearer <token>"
            context.abort(grpc.StatusCode.UNAUTHENTICATED, reason)
        try:
            return self._kept(body)
        except Refused as refused:
            context.abort(STATUS[refused.status], refused.reason)

    def _kept(self, body: bytes) -> bytes:
        taken = self._intake.take(body)
        try:
            taken.durable.result()
        except OSError as error:
            raise not_durable(error) from error
        return taken.answer.SerializeToString()
