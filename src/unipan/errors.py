"""The one exception for what a user can mend: bad input, bad settings, missing files; and what a lack of memory looks like."""

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from operator import index
from pathlib import Path


class InputError(ValueError):
    """Something given to unipan is wrong. The message is one sentence or two: what came, what was expected, what to do.

    The command line prints the message alone and exits with 2; every other exception is a fault of ours and keeps its traceback.
    """


class OthersUnreachable(InputError):
    """One of the processes that share a command's work has ended or cannot be reached, which its own message explains."""


def plural(count: int, noun: str, many: str = "") -> str:
    """So many of something: 1 image, 3 images. many: the noun's plural, where it is not the noun with an s."""
    return f"{count} {noun if count == 1 else many or f'{noun}s'}"


def number(name: str, value: object) -> float:
    """A number that Python code gives, of whichever library, as Python's own; text is none.

    Raises: InputError that calls it by its name.
    """
    if not isinstance(value, (str, bytes, bytearray, bool)):
        with suppress(TypeError, ValueError, RuntimeError):  # of arrays and tensors with more than one number
            return float(value)  # type: ignore[arg-type]
    raise InputError(f"{name} is {value!r}, a {type(value).__name__}; give a number.")


def whole_number(name: str, value: object, *, lowest: int) -> int:
    """The same of a whole number, `lowest` or more."""
    found = None
    if not isinstance(value, bool):
        with suppress(TypeError, ValueError, RuntimeError):
            found = index(value)  # type: ignore[arg-type]
    if found is None:
        raise InputError(f"{name} is {value!r}, a {type(value).__name__}; give a whole number, {lowest} or more.")
    if found < lowest:
        raise InputError(f"{name} is {found}; give {lowest} or more.")
    return found


def flag(name: str, value: object) -> bool:
    """The same of what is true or false; text is neither."""
    with suppress(ValueError, RuntimeError):  # of arrays and tensors with more than one value
        if value in (True, False):
            return bool(value)
    raise InputError(f"{name} is {value!r}, a {type(value).__name__}; give True or False.")


def path_of(name: str, value: object) -> Path:
    """The same of a path."""
    if isinstance(value, str) or (isinstance(value, os.PathLike) and isinstance(os.fspath(value), str)):
        return Path(value)
    raise InputError(f"{name} is {value!r}, a {type(value).__name__}; give a path.")


def paths_of(name: str, value: object) -> list[Path]:
    """The same of one path or several."""
    if isinstance(value, Iterable) and not isinstance(value, (str, bytes, os.PathLike)):
        return [path_of(name, one) for one in value]
    return [path_of(name, value)]


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


NO_MEMORY = ("allocate memory", "out of memory", "bad_alloc")
"""Words of PyTorch's plain RuntimeErrors."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether Python, NumPy, PyTorch (on the CPU or a GPU) or the system had no memory left."""
    return (
        isinstance(error, MemoryError)
        or (isinstance(error, OSError) and error.errno == errno.ENOMEM)
        or type(error).__name__ == "OutOfMemoryError"  # torch's, by name, so that errors need no torch
        or (isinstance(error, RuntimeError) and any(words in str(error) for words in NO_MEMORY))
    )
