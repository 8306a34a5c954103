"""Taximeter's collector: OTLP in, priced calls out."""
