"""The road that confirms a GPU, taken on the CPU: it must lead to its end, and there nothing can differ."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "gpu.py"


def call(*words: str) -> str:
    hidden = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.run([sys.executable, str(SCRIPT), *words], capture_output=True, text=True, check=True, env=hidden).stdout


@pytest.mark.slow
def test_on_the_cpu_nothing_differs_from_the_cpu(tmp_path):
    record = tmp_path / "gpu.json"
    printed = call("--device", "cpu", "--size", "128", "160", "--rounds", "1", "--record", str(record))
    confirmed = json.loads(record.read_text())["confirmed"]
    assert set(confirmed["losses and gradient norm, float32"].values()) == {0.0}
    assert set(confirmed["pixels that differ"].values()) == {0.0}
    assert max(confirmed["deformable forms"].values()) < 1e-5  # float32 against float64
    assert max(confirmed["learnt upsampling"].values()) < 1e-5  # likewise; of 38,400 pixels none may differ
    assert 0 < confirmed["losses and gradient norm, bf16"]["gradient_norm"] < 0.05  # bf16 has 8 bits: it is not float32
    assert "| pixels that differ | upsnet | 0 |" in printed


@pytest.mark.slow
def test_without_a_gpu_it_says_so_and_ends_well():
    assert "There is no GPU here" in call()
