"""A process that fails while its loader runs must end."""

import subprocess
import sys

FAILS = """
from unipan.data.loader import StepBatches, training_batches
from unipan.data.scenes.dataset import SceneDataset
from unipan.data.transforms import Augmentation

def main():
    scenes = SceneDataset(difficulty="standard", size=(64, 64), seed=0, length=50)
    change = Augmentation(short_side=0, long_side=0, scale_range=(1.0, 1.0), crop=(0, 0), flip=False, jitter=0.0)
    batches = StepBatches(dataset=scenes, augmentation=change, seed=0, batch_size=1, min_thing_px=1)
    for batch in training_batches(batches, range(40), 1):
        raise ValueError("while the worker goes on")

main()
"""


def test_an_error_leaves_no_worker_to_wait_for() -> None:
    done = subprocess.run([sys.executable, "-c", FAILS], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert done.stderr.strip().endswith("ValueError: while the worker goes on")
