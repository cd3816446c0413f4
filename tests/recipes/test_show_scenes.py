"""The contact sheet of the scenes, and the small data set that comes with it."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from unipan.config import Config
from unipan.data.scenes.dataset import SceneDataset
from unipan.errors import InputError
from unipan.ops.images import read_image
from unipan.presets import PRESETS
from unipan.recipes.demo import SHOWN_SCENES, show_scenes, statistics_table
from unipan.recipes.score import score


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Config:
    """Settings of the demo with small scenes, and few of them to measure."""
    monkeypatch.setattr("unipan.recipes.demo.MEASURED_SCENES", SHOWN_SCENES)
    demo = PRESETS["demo"]()
    return replace(demo, data=replace(demo.data, scene_size=(64, 80)))


def test_scenes_are_drawn_measured_and_written_with_their_truth(small: Config, tmp_path: Path) -> None:
    path, statistics = show_scenes(small, tmp_path)
    assert Image.open(path).width > 6 * 2 * 80
    table = statistics_table(statistics, "standard")
    assert table.heading.startswith(f"standard scenes, measured on {SHOWN_SCENES}: ")
    assert all(str(cell).endswith("%") for cell in table.columns[1].cells), "the head says shares"
    assert "overlapping" in "".join(map(str, table.columns[0].cells))
    held_out = SceneDataset(difficulty="standard", size=(64, 80), seed=0, length=SHOWN_SCENES)
    for index in (0, SHOWN_SCENES - 1):
        sample = held_out[index]
        assert torch.equal(read_image(tmp_path / "images" / sample.file_name), sample.image)
    report = score(tmp_path / "truth.json", tmp_path / "truth.json")
    assert (report.num_images, report.quality.all.pq) == (SHOWN_SCENES, 1.0)


def test_only_scenes_can_be_shown(small: Config, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="procedural scenes"):
        show_scenes(replace(small, data=replace(small.data, source="coco")), tmp_path)
