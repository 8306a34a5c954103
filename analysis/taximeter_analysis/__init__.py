"""Taximeter's analysis: what spend will be and why it changed. Functions over values."""
