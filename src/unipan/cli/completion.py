"""What a shell offers to complete a line with: verbs, presets, and the options of the command that stands there."""

from unipan.cli.menu import Command, Menu
from unipan.cli.parse import options_of


def complete(menu: Menu, line: str, point: str) -> None:
    """Print what may come at that byte of a shell's line, as bash's `complete -C` asks for it; its end, if there is no number."""
    before = line.encode()[: int(point) if point.isdecimal() else None].decode(errors="ignore")
    *words, begun = before.split(" ")
    for word in completions(menu, [word for word in words[1:] if word], begun):
        print(word)


def completions(menu: Menu, words: list[str], begun: str) -> list[str]:
    """What may stand where `begun` does, behind the words after `unipan`; nothing where a value or a file is to come."""
    entry: Menu | Command = menu
    for word in words:
        if isinstance(entry, Menu):
            found = entry.entries.get(word.replace("-", "_")) or (entry.unnamed if word.startswith("-") else None)
            if found is None:
                return []
            entry = found
    if isinstance(entry, Menu):
        offered = [*entry.entries, *(["--config"] if entry.unnamed else []), "--help"]
    else:
        offered = options_of(entry) if begun.startswith("-") else []
    return [word for word in offered if word.startswith(begun)]
