"""The pages tell the truth: every command line parses, every file and name is there, and nothing that is there is "not yet"."""

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from itertools import takewhile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import unipan
from unipan.cli.app import MENU
from unipan.cli.menu import Command, Menu
from unipan.cli.parse import options_of, parse
from unipan.cli.wording import FORMER_NAMES
from unipan.errors import InputError
from unipan.recipes.tables.paper_tables import LETTERS

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
REFERENCE = re.compile(r"`((?:src|tests|docs|benchmarks)/[^`\s:]+)(?:::([\w.]+))?`")
FENCED = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"(?:^|\s|/)unipan (?=[a-z])")
STAND_INS = {"PRESET": "demo", "$table": "a", "$seed": "0", "$change": "--train.ema 0.9"}
"""What a reader puts in for the words of a page."""


FOREIGN_OPTIONS = {"--version", "--complete", "--index-url", "--minutes", "--nproc-per-node", "--standalone"}
"""Of `unipan` itself, pip, our benchmarks and torchrun."""


@cache
def names_in(path: Path) -> frozenset[str]:
    """Functions, classes and values of a Python file; those of a class as CLASS.NAME."""

    def collect(body: list[ast.stmt], prefix: str) -> set[str]:
        found: set[str] = set()
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                found.add(prefix + node.name)
            if isinstance(node, ast.ClassDef):
                found |= collect(node.body, f"{prefix}{node.name}.")
            targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
            found |= {prefix + target.id for target in targets if isinstance(target, ast.Name)}
        return found

    return frozenset(collect(ast.parse(path.read_text()).body, ""))


def missing(text: str) -> list[str]:
    """What a page names and the repository does not have; NEW.py is the reader's own."""
    return [
        f"{file}::{name}" if name else file
        for file, name in REFERENCE.findall(text)
        if (not file.endswith("/NEW.py") and not (ROOT / file).exists()) or (name and name not in names_in(ROOT / file))
    ]


