"""From the words of a command line to a command that is ready to run, and what is said of words that make none.

Only the command that is asked for is given to the parser: building the options of all of them takes seconds.
"""

import inspect
import re
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout, suppress
from difflib import get_close_matches
from functools import partial, wraps
from io import StringIO
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import tyro
from tyro.conf import arg

from unipan.cli.launch import ProcessCount, in_processes
from unipan.cli.menu import Command, Menu, filled
from unipan.cli.refusal import reworded, uncolored
from unipan.cli.wording import NoNumber, named, present_names, refuse_empty, rules
from unipan.config import Config
from unipan.console import warn
from unipan.errors import InputError
from unipan.files import check_here, check_lasting
from unipan.presets import settings_of
from unipan.settings_file import as_json, read_settings

ConfigFile = Annotated[
    Path | None,
    arg(
        name="config",
        metavar="FILE",
        help="Settings in JSON, YAML or TOML; options win over it.",
        help_behavior_hint="(default: none)",
    ),
]
LIKENESS = 0.7
"""Of an option to one that is suggested in its place; a letter left out of four is 0.86."""
DESCRIPTION = "(what the command does)"
"""Stands in the parser's help for the text, which it would not wrap."""
PrintConfig = Annotated[bool, arg(help="Only print every setting, as a file that --config takes.")]


def parse(menu: Menu, arguments: list[str]) -> Callable[[], None]:
    """The command asked for, ready to run. A setting's own complaint is raised as it is, not in the parser's words."""
    entry, words, rest = menu, "unipan", arguments
    while isinstance(entry, Menu):
        word = rest[0] if rest else ""
        if word in ("-h", "--help"):
            print(entry.listing(words))
            sys.exit(0)
        if entry.unnamed and word.startswith("-") and _value_of("--config", rest):
            entry = entry.unnamed
        else:
            entry, words, rest = entry.choose(word, words), f"{words} {word}", rest[1:]
    return _ready(entry, words, rest)


def _ready(command: Command, words: str, arguments: list[str]) -> Callable[[], None]:
    refuse_empty(inspect.signature(command.run).parameters, words, arguments)
    arguments = present_names(arguments, takes_head="head" in inspect.signature(command.run).parameters)
    printed, shown, read = StringIO(), AsStdout(), _reader(command, words, arguments)
    try:
        with redirect_stderr(printed), redirect_stdout(shown):
            ready, unknown = read(args=arguments, return_unknown_args=True)
    except SystemExit as stop:
        cause: BaseException | None = stop
        while cause and not isinstance(cause, InputError):
            cause = cause.__context__
        if cause:
            raise (cause.named(uncolored(printed.getvalue())) if isinstance(cause, NoNumber) else cause) from None
        if stop.code:
            _refuse_unknown(arguments, read, words)
            if refusal := reworded(uncolored(printed.getvalue()), words):
                raise refusal from None
        print(shown.getvalue().replace(DESCRIPTION, filled(command.text())), end="")
        print(printed.getvalue(), end="", file=sys.stderr)
        raise
    if unknown:
        _refuse_unknown(unknown, read, words)
        raise InputError(f"{words} does not know what to do with {' '.join(unknown)}; --help after it tells what it takes.")
    return ready


class AsStdout(StringIO):
    """Where help is written first, with the colors and the boxes that stdout can show."""

    encoding = ""

    def __init__(self) -> None:
        super().__init__()
        self.isatty, self.encoding = sys.stdout.isatty, sys.stdout.encoding


def options_of(command: Command) -> list[str]:
    """The names of all options of a command, in order."""
    return sorted(_listed(_reader(command, "unipan", [])))


def _reader(command: Command, words: str, arguments: list[str]) -> Callable[..., Any]:
    """The parser for a command, in our words."""
    registry = rules(of_settings=command.preset is not None, of_run="run" in inspect.signature(command.run).parameters)
    deferred = _deferred(command, words, arguments)

    def read(**options: Any) -> Any:
        with registry:
            return tyro.cli(deferred, prog=words, description=DESCRIPTION, **options)

    return read


