"""What the pages show runs: every Python block and the notebook, on a tiny run in a folder with all that they name."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from unipan.cli import main
from unipan.config import Config
from unipan.data.build import step_batches, training_dataset
from unipan.data.loader import collate
from unipan.engine.saved_batch import SavedBatch, save_batch
from unipan.presets import PRESETS
from unipan.recipes.demo import SHOWN_SCENES

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
PAGES = [page for page in sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]) if BLOCK.search(page.read_text())]
ELSEWHERE = {"export.md": "tests/recipes/test_export.py runs it, where there is an exported file"}
"""Pages whose blocks are not run here -> why."""
SHORTENED = {"paper.md": ("200", "2")}
"""What takes long in a page's blocks, and what stands for it here."""
NEEDS = {"index.md": "supervision", "interchange.md": "supervision"}
"""The package of an extra that a page's blocks import."""


@pytest.fixture
def folder(tiny_run: Path, tiny_config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the pages take for granted; their presets are made tiny, but for the schedule, by which some goings-on are refused."""
    monkeypatch.chdir(tmp_path)
    for name in ("demo", "finetune_small"):
        schedule = PRESETS[name]().train.schedule
        tiny = replace(tiny_config, train=replace(tiny_config.train, schedule=schedule))
        monkeypatch.setitem(PRESETS, name, lambda tiny=tiny: tiny)
    monkeypatch.setattr("unipan.recipes.demo.MEASURED_SCENES", SHOWN_SCENES)
    main(["demo", "--show", "--out", "scenes"])
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs/demo").symlink_to(tiny_run)
    shutil.copytree(tiny_run, tmp_path / "runs/mine")
    save_batch(tmp_path / "runs/mine/faulty-batch-1234.safetensors", faulty_batch(tiny_config))
    (tmp_path / "image.jpg").symlink_to(next((tmp_path / "scenes/images").iterdir()))
    (tmp_path / "images").symlink_to("scenes/images")
    for split in ("train", "val"):
        (tmp_path / f"{split}.json").symlink_to("scenes/truth.json")
        (tmp_path / split).symlink_to("scenes/truth")
    return tmp_path


def faulty_batch(config: Config) -> SavedBatch:
    """What a training leaves behind where a loss breaks."""
    batches = step_batches(config, training_dataset(config.data, config.train.seed))
    return SavedBatch(1234, collate([batches.item(0), batches.item(1)]), ("panoptic",))


def executed(page: Path) -> dict[str, object]:
    """The names of a page after its blocks, one after the other."""
    names: dict[str, object] = {}
    for block in BLOCK.findall(page.read_text()):
        long, short = SHORTENED.get(page.name, ("", ""))
        exec(compile(block.replace(long, short) if long else block, page.name, "exec"), names)
    return names


@pytest.mark.parametrize("page", [page for page in PAGES if page.name not in ELSEWHERE], ids=lambda page: page.name)
def test_python_blocks_run(page: Path, folder: Path) -> None:
    if page.name in NEEDS:
        pytest.importorskip(NEEDS[page.name], reason=f"{page.name} needs {NEEDS[page.name]}: pip install 'unipan[dev]'")
    assert executed(page)


def test_the_exceptions_are_pages() -> None:
    assert {*ELSEWHERE, *SHORTENED, *NEEDS} <= {page.name for page in PAGES}
    for page in PAGES:
        long, _ = SHORTENED.get(page.name, ("", ""))
        assert long in "".join(BLOCK.findall(page.read_text())), "it has nothing left to shorten"


def test_the_notebook_runs(folder: Path) -> None:
    """Its cells, one after the other; the last expression of each is what a notebook would show."""
    cells = json.loads((ROOT / "docs/quickstart.ipynb").read_text())["cells"]
    sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    assert len(sources) > 5
    names: dict[str, object] = {}
    for source in sources:
        exec(compile(source, "quickstart.ipynb", "exec"), names)
    assert names["answer"].segments  # type: ignore[attr-defined]
