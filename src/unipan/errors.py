"""The one exception for what a user can mend: bad input, bad settings, missing files."""

from collections.abc import Iterator
from contextlib import contextmanager


class InputError(ValueError):
    """Something given to unipan is wrong. The message is one sentence or two: what came, what was expected, what to do.

    The command line prints the message alone and exits with 2; every other exception is a fault of ours and keeps its traceback.
    """


@contextmanager
def about(what: object) -> Iterator[None]:
    """Name what a complaint is about."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{what}: {error}") from error


@contextmanager
def noted(faults: list[str], where: str = "") -> Iterator[None]:
    """Add a complaint to `faults` and go on behind the block. where: what it is about."""
    try:
        yield
    except InputError as error:
        faults.append(f"{where}: {error}" if where else str(error))
