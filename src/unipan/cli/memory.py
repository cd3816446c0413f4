"""What a command does with the memory that it has freed: it keeps it for the next image, where the C library would give it back.

glibc maps large blocks anew each time, and the system fills them with zeros page by page: a seventh of a prediction's or of a
training step's processor time (docs/performance.md). Kept, they lie in one heap, whose free end is given back where it is large.
"""

import ctypes
import sys
from collections.abc import Mapping

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
"""glibc's names, from its malloc.h."""
KEPT_BYTES = 2**30
"""A free end of the heap that is larger is given back to the system."""


def keep_freed_memory(environment: Mapping[str, str]) -> bool:
    """Whether it is kept from now on: on Linux with glibc, unless the user tunes malloc by an environment variable."""
    if sys.platform != "linux" or any(name.startswith(("MALLOC_", "GLIBC_TUNABLES")) for name in environment):
        return False
    library = ctypes.CDLL(None)
    if not hasattr(library, "mallopt"):  # another C library, as musl
        return False
    return bool(library.mallopt(M_MMAP_MAX, 0) and library.mallopt(M_TRIM_THRESHOLD, KEPT_BYTES))