def anchors(page: Path) -> set[str]:
    """What a link can name behind #: the headings, in small letters, spaces as dashes, without marks."""
    headings = re.findall(r"^#+ (.*)$", FENCED.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(page: Path) -> list[str]:
    """Links of a page to files, or headings, that are not there."""
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        if "://" not in link and not (target.exists() and (not anchor or anchor in anchors(target))):
            broken.append(link)
    return broken


def words_of(line: str) -> list[str]:
    """The words after `unipan` on a line, up to a comment, a pipe or the next command."""
    words = [STAND_INS.get(word, word) for word in re.sub(r"\[[^]]* [^]]*\]", "", line).split()]
    words = list(takewhile(lambda word: word not in ("#", "|", ">", "&&", ";", "..."), words))
    return [part.strip("'\"").partition("|")[0] for word in words for part in word.split()]


def commands(text: str) -> Iterator[tuple[list[str], bool]]:
    """The words of each command line on a page, and whether it stands in a block, where it is whole."""
    for block in FENCED.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            if found := COMMAND.search(line.partition(" # ")[0]):
                yield words_of(line[found.end() :]), "..." not in line
    for span in re.findall(r"`((?:torchrun [^`]*-m )?unipan [a-z][^`]*)`", FENCED.sub("", text)):
        yield words_of(span.partition("unipan ")[2]), False


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_name_exists(page: Path) -> None:
    assert missing(page.read_text()) == []


def test_the_check_sees_what_is_missing() -> None:
    there = "`tests/test_docs.py::missing` `src/unipan/types.py::Detections.take` `docs/paper.md` `src/unipan/tools/doctor`"
    gone = "`src/unipan/gone.py` `src/unipan/types.py::Gone` `src/unipan/types.py::Detections.gone` `src/unipan/gone.py::gone`"
    assert missing(there) == []
    assert [f"`{name}`" for name in missing(f"{there} {gone}")] == gone.split()


def unknown_programs(text: str) -> list[str]:
    """Scripts and targets of make that a page runs and the repository does not have."""
    code = "\n".join([*FENCED.findall(text), *re.findall(r"`([^`\n]+)`", FENCED.sub("", text))])
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    scripts = re.findall(r"(?:^|\s|/)python ([\w/]+\.py)", code, re.MULTILINE)
    made = re.findall(r"(?:^|\n)make (\w+)", code)
    return [name for name in scripts if not (ROOT / name).exists()] + [name for name in made if name not in targets]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_scripts_and_targets_exist(page: Path) -> None:
    assert unknown_programs(page.read_text()) == []


def test_the_check_sees_programs_that_are_not_there() -> None:
    page = "```sh\nOMP_NUM_THREADS=1 python tests/gone.py\nmake demo\n```\n`make gone` `python tests/compat.py --only x`"
    assert unknown_programs(page) == ["tests/gone.py", "gone"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    assert broken_links(page) == []


def test_the_check_sees_links_that_lead_nowhere(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A page: of links\n[a](#a-page-of-links) [b](page.md) [c](https://a.b/c) [d](#d) [e](e.md) [f](page.md#f)")
    assert broken_links(page) == ["#d", "e.md", "page.md#f"]


def complaint(words: list[str], whole: bool) -> str:
    """What the parser says of a command, which is not run. One that is not whole may lack words, but must have none unknown."""
    try:
        parse(MENU, words)
    except SystemExit as stop:
        return f"{words} is not whole" if whole and stop.code else ""
    except InputError as error:
        of_the_reader = "cannot read the settings in" in str(error) or (not whole and " is missing: " in str(error))
        return "" if of_the_reader else f"{words}: {error}"
    return ""


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "field-cases.md"], ids=lambda page: page.name)
def test_every_command_parses(page: Path) -> None:
    complaints = [complaint(words, whole) for words, whole in commands(page.read_text())]
    assert [complaint for complaint in complaints if complaint] == []


def commands_of(menu: Menu) -> Iterator[Command]:
    """Each command once; of presets, which have the same options, the first."""
    for entry in menu.entries.values():
        match entry:
            case Command():
                yield entry
            case Menu(kind="preset"):
                yield next(commands_of(entry))
            case Menu():
                yield from commands_of(entry)


@cache
def all_options() -> frozenset[str]:
    return frozenset(option for command in commands_of(MENU) for option in options_of(command))


def unknown_options(text: str) -> list[str]:
    """Options that a page names by themselves and that no command has."""
    spans = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))
    named = [option for span in spans for option in re.findall(r"(?<![\w-])--[a-z][\w.-]*", span)]
    return [option for option in named if option not in all_options() | FOREIGN_OPTIONS | FORMER_NAMES.keys()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_option_exists(page: Path) -> None:
    assert unknown_options(page.read_text()) == []


def test_the_check_sees_options_that_are_not_there() -> None:
    assert unknown_options("`--train.stepps 3` `--train.steps` `--no-trim` `x --form y`\n```sh\nls --all\n```\n") == [
        "--train.stepps",
        "--form",
    ]


def test_commands_are_found_and_what_is_wrong_with_them() -> None:
    assert {words[0] for page in PAGES for words, whole in commands(page.read_text()) if whole} >= {*MENU.entries} - {"demo"}
    page = "```sh\ntorchrun -m unipan train demo \\\n  --out x  # all\nunipan runs | head\n```\n`unipan score T ...`"
    assert [*commands(page)] == [(["train", "demo", "--out", "x"], True), (["runs"], True), (["score", "T"], False)]
    for words, whole in ((["score", "a"], True), (["score", "a", "--trim"], False), (["sore"], False), (["train", "dmo"], False)):
        assert complaint(words, whole)


def test_the_list_of_all_verbs_has_all() -> None:
    section = (ROOT / "docs/howto.md").read_text().partition("## All verbs, once")[2]
    assert {words[0] for words, _ in commands(section)} == {*MENU.entries}


def test_every_row_of_the_paper_without_a_test_says_why() -> None:
    """Not yet, not measured, or not checkable by one."""
    rows = [line for line in (ROOT / "docs/paper.md").read_text().splitlines() if line.endswith("| - |")]
    excuses = ("**not yet**", "unmeasured", "no property of the code")
    assert [row for row in rows if not any(excuse in row for excuse in excuses)] == []


def test_licences_name_every_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    required = [entry for entries in (project["dependencies"], *project["optional-dependencies"].values()) for entry in entries]
    rows = [row.split(" | ")[0] for row in (ROOT / "docs/licences.md").read_text().splitlines() if row.startswith("| ")]
    named = {re.sub(r" \(.*\)", "", name) for row in rows for name in row.strip("| ").split(", ")}
    assert {Requirement(entry).name for entry in required} - {"unipan"} == named - {"package"}


def test_every_promise_of_reliability_names_its_test() -> None:
    table = (ROOT / "docs/reliability.md").read_text().split("| promise | test |\n|---|---|\n")[1].split("\n\n")[0]
    rows = [row for row in table.splitlines() if not row.startswith("| **")]
    assert [row for row in rows if not REFERENCE.search(row)] == []


def test_performance_is_made_from_its_records(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    from record import MARKED, filled

    page = (ROOT / "docs/performance.md").read_text()
    assert {name for _, name, _ in MARKED.findall(page)} == {path.stem for path in (ROOT / "benchmarks").glob("bench_*.py")}
    assert filled(page) == page, "python benchmarks/record.py fills it"


def test_contributing_shows_every_folder_and_module() -> None:
    tree = (ROOT / "CONTRIBUTING.md").read_text().partition("## The code")[2].partition("```\n")[2].partition("```")[0]
    shown = {word.rstrip("/") for line in tree.splitlines() for word in line.split() if word.endswith(("/", ".py"))}
    package = ROOT / "src" / "unipan"
    folders = {path.parent.name for path in package.rglob("__init__.py")} - {"unipan", "scenes"}
    modules = {path.name for path in package.glob("*.py")} - {"__init__.py", "__main__.py"}
    assert folders | modules <= shown


def there_already(text: str) -> list[str]:
    """Sentences that call "not yet" what is there: a name, a command, or a table of the paper that a command makes."""
    made = {letter for letter in LETTERS if letter in MENU.entries["tables"].entries}  # type: ignore[union-attr]
    wrong = []
    for line in text.splitlines():
        for clause in re.split(r"[;.] | \| ", line):
            if "not yet" not in clause.lower():
                continue
            tables = {letter.lower() for letter in re.findall(r"Table ([A-E])", line)} if "as a command" in clause else set()
            names = [f"{file}::{name}" for file, name in REFERENCE.findall(clause) if not missing(f"`{file}::{name}`")]
            verbs = [verb for verb in re.findall(r"`unipan (\w+)", clause) if verb in MENU.entries]
            if names or verbs or tables & made:
                wrong.append(clause)
    return wrong


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_nothing_that_is_there_is_called_not_yet(page: Path) -> None:
    assert there_already(page.read_text()) == []


def test_what_readme_says_is_missing_is_missing() -> None:
    section = (ROOT / "README.md").read_text().partition("## What is not there yet")[2]
    assert section
    there = {*MENU.entries, *unipan.__all__}
    assert there.isdisjoint(re.findall(r"[\w]+", section.lower()))


def test_the_check_of_not_yet_sees_what_is_there() -> None:
    assert there_already("| Table A: PQ | both train; the table as a command: **not yet** | - |")
    assert there_already("not yet: `unipan score`")
    assert there_already("**not yet**: `src/unipan/types.py::Detections`")
    assert not there_already("its own trained network: **not yet**, for its licence; `unipan score` is there")


@pytest.mark.parametrize("name", re.findall(r"^::: ([\w.]+)$", (ROOT / "docs" / "api.md").read_text(), re.MULTILINE))
def test_the_api_page_names_what_is_there(name: str) -> None:
    """The site collects it where it is defined: a name that a module only imports is not collected."""
    module, _, inside = name.rpartition(".")
    assert inside in names_in(ROOT / "src" / f"{module.replace('.', '/')}.py")


def test_the_api_page_has_every_public_name() -> None:
    names = re.findall(r"^::: [\w.]+\.(\w+)$", (ROOT / "docs" / "api.md").read_text(), re.MULTILINE)
    assert sorted(names) == sorted(set(unipan.__all__) - {"__version__"})
