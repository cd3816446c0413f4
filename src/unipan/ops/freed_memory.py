"""What a command does with the memory that it has freed: it keeps it for the next image, where the C library would give it back.

glibc maps large blocks anew each time, and the system fills them with zeros page by page: a seventh of a prediction's or of a
training step's processor time (docs/performance.md). Kept, they lie in one heap, whose free end is given back where it is large.
A block fits only into a hole of its size, so holes remain; those of large images are gigabytes, and are not kept.
"""

import ctypes
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import Any

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
"""glibc's names, from its malloc.h."""
KEPT_BYTES = 2**30
"""A free end of the heap that is larger is given back to the system."""
LARGE_BYTES = 2**28
"""A layer's output that is larger (of 256 channels at stride 4: for an image of 4.2 megapixels) leaves large holes."""


@cache
def _glibc() -> Any:
    """The C library, or None where it is another one."""
    library = ctypes.CDLL(None) if sys.platform == "linux" else None
    return library if hasattr(library, "mallopt") else None  # musl has none


class _Kept:
    """Whether this process keeps what it frees. The C library alone knows, and cannot be asked."""

    now = False


def keep_freed_memory(environment: Mapping[str, str]) -> bool:
    """Whether it is kept from now on: on Linux with glibc, unless the user tunes malloc by an environment variable."""
    tuned = any(name.startswith(("MALLOC_", "GLIBC_TUNABLES")) for name in environment)
    if not tuned and (library := _glibc()):
        _Kept.now = bool(library.mallopt(M_MMAP_MAX, 0) and library.mallopt(M_TRIM_THRESHOLD, KEPT_BYTES))
    return _Kept.now


@contextmanager
def holes_given_back(network: Any) -> Iterator[None]:
    """Within, each of the network's layers that returns a large tensor hands the heap's holes back to the system.

    Where memory is not kept, nothing changes. It takes a twentieth of a prediction's time, and saves up to half of its memory.
    """
    with ExitStack() as hooks:
        for layer in network.modules() if _Kept.now else ():
            hooks.callback(layer.register_forward_hook(_after_layer).remove)
        yield


def _after_layer(_layer: Any, _given: Any, found: Any) -> None:
    if getattr(found, "is_cpu", False) and found.nbytes > LARGE_BYTES:
        _glibc().malloc_trim(0)
