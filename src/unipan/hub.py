"""The Hugging Face Hub: whether it answers is found out in seconds, for its own client tries for a minute."""

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit
from urllib.request import getproxies

from unipan.errors import InputError

PATIENCE_S = 4.0
PREFIX = "hf:"
NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
"""OWNER/NAME."""


def is_hubs(name: str | Path) -> bool:
    """Whether hf:OWNER/NAME is meant, or OWNER/NAME where no folder OWNER is."""
    return str(name).startswith(PREFIX) or (
        isinstance(name, str) and bool(NAME.fullmatch(name)) and not Path(name).parent.exists()
    )


def fetched(name: str, wanted: list[str]) -> Path:
    """The folder with those of the wanted files that OWNER/NAME has, fetched unless they are in the cache.

    Raises: InputError where they can't be had.
    """
    from huggingface_hub import snapshot_download

    with hub() as reached:
        try:
            return Path(snapshot_download(name.removeprefix(PREFIX), allow_patterns=wanted))
        except (OSError, ValueError) as error:
            reason = error if reached else "it cannot be reached, and the run is not in its cache on this machine."
            here = "" if name.startswith(PREFIX) else f"there is no folder {name} here, and "
            raise InputError(f"{here}cannot fetch {name} from the Hugging Face Hub: {reason}") from error


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
