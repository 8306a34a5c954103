"""`python -m taximeter_api` is `taximeter`."""

from taximeter_api.cli import main

main()