def _listed(read: Callable[..., Any]) -> set[str]:
    """All options of a command, as its help has them."""
    shown = StringIO()
    with redirect_stdout(shown), suppress(SystemExit):
        read(args=["--help"])
    return set(re.findall(r"--[a-z][\w.-]*", "\n".join(re.findall(r"^\W*\S.*?(?=  |$)", shown.getvalue(), re.MULTILINE))))


def _refuse_unknown(arguments: list[str], read: Callable[..., Any], words: str) -> None:
    """Name the first option that there is not, and the nearest that there is."""
    known = _listed(read)
    for word in arguments:
        option = word.partition("=")[0].replace("_", "-")
        if option.startswith("--") and option not in known:
            near = _nearest(option.removeprefix("--"), {name.removeprefix("--") for name in known - {"--help"}})
            hint = f"did you mean --{near}? All" if near else "all"
            raise InputError(f"there is no option {word}: {hint} are listed by {words} --help.") from None


def _nearest(option: str, known: set[str]) -> str:
    """The known option that one may stand for: the same in a group, one that begins so, one of nearly the same letters, or ""."""
    alike = [name for name in sorted(known) if name.endswith(f".{option}")]
    alike = alike or [name for name in sorted(known) if name.startswith(option)]
    return next(iter(alike or get_close_matches(option, known, n=1, cutoff=LIKENESS)), "")


def _deferred(command: Command, words: str, arguments: list[str]) -> Callable[..., Callable[[], None]]:
    """The parser calls a function as soon as it has its arguments; this lets `main` call it, with the preset's settings."""

    @wraps(command.run)
    def ready(*args: Any, **options: Any) -> Callable[[], None]:
        options.pop("config_file", None)
        count = options.pop("processes", 1)
        if options.pop("print_config", False):
            return partial(print, as_json(options["config"]))
        for result in (options.get("out"), options.get("onnx")):
            if isinstance(result, Path):
                check_here(result)
            elif result is not None:  # where an address is taken too, it is text still
                check_lasting(result)
        if command.shared:
            return partial(in_processes, [*words.split()[1:], *arguments], count, command.run, *args, **options)
        return partial(command.run, *args, **options)

    own = {name: named(one) for name, one in inspect.signature(command.run).parameters.items()}
    further: dict[str, tuple[Any, Any]] = {"processes": (ProcessCount, 1)} if command.shared else {}
    if command.preset is not None:
        further |= {"config_file": (ConfigFile, None), "print_config": (PrintConfig, False)}
        own["config"] = own["config"].replace(default=_default_settings(command.preset, arguments))
    own |= {
        name: inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=kind, default=default)
        for name, (kind, default) in further.items()
    }
    if "--print-config" in arguments:  # nothing is written, so no place for it is asked for
        own |= {n: p.replace(annotation=p.annotation | None, default=None) for n, p in own.items() if p.default is p.empty}
    ready.__signature__ = inspect.Signature([*own.values()])  # type: ignore[attr-defined]
    ready.__annotations__ = {name: parameter.annotation for name, parameter in own.items()}
    del ready.__wrapped__  # type: ignore[attr-defined] (the parser would look at that one's)
    return ready


def _default_settings(preset: str, arguments: list[str]) -> Config:
    """What settings are where the command line says nothing: the file's, before the preset's that it or the file names."""
    file = _value_of("--config", arguments)
    given = read_settings(Path(file)) if file else {}
    if preset:
        if given.get("preset", preset) != preset:
            warn("another preset:", f"{file} names {given['preset']}; the command line's, {preset}, is taken.")
        given["preset"] = preset
    own = any(word.partition("=")[0] == "--data.train" for word in arguments)
    try:
        return settings_of(given, {}, own_data=own)
    except InputError as error:
        raise InputError(f"{file}: {error}" if file else str(error)) from error


def _value_of(option: str, arguments: list[str]) -> str:
    """The last value that the words give the option; "" where they give none."""
    parted = [(*word.partition("="), after) for word, after in pairwise([*arguments, ""])]
    values = [joined if sign else after for name, sign, joined, after in parted if name == option]
    return (values or [""])[-1]
