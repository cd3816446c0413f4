"""What the pages show runs: Python blocks and the notebook are executed on a tiny run, and what takes long is at least parsed."""

import ast
import json
import re
from pathlib import Path

import pytest

import unipan
from unipan.cli import main
from unipan.config import Config
from unipan.recipes.demo import SHOWN_SCENES

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *ROOT.glob("docs/*.md")])
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
EXECUTED = ("README.md", "index.md")
"""Pages whose blocks run one after the other, in a folder with all that they name; python.md has its own test."""


@pytest.fixture
def folder(tiny_run: Path, tiny_config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the pages take for granted; their presets are the demo made tiny."""
    monkeypatch.chdir(tmp_path)
    for name in ("demo", "finetune_small"):
        monkeypatch.setitem(unipan.presets.PRESETS, name, lambda: tiny_config)
    monkeypatch.setattr("unipan.recipes.demo.MEASURED_SCENES", SHOWN_SCENES)
    main(["demo", "--show", "--out", "scenes"])
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs/demo").symlink_to(tiny_run)
    (tmp_path / "image.jpg").symlink_to(next((tmp_path / "scenes/images").iterdir()))
    (tmp_path / "images").symlink_to("scenes/images")
    for split in ("train", "val"):
        (tmp_path / f"{split}.json").symlink_to("scenes/truth.json")
        (tmp_path / split).symlink_to("scenes/truth")
    return tmp_path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_blocks_parse(page: Path) -> None:
    for block in BLOCK.findall(page.read_text()):
        ast.parse(block)


@pytest.mark.parametrize("name", EXECUTED)
def test_python_blocks_run(name: str, folder: Path) -> None:
    (page,) = (page for page in PAGES if page.name == name)
    blocks = BLOCK.findall(page.read_text())
    assert blocks
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, name, "exec"), names)


def test_the_notebook_runs(folder: Path) -> None:
    """Its cells, one after the other; the last expression of each is what a notebook would show."""
    cells = json.loads((ROOT / "docs/quickstart.ipynb").read_text())["cells"]
    sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    assert len(sources) > 5
    names: dict[str, object] = {}
    for source in sources:
        exec(compile(source, "quickstart.ipynb", "exec"), names)
    assert names["answer"].segments  # type: ignore[attr-defined]
