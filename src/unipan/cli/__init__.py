"""The command line, whose entry point is `main`."""

from unipan.cli.app import main

__all__ = ["main"]
