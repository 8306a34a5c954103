"""Commands of `taximeter`, one a module."""
