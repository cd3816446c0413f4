"""How a command ends: one sentence, and an exit status that a scheduler understands."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from unipan.cli import launched
from unipan.engine.interrupt import Stopped
from unipan.errors import InputError


@contextmanager
def ending() -> Iterator[None]:
    """0 for success, 2 for what the user can mend, 143 and 130 for SIGTERM and Ctrl-C; a fault of ours keeps its traceback."""
    try:
        yield
    except InputError as error:
        print(f"{launched.name()}: {error}", file=sys.stderr)
        sys.exit(2)
    except Stopped as stop:
        if launched.is_main():  # all have stopped, for one reason
            print(f"unipan: {stop}", file=sys.stderr)
        sys.exit(stop.exit_status)
    except KeyboardInterrupt:
        if launched.is_main():
            print("unipan: interrupted.", file=sys.stderr)
        sys.exit(130)
