"""Predicting many large images takes no more memory than predicting a few."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

PEAK = """
import resource, sys
from pathlib import Path
from unipan.recipes.predict import predict
predict(sys.argv[1], [Path(sys.argv[2])], Path(sys.argv[3]))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
SIDE_PX = 1000
MOST_MIB = 50


def peak_mib(run: Path, folder: Path, images: int) -> float:
    """Of a process of its own that predicts so many images of a megapixel."""
    pixels = folder / "pixels"
    below = folder / str(images)
    below.mkdir(parents=True)
    if not pixels.exists():
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (SIDE_PX, SIDE_PX, 3), np.uint8)).save(pixels, "JPEG")
    for number in range(images):
        (below / f"{number:03}.jpg").symlink_to(pixels)
    arguments = [sys.executable, "-c", PEAK, str(run), str(below), str(folder / f"out-{images}")]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    return int(done.stdout.split()[-1]) / 1024


@pytest.mark.slow
def test_two_hundred_megapixels_take_the_memory_of_twenty(learnt_run: Path, tmp_path: Path) -> None:
    few, many = (peak_mib(learnt_run, tmp_path, images) for images in (20, 200))
    assert many - few < MOST_MIB, f"{few:.0f} MiB for 20 images, {many:.0f} MiB for 200"
