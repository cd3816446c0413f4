"""Whole trainings on a GPU: a resumed one against an unbroken one, and what the demo and coco_small score there."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import torch
from safetensors.torch import load_file

SHORT = {"train.steps": 40, "train.save_every": 20, "train.decay_steps": [30], "train.warmup_steps": 5, "data.val_scenes": 4}


def resumed(device: torch.device, folder: Path) -> dict[str, float]:
    """Largest difference between the weights of a short training and of the same resumed half-way; and of the same done again."""
    whole, again, broken = (folder / name for name in ("whole", "again", "broken"))
    options = [word for name, value in SHORT.items() for word in _option(name, value)]
    call = ["train", "scenes", *options, "--train.device", device.type, "--out"]
    for out in (whole, again):
        _unipan(*call, str(out))
    shutil.copytree(whole, broken)
    for path in (broken / "model.safetensors", broken / "checkpoints" / "step-00000040.safetensors"):
        path.unlink()
    _unipan(*call, str(broken), "--resume")
    return {"resumed half-way": _difference(whole, broken), "done again": _difference(whole, again)}


def short(device: torch.device, folder: Path) -> dict[str, Any]:
    """Trainings of 60 steps: as they are, in half precision, and with CUDA graphs."""
    options = ["--train.steps", "60", "--train.warmup-steps", "5", "--data.val-scenes", "4", "--train.device", device.type]
    ways = {"fp32": [], "bf16": ["--train.precision", "bf16"]}
    if device.type == "cuda":
        ways |= {"fp16": ["--train.precision", "fp16"], "graphs": ["--train.cuda-graphs"]}
    found: dict[str, Any] = {}
    for name, own in ways.items():
        words = ["train", "scenes", *options, *own]
        _unipan(*words, "--out", str(folder / name))
        log = [json.loads(line) for line in (folder / name / "log.jsonl").read_text().splitlines()]
        seconds = median(step["step_seconds"] for step in log[20:])
        found[name] = {"command": f"unipan {' '.join(words)}", "step_seconds": seconds, "loss": log[-1]["loss"]}
    return found


def trained(device: torch.device, folder: Path, coco: Path | None) -> dict[str, Any]:
    """The demo, and coco_small where its images are; with several GPUs also a short training that they share."""
    found: dict[str, Any] = {}
    if coco is None:
        print("coco_small is not trained: its images are not named (--coco FOLDER, or make gpu COCO=FOLDER).")
    calls = {"demo": ["demo"], **({"coco_small": ["train", "coco_small", "--data.root", str(coco)]} if coco else {})}
    for name, words in calls.items():
        start = perf_counter()
        _unipan(*words, "--train.device", device.type, "--out", str(folder / name))
        found[name] = {"seconds": perf_counter() - start, "command": " ".join(words)}
        if name != "demo":  # which evaluates itself
            _unipan("evaluate", str(folder / name))
        found[name]["quality"] = json.loads((folder / name / "metrics.json").read_text())["answer"]["quality"]
    count = torch.cuda.device_count() if device.type == "cuda" else 0
    if count > 1:
        launch = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(count), "-m", "unipan", "train", "demo"]
        shared = ["--train.steps", "20", "--train.batch-size", str(4 * count), "--out", str(folder / "shared")]
        subprocess.run([*launch, *shared], check=True)
        found["nccl"] = (folder / "shared" / "log.jsonl").read_text().splitlines()[-1]
    return found


def _unipan(*words: str) -> None:
    subprocess.run([sys.executable, "-m", "unipan", *words], check=True)


def _option(name: str, value: object) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [f"--{name.replace('_', '-')}", *map(str, values)]


def _difference(one: Path, other: Path) -> float:
    """The largest difference of a weight, over the largest weight of its tensor."""
    first, second = load_file(one / "model.safetensors"), load_file(other / "model.safetensors")
    return max(float((first[name] - second[name]).abs().max() / first[name].abs().max().clamp(min=1e-12)) for name in first)
