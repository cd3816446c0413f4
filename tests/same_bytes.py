"""A safety net for rebuilding: what short runs write, recorded before a change and compared after it.

    python tests/same_bytes.py record FILE     # on the commit before
    python tests/same_bytes.py compare FILE    # after each step; exit 1 and the differing entries if anything differs

Recorded: the weights' sha256 and log.jsonl of four short trainings (boxes; masks; one-stage; two processes), metrics.json,
and what `predict`, `score` and `compare` say. Bytes are the same on one machine with one number of threads only, so the record
stays where it was made. About 3 minutes on two cores.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from unipan.recipes.training.log import VARYING

ROOT = Path(__file__).parents[1]
SMALL = {
    "model.no-pretrained": "",
    "model.fpn-channels": "16",
    "model.decoder-channels": "16 16",
    "model.affinity-dim": "8",
    "model.no-void-channel": "",
    "model.detector.proposals-before-nms": "50",
    "model.detector.proposals": "20",
    "model.detector.rpn-samples": "32",
    "model.detector.roi-samples": "16",
    "model.detector.box-channels": "16",
    "model.detector.mask-channels": "16",
    "model.detector.score-threshold": "0",
    "model.detector.max-detections": "8",
    "data.scene-size": "64 64",
    "data.val-scenes": "4",
    "train.steps": "6",
    "train.batch-size": "2",
    "train.learning-rate": "0.02",
    "train.warmup-steps": "1",
    "train.decay-steps": "5",
    "train.workers": "0",
    "train.save-every": "2",
    "inference.score-threshold": "0",
    "inference.max-admitted": "4",
    "inference.min-stuff-area-px": "100",
}
"""Options of all four trainings, each with its values."""
RUNS = {
    "boxes": (1, []),
    "masks": (1, ["--model.masks", "--model.variant", "B"]),
    "one_stage": (1, ["--model.masks", "--model.variant", "C", "--model.detector.kind", "one_stage"]),
    "two_processes": (2, []),
}


def main() -> int:
    """Record or compare; the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("action", choices=["record", "compare"])
    parser.add_argument("file", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = observed(Path(folder))
    if arguments.action == "record":
        arguments.file.write_text(json.dumps(found, indent=1))
        return 0
    before = json.loads(arguments.file.read_text())
    differing = [name for name in sorted({*before, *found}) if before.get(name) != found.get(name)]
    for name in differing:
        print(f"{name}\n  before: {shortened(before.get(name))}\n  now:    {shortened(found.get(name))}")
    print(f"{len(found) - len(differing)} of {len(found)} entries are the same")
    return 1 if differing else 0


def observed(folder: Path) -> dict[str, Any]:
    """Every entry by name, from runs in an empty folder."""
    found: dict[str, Any] = {}
    for name, (processes, settings) in RUNS.items():
        run = folder / name
        unipan(folder, "train", "scenes", *small_settings(), *settings, "--out", str(run), processes=processes)
        found[f"{name}: model"] = sha256(run / "model.safetensors")
        lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
        found[f"{name}: log"] = [{key: value for key, value in line.items() if key not in VARYING} for line in lines]
        unipan(folder, "evaluate", str(run), "--json")
        found[f"{name}: metrics"] = json.loads((run / "metrics.json").read_text())
    run = folder / "masks"
    unipan(folder, "demo", "--show", "--out", str(folder / "scenes"), *small_settings())
    scenes = folder / "scenes"
    unipan(folder, "predict", str(run), str(scenes / "images"), "--out", str(folder / "answers"))
    for path in sorted((folder / "answers").rglob("*.png")):
        found[f"predict: {path.relative_to(folder)}"] = sha256(path)
    found["predict: panoptic.json"] = json.loads((folder / "answers" / "panoptic.json").read_text())
    files = (str(scenes / "truth.json"), str(folder / "answers" / "panoptic.json"))
    found["score"] = json.loads(unipan(folder, "score", *files, "--json"))
    found["compare"] = json.loads(
        unipan(folder, "compare", str(run), "--samples", "4", "--out", str(folder / "compare"), "--json")
    )
    return found


def small_settings() -> list[str]:
    """`SMALL` as words of a command line."""
    return [word for option, values in SMALL.items() for word in (f"--{option}", *values.split())]


def unipan(folder: Path, *words: str, processes: int = 1) -> str:
    """What a command prints, the temporary folder's name left out; its failure is ours."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)] if processes > 1 else []
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, *launcher, "-m", "unipan", *words]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stderr}")
    return done.stdout.replace(str(folder), "FOLDER")


def sha256(path: Path) -> str:
    """Of a file's bytes."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def shortened(value: Any) -> str:
    """A line of it."""
    text = json.dumps(value)
    return text if len(text) < 400 else text[:400] + " ..."


if __name__ == "__main__":
    raise SystemExit(main())
