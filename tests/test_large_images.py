"""What a large image takes of a machine's memory, through the command."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from unipan.classes import ClassInfo, ClassTable
from unipan.models.build import build_network
from unipan.predictor import Predictor
from unipan.presets import demo

PREDICT = """
import resource, sys
from unipan.cli.app import main
main(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The demo's network with masks, untrained, which finds things everywhere."""
    base = demo()
    model = replace(base.model, pretrained=False, masks=True, variant="B")
    model = replace(model, detector=replace(model.detector, score_threshold=0.0))
    settings = replace(base, model=model, inference=replace(base.inference, score_threshold=0.0))
    classes = ClassTable(
        tuple(
            ClassInfo(name=f"class {i}", is_thing=i % 2 == 0, dataset_id=i + 1, color=(i, 0, 0), supercategory="")
            for i in range(10)
        )
    )
    torch.manual_seed(0)
    Predictor(build_network(model, classes), classes, settings).save_pretrained(tmp_path / "run")
    return tmp_path / "run"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="its peak is counted in kilobytes there")
@pytest.mark.parametrize(("way", "gigabytes"), [((), 8), (("--tile", "1024"), 4)])
def test_sixteen_megapixels(way: tuple[str, ...], gigabytes: int, run: Path, tmp_path: Path) -> None:
    noise = torch.randint(0, 256, (500, 500, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    Image.fromarray(noise.numpy()).resize((4000, 4000)).save(tmp_path / "large.png")
    command = ["predict", str(run), str(tmp_path / "large.png"), "--out", str(tmp_path / "out"), *way]
    done = subprocess.run([sys.executable, "-c", PREDICT, *command], capture_output=True, text=True, check=True)
    peak = int(done.stdout.splitlines()[-1]) * 1024
    print(f"{peak / 1e9:.1f} GB")
    assert peak < gigabytes * 1e9
    assert (tmp_path / "out" / "large_overlay.jpg").is_file()
