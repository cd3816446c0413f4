"""From the words of a command line to a command that is ready to run, and what is said of words that make none."""

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr
from difflib import get_close_matches
from functools import partial, wraps
from io import StringIO
from typing import Any

from tyro.extras import SubcommandApp

from unipan.errors import InputError

Words = Mapping[str, Sequence[tuple[str, list[str]]]]
"""For each verb the words that follow it, in their order: the kind and the names of each."""


def check_names(arguments: list[str], words: Words) -> None:
    """Name the nearest word for one that is unknown, in a sentence."""
    known = [("verb", [*words]), *words.get(arguments[0] if arguments else "", [])]
    for word, (kind, names) in zip(arguments, known, strict=False):
        if not word.startswith("-") and word.replace("-", "_") not in names:
            near = get_close_matches(word, names, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]}? " if near else ""
            raise InputError(f"there is no {kind} {word!r}: {hint}There are {', '.join(names)}.")


def parse(app: SubcommandApp, arguments: list[str], words: Words) -> Callable[[], None]:
    """The command asked for, ready to run. A setting's own complaint is raised as it is, not in the parser's words."""
    printed = StringIO()
    try:
        with redirect_stderr(printed):
            return app.cli(prog="unipan", description="Panoptic segmentation through a learnt instance affinity.", args=arguments)
    except SystemExit as stop:
        cause: BaseException | None = stop
        while cause and not isinstance(cause, InputError):
            cause = cause.__context__
        if cause:
            raise cause from None
        _refuse_unknown_option(arguments, printed.getvalue(), words)
        print(printed.getvalue(), end="", file=sys.stderr)
        raise


def _refuse_unknown_option(arguments: list[str], printed: str, words: Words) -> None:
    """Say in a sentence what the parser says in a box, where an option is unknown; it knows the options, and so the nearest."""
    refused = re.search(r"Unrecognized[^:]*:[^─]*", printed)
    unknown = next((word for word in arguments if refused and word.startswith("--") and word in refused[0]), "")
    near = re.search(r"Perhaps you meant:.*?(--[\w.-]+)", printed, re.DOTALL)
    if unknown:
        hint = f"did you mean {near[1]} ? " if near else ""
        verb = " ".join(arguments[: 1 + len(words[arguments[0]])])
        raise InputError(f"there is no option {unknown}: {hint}All are listed by unipan {verb} --help.") from None


def deferred(command: Callable[..., None]) -> Callable[..., Callable[[], None]]:
    """The parser calls a command as soon as it has its arguments; this lets `main` run it."""

    @wraps(command)
    def ready(*args: Any, **options: Any) -> Callable[[], None]:
        return partial(command, *args, **options)

    return ready
