"""What an image of 16 megapixels takes of a machine's memory."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from unipan.classes import ClassInfo, ClassTable
from unipan.config import Config
from unipan.models.build import build_network
from unipan.predictor import Predictor
from unipan.presets import cityscapes_r50, coco_r50, demo

PEAK = """
import resource, sys
{work}
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
COMMAND = PEAK.format(work="from unipan.cli.app import main; main(sys.argv[1:])")
CALL = PEAK.format(work="import unipan; unipan.load(sys.argv[1])(sys.argv[2])")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="a process's peak is counted in kilobytes there"),
]


def untrained(preset: Callable[[], Config], folder: Path) -> Path:
    """A run of the preset's network with masks, which finds a hundred things in anything."""
    base = preset()
    detector = replace(base.model.detector, score_threshold=0.0)
    model = replace(base.model, pretrained=False, masks=True, variant="B", detector=detector)
    limits = replace(base.inference, score_threshold=0.0)
    settings = replace(base, model=model, inference=limits, data=replace(base.data, short_side=0, long_side=0))
    infos = [
        ClassInfo(name=f"class {i}", is_thing=i % 2 == 0, dataset_id=i + 1, color=(i, 0, 0), supercategory="") for i in range(20)
    ]
    classes = ClassTable(tuple(infos))
    torch.manual_seed(0)
    Predictor(build_network(model, classes), classes, settings).save_pretrained(folder)
    return folder


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """Of 16 megapixels."""
    noise = torch.randint(0, 256, (500, 500, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    Image.fromarray(noise.numpy()).resize((4000, 4000)).save(tmp_path / "large.png")
    return tmp_path / "large.png"


def peak_gb(program: str, *words: object) -> float:
    """Of a process of its own."""
    done = subprocess.run([sys.executable, "-c", program, *map(str, words)], capture_output=True, text=True, check=True)
    peak = int(done.stdout.splitlines()[-1]) * 1024 / 1e9
    print(f"{peak:.1f} GB")
    return peak


@pytest.mark.parametrize(("way", "limit"), [((), 8), (("--tile", "1024"), 4)])
def test_the_command_with_the_demos_network(way: tuple[str, ...], limit: float, image: Path, tmp_path: Path) -> None:
    run = untrained(demo, tmp_path / "run")
    assert peak_gb(COMMAND, "predict", run, image, "--out", tmp_path / "out", *way) < limit
    assert (tmp_path / "out" / "large_overlay.jpg").is_file()


@pytest.mark.parametrize("preset", [demo, cityscapes_r50, coco_r50])
def test_the_predictor(preset: Callable[[], Config], image: Path, tmp_path: Path) -> None:
    assert peak_gb(CALL, untrained(preset, tmp_path / "run"), image) < 8
