"""SIGTERM and Ctrl-C while a network learns: they ask for an end, and the loop ends where nothing is lost."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

Asked = Callable[[], signal.Signals | None]


class Stopped(Exception):
    """A training ended before its last step because a signal asked for it; everything is saved. The message says how to go on."""

    def __init__(self, message: str, number: signal.Signals) -> None:
        super().__init__(message)
        self.number = number

    @property
    def exit_status(self) -> int:
        """What a shell gives a command that the signal ended: 143 for SIGTERM, 130 for Ctrl-C."""
        return 128 + self.number


@contextmanager
def requests_to_stop(understood: Callable[[signal.Signals], None]) -> Iterator[Asked]:
    """Within, SIGTERM and Ctrl-C only leave word, which the result gives; a Ctrl-C after the first of them stops at once.

    understood: called when the first one comes, in the midst of whatever is done then.
    Signals reach a program's main thread alone: in another this changes nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    came: list[signal.Signals] = []

    def note(number: int, frame: FrameType | None) -> None:
        if came and number == signal.SIGINT:
            signal.default_int_handler(number, frame)
        came.append(signal.Signals(number))
        if len(came) == 1:
            understood(came[0])

    former = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield lambda: came[0] if came else None
    finally:
        for number, handler in former.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)  # None: one that is not Python's own
