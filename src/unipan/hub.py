"""The Hugging Face Hub: whether it answers is found out in seconds, for its own client tries for a minute."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Thread
from urllib.parse import urlsplit
from urllib.request import getproxies

PATIENCE_S = 4.0


@contextmanager
def hub() -> Iterator[bool]:
    """Within, the Hub is asked only if it answers, which the result says; otherwise what is not in its cache fails at once."""
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    reached = not before and (bool(getproxies()) or _answers(constants.ENDPOINT))  # a proxy has its own ways
    constants.HF_HUB_OFFLINE = not reached
    try:
        yield reached
    finally:
        constants.HF_HUB_OFFLINE = before


def _answers(address: str) -> bool:
    url, found = urlsplit(address), list[bool]()

    def ask() -> None:
        with suppress(OSError), socket.create_connection((url.hostname or "", url.port or 443), timeout=PATIENCE_S):
            found.append(True)

    asking = Thread(target=ask, daemon=True)  # to look up a name has no time limit of its own
    asking.start()
    asking.join(PATIENCE_S)
    return bool(found)
