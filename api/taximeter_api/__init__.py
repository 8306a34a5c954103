"""Taximeter's outside: the API, the page and the command line."""
