"""Commands of `taximeter`."""
