"""What the command line offers: menus of words, and the commands at their ends."""

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from shutil import get_terminal_size
from textwrap import fill

from unipan.errors import InputError


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
        width, indent = _width(), 4 + max(map(len, self.entries))
        lines = [f"usage: {words} {self.kind.upper()} ... (--help after it tells more)", "", fill(self.help, width), ""]
        for name, entry in self.entries.items():
            first = " ".join(entry.text().partition("\n\n")[0].split())
            lines.append(fill(first, width, initial_indent=f"  {name}".ljust(indent), subsequent_indent=" " * indent))
        return "\n".join(lines)

    def choose(self, word: str, words: str) -> "Menu | Command":
        """The entry of this name, dashes for underscores allowed; another word is an InputError that names the nearest."""
        entries = ", ".join(self.entries)
        if not word:
            raise InputError(f"the {self.kind} is missing: there are {entries}; {words} --help says what each is.")
        if word.startswith("-"):
            raise InputError(f"{word} stands before the {self.kind}; options follow it: {words} {self.kind.upper()} {word} ...")
        if word.replace("-", "_") in self.entries:
            return self.entries[word.replace("-", "_")]
        near = get_close_matches(word, self.entries, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]}? There" if near else "there"
        raise InputError(f"there is no {self.kind} {word!r}: {hint} are {entries}.")


def filled(text: str) -> str:
    """Paragraphs as wide as the terminal; a line that begins with a mark such as [paper] begins a new one."""
    paragraphs = [re.split(r"\n(?=\[)", lines) for lines in text.split("\n\n")]
    return "\n\n".join("\n".join(fill(" ".join(part.split()), _width()) for part in parts) for parts in paragraphs)


def _width() -> int:
    return min(get_terminal_size().columns, 120)
