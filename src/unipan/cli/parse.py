"""From the words of a command line to a command that is ready to run, and what is said of words that make none.

Only the command that is asked for is given to the parser: building the options of all of them takes seconds.
"""

import inspect
import re
import sys
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial, wraps
from io import StringIO
from itertools import pairwise
from pathlib import Path
from shutil import get_terminal_size
from textwrap import fill
from typing import Annotated, Any

import tyro
from tyro.conf import arg

from unipan.cli.launch import ProcessCount, in_processes
from unipan.config import Config
from unipan.errors import InputError
from unipan.presets import settings_of
from unipan.settings_file import as_json, read_settings

ConfigFile = Annotated[Path | None, arg(name="config", help="Settings in a file, JSON, YAML or TOML; options win over it.")]
PrintConfig = Annotated[bool, arg(help="Only print every setting, as a file that --config takes.")]


@dataclass(frozen=True)
class Command:
    """A function, whose parameters are the options. preset: whose settings its `config` has by default, "" for every default.

    With a preset it also takes --config FILE, whose settings come between the preset's and the command line's.
    """

    run: Callable[..., None]
    preset: str | None = None
    help: str = ""
    shared: bool = False
    """Whether processes can share its work; then it takes --processes N too."""

    def text(self) -> str:
        """What it does."""
        return inspect.cleandoc(self.help or self.run.__doc__ or "").partition("\n\nArgs:")[0]


@dataclass(frozen=True)
class Menu:
    """Words of one kind, of which one comes next. unnamed: the command where options with --config among them come instead."""

    kind: str
    help: str
    entries: Mapping[str, "Menu | Command"]
    unnamed: Command | None = None

    def text(self) -> str:
        """What it is for."""
        return self.help

    def listing(self, words: str) -> str:
        """Its help: a paragraph for each entry."""
        width, indent = min(get_terminal_size().columns, 120), 4 + max(map(len, self.entries))
        lines = [f"usage: {words} {self.kind.upper()} ... (--help after it tells more)", "", fill(self.help, width), ""]
        for name, entry in self.entries.items():
            first = " ".join(entry.text().partition("\n\n")[0].split())
            lines.append(fill(first, width, initial_indent=f"  {name}".ljust(indent), subsequent_indent=" " * indent))
        return "\n".join(lines)

    def choose(self, word: str, words: str) -> "Menu | Command":
        """The entry of this name, dashes for underscores allowed; another word is an InputError that names the nearest."""
        there_are = f"There are {', '.join(self.entries)}"
        if not word:
            raise InputError(f"the {self.kind} is missing: {there_are}; {words} --help says what each is.")
        if word.startswith("-"):
            raise InputError(f"{word} stands before the {self.kind}; options follow it: {words} {self.kind.upper()} {word} ...")
        if word.replace("-", "_") in self.entries:
            return self.entries[word.replace("-", "_")]
        near = get_close_matches(word, self.entries, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]}? " if near else ""
        raise InputError(f"there is no {self.kind} {word!r}: {hint}{there_are}.")


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
    printed = StringIO()
    read = partial(tyro.cli, _deferred(command, words, arguments), prog=words, description=command.text())
    try:
        with redirect_stderr(printed):
            ready, unknown = read(args=arguments, return_unknown_args=True)
    except SystemExit as stop:
        cause: BaseException | None = stop
        while cause and not isinstance(cause, InputError):
            cause = cause.__context__
        if cause:
            raise cause from None
        if stop.code:
            _refuse_unknown(arguments, read, words)
        print(printed.getvalue(), end="", file=sys.stderr)
        raise
    if unknown:
        _refuse_unknown(unknown, read, words)
        raise InputError(f"{words} does not know what to do with {' '.join(unknown)}; --help after it tells what it takes.")
    return ready


def options_of(command: Command) -> list[str]:
    """The names of all options of a command, in order."""
    return sorted(_listed(partial(tyro.cli, _deferred(command, "", []), prog="unipan")))


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
            near = [name for name in known if name.endswith(f".{option[2:]}")]
            near = near or get_close_matches(option, known - {"--help"}, n=1)
            hint = f"did you mean {near[0]} ? " if near else ""
            raise InputError(f"there is no option {word}: {hint}All are listed by {words} --help.") from None


def _deferred(command: Command, words: str, arguments: list[str]) -> Callable[..., Callable[[], None]]:
    """The parser calls a function as soon as it has its arguments; this lets `main` call it, with the preset's settings."""

    @wraps(command.run)
    def ready(*args: Any, **options: Any) -> Callable[[], None]:
        options.pop("config_file", None)
        count = options.pop("processes", 1)
        if options.pop("print_config", False):
            return partial(print, as_json(options["config"]))
        if command.shared:
            return partial(in_processes, [*words.split()[1:], *arguments], count, command.run, *args, **options)
        return partial(command.run, *args, **options)

    own = dict(inspect.signature(command.run).parameters)
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
    """What settings are where the command line says nothing: the file's, before those of the preset."""
    file = _value_of("--config", arguments)
    given = read_settings(Path(file)) if file else {}
    if preset:
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
