"""One word for each thing: names in the code use the field's, and not those that they replaced (CONTRIBUTING.md, Words)."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import unipan

PACKAGE = Path(unipan.__file__).parent
REPLACED = {
    "checkup": "validation",
    "colour": "color",
    "fellow": "other process",
    "handful": "judged batch",
    "journal": "log",
    "launched": "process",
    "mend": "repair",
    "mirror": "hflip",
    "observer": "hook",
    "photo": "image",
    "picture": "image",
    "place": "index",
    "relight": "color_jitter",
    "said": "report",
    "speak": "report",
    "tally": "count",
    "told": "report",
    "watch": "health",
}


def names_in(path: Path) -> Iterator[tuple[int, str]]:
    """Every name that a file gives or uses for its own things: files, functions, classes, parameters, values, attributes."""
    yield 0, path.stem
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.Name(id=name) | ast.Attribute(attr=name):
                yield node.lineno, name
            case ast.arg(arg=name):
                yield node.lineno, name


def words_of(name: str) -> set[str]:
    """propagationEffect_of_RunList: propagation, effect, of, run, list."""
    return {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)}


def test_replaced_words_are_gone() -> None:
    refused = {form: new for old, new in REPLACED.items() for form in (old, f"{old}s")}
    found = [
        f"{path.relative_to(PACKAGE)}:{line}: {name}: say {refused[word]}"
        for path in sorted(PACKAGE.rglob("*.py"))
        for line, name in names_in(path)
        for word in words_of(name) & refused.keys()
    ]
    assert found == []


def test_the_check_sees_names_of_all_kinds(tmp_path: Path) -> None:
    path = tmp_path / "the_journal.py"
    path.write_text("class RunTally:\n    def watch(self, observers):\n        self.checkup = handful\n")
    assert {word for _, name in names_in(path) for word in words_of(name)} >= {
        *("journal", "tally", "watch", "observers", "checkup", "handful")
    }
