"""Calls that others have metered before: their exports become OTLP requests."""
