"""What the parser refuses, which it draws as a box, as one sentence of ours."""

import re

from unipan.errors import InputError

HELP_BEGINS = 9
"""Spaces and border of a box before an argument's help; before its name there are fewer."""


def uncolored(printed: str) -> str:
    """The text alone: on a terminal the parser colors it."""
    return re.sub(r"\x1b\[[\d;]*m", "", printed)


def reworded(printed: str, words: str) -> InputError | None:
    """The box as an error; None for another text. words: the command's."""
    lines = [line.strip("│╭╮╰╯ ─-") for line in printed.splitlines()]
    ended = next((position for position, line in enumerate(lines) if line.startswith("For full help")), len(lines))
    if "Missing from " in printed:
        return InputError(f"{_missing(printed)} {words} --help tells all that it takes.")
    text = " ".join(" ".join(lines[:ended]).split())
    if found := re.search(r"invalid choice '(.*)' for argument '(.*)'\. Expected one of \((.*)\)", text):
        came, option, choices = found.groups()
        name = option if option.startswith("-") else option.upper()
        return InputError(f"{name} takes one of {choices.strip(',').replace(chr(39), '')}, but {came} came.")
    if found := re.search(r"Missing value for argument '(.*)'\. Expected (\d+) values", text):
        option, count = found.groups()
        fewer = "a value, but none came" if count == "1" else f"{count} values, but fewer came"
        return InputError(f"{option} takes {fewer}; {words} --help tells which.")
    return None


def _choices(name: str) -> str:
    """A word of the command line as it is, and one of several, in braces to the parser, in words."""
    return f"one of {name[1:-1].replace(',', ', ')}" if name.startswith("{") else name


def _missing(printed: str) -> str:
    """What is missing, each with its help."""
    found: list[list[str]] = []
    for line in printed.partition("Missing from ")[2].splitlines()[1:]:
        inner = line.strip("│ ")
        if not inner.strip("─-"):
            break  # the rule before what the parser says of its help
        indent = len(line) - len(line.lstrip("│ "))
        if indent < HELP_BEGINS:
            found.append([inner])
        else:
            found[-1].append(inner)
    names = [name.partition(" ")[0] if name.startswith("-") else _choices(name) for name, *_ in found]
    helps = [" ".join(" ".join(rest).replace("(required)", "").split()).rstrip(".") for _, *rest in found]
    return " ".join(f"{name} is missing: {text}." for name, text in zip(names, helps, strict=True))
