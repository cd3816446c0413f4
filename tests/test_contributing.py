"""CONTRIBUTING.md is right: what it takes to add something lies in the files that it names, and in no more than we allow."""

import re
import tokenize
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest

from unipan.cli.menu import Command, Menu
from unipan.cli.parse import parse

ROOT = Path(__file__).parents[1]
MOST_FILES = {
    "propagation form": 2,
    "detector": 4,
    "reader": 6,  # two of them for the doctor
    "converter": 3,
    "metric": 3,
    "verb": 3,
    "loss term": 4,
    "hook": 2,
}
ROWS = {
    cells[0]: cells[1:]
    for line in (ROOT / "CONTRIBUTING.md").read_text().split("| to add |")[1].partition("\n\n")[0].splitlines()[2:]
    if (cells := [cell.strip() for cell in line.strip("|").split("|")])
}


@cache
def files_by_word() -> dict[str, set[str]]:
    """For each name, and each text that is one word, the source files in whose code it stands; comments do not count."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in (ROOT / "src").rglob("*.py"):
        with path.open("rb") as file:
            for token in tokenize.tokenize(file.readline):
                found[token.string.strip("\"'")].add(str(path.relative_to(ROOT)))
    return found


def test_every_limit_has_its_row() -> None:
    assert list(ROWS) == list(MOST_FILES)


@pytest.mark.parametrize("what", MOST_FILES)
def test_the_example_touches_what_the_row_names(what: str) -> None:
    named = re.findall(r"`(src/[\w/.]+)`", ROWS[what][0])
    interfaces = set(re.findall(r"`(src/[\w/.]+)::", ROWS[what][0]))
    touched = files_by_word()[ROWS[what][1].strip("`")]
    new = [path for path in named if path.endswith("NEW.py")]
    assert len(named) <= MOST_FILES[what]
    assert len(touched) >= 2
    assert len(touched - {*named} - interfaces) <= len(new), touched


def test_a_new_verb_is_a_function_and_an_entry(capsys: pytest.CaptureFixture[str]) -> None:
    def greet(name: str = "reader", *, times: int) -> None:
        """Greet someone.

        Args:
            times: How often.
        """
        print(f"hello {name} " * times)

    menu = Menu("verb", "A command line.", {"greet": Command(greet)})
    parse(menu, ["greet", "--times", "2"])()
    assert capsys.readouterr().out == "hello reader hello reader \n"
    with pytest.raises(SystemExit):
        parse(menu, ["--help"])
    assert "greet  Greet someone." in capsys.readouterr().out
