"""Panoptic quality of files: `score` beside the decoding of its PNGs, the definition plainly written in numpy, and hotcoco.

On two cores, wherever there are more. `score` may use both by a second process; so do hotcoco's threads.

python benchmarks/bench_score.py $DATA/coco-mini/annotations/panoptic_val2017.json     (without a file: pairs it draws itself)
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from PIL import Image
from record import interleaved, record

from unipan.data.coco_writer import Entry, write_panoptic
from unipan.data.id_maps import read_colors
from unipan.data.scenes.dataset import SceneDataset
from unipan.recipes.score import score

THREADS = 2
ROUNDS = 7
DRAWN = 50
PREDICTIONS = "predictions.json"


def draw_truth(folder: Path) -> Path:
    """Scenes of 480 x 640 in the COCO panoptic format."""
    scenes = SceneDataset(difficulty="crowded", size=(480, 640), seed=0, length=DRAWN)
    entries = (Entry(index, f"{index}.png", scenes[index].truth) for index in range(DRAWN))
    write_panoptic(folder, entries, scenes.classes, json_name="truth.json", png_folder="truth", scores=False)
    return folder / "truth.json"


def damage(truth: Path, folder: Path) -> Path:
    """Predictions: the truth shifted by 5 pixels. What leaves an image is taken out of its JSON entry."""
    content = json.loads(truth.read_text())
    pngs = folder / Path(PREDICTIONS).stem
    pngs.mkdir()
    for annotation in content["annotations"]:
        shifted = np.roll(np.asarray(Image.open(truth.with_suffix("") / annotation["file_name"])), 5, axis=1)
        shifted[:, :5] = 0
        Image.fromarray(shifted).save(pngs / annotation["file_name"])
        left = set((shifted.astype(int) @ [1, 256, 65536]).ravel().tolist())
        annotation["segments_info"] = [entry for entry in annotation["segments_info"] if entry["id"] in left]
    (folder / PREDICTIONS).write_text(json.dumps(content))
    return folder / PREDICTIONS


def transcription(truth: Path, predictions: Path) -> float:
    """PQ of all classes from the definition, pair by pair with np.unique, as the reference goes about it; crowds and void too."""
    true_content, content = json.loads(truth.read_text()), json.loads(predictions.read_text())
    predicted = {annotation["image_id"]: annotation for annotation in content["annotations"]}
    sums: dict[int, list[float]] = {category["id"]: [0.0, 0, 0, 0] for category in true_content["categories"]}
    for annotation in true_content["annotations"]:
        other = predicted[annotation["image_id"]]
        true, found = (_ids(path.with_suffix("") / a["file_name"]) for path, a in ((truth, annotation), (predictions, other)))
        _count_pair(true, found, annotation["segments_info"], other["segments_info"], sums)
    every = [row for row in sums.values() if any(row[1:])]
    return sum(row[0] / (row[1] + row[2] / 2 + row[3] / 2) for row in every) / len(every)


def _ids(path: Path) -> np.ndarray:
    rgb = np.asarray(Image.open(path), dtype=np.uint32)
    return rgb[..., 0] + 256 * rgb[..., 1] + 256**2 * rgb[..., 2]


def _count_pair(true: np.ndarray, predicted: np.ndarray, true_info: list, info: list, sums: dict[int, list[float]]) -> None:
    areas = dict(zip(*(part.tolist() for part in np.unique(predicted, return_counts=True)), strict=True))
    true_areas = dict(zip(*(part.tolist() for part in np.unique(true, return_counts=True)), strict=True))
    joint, counts = np.unique(true.astype(np.uint64) * 2**24 + predicted.astype(np.uint64), return_counts=True)
    shared = {(int(pair) >> 24, int(pair) % 2**24): int(area) for pair, area in zip(joint, counts, strict=True)}
    truths, guesses = {entry["id"]: entry for entry in true_info}, {entry["id"]: entry for entry in info}
    matched_true, matched = set(), set()
    for (one, other), area in shared.items():
        if one not in truths or other not in guesses or truths[one].get("iscrowd"):
            continue
        if truths[one]["category_id"] != guesses[other]["category_id"]:
            continue
        iou = area / (true_areas[one] + areas[other] - area - shared.get((0, other), 0))
        if iou > 0.5:
            row = sums[truths[one]["category_id"]]
            row[0], row[1] = row[0] + iou, row[1] + 1
            matched_true.add(one)
            matched.add(other)
    crowds = {entry["category_id"]: entry["id"] for entry in true_info if entry.get("iscrowd")}
    for entry in true_info:
        if entry["id"] not in matched_true and not entry.get("iscrowd"):
            sums[entry["category_id"]][3] += 1
    for entry in info:
        if entry["id"] not in matched:
            forgiven = shared.get((0, entry["id"]), 0) + shared.get((crowds.get(entry["category_id"], 0), entry["id"]), 0)
            sums[entry["category_id"]][2] += forgiven / areas[entry["id"]] <= 0.5


def decode_all(files: list[Path], threads: int) -> None:
    """What `score` cannot do without: every PNG to colors."""
    if threads == 1:
        for file in files:
            read_colors(file)
        return
    with ThreadPoolExecutor(threads) as workers:
        list(workers.map(read_colors, files))


def as_command(truth: Path, predictions: Path, before: str = "") -> None:
    """From the command line, in a process of its own. before: what it executes first."""
    words = ["score", str(truth), str(predictions)]
    code = f"{before}; from unipan.cli import main; main({words})".removeprefix("; ")
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def by_hotcoco(truth: Path, predictions: Path) -> float | None:
    try:
        from hotcoco.panoptic import pq_compute  # type: ignore[import-not-found]
    except ImportError:
        return None
    with redirect_stdout(StringIO()):
        found = pq_compute(str(truth), str(predictions), str(truth.with_suffix("")), str(predictions.with_suffix("")))
    return found["All"]["pq"]


def main(given: list[str]) -> None:
    torch.set_num_threads(1)
    if sys.platform == "linux":
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:THREADS])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        truth = Path(given[0]) if given else draw_truth(folder)
        predictions = damage(truth, folder)
        files = [path for json_path in (truth, predictions) for path in sorted(json_path.with_suffix("").glob("*.png"))]
        ways: dict[str, Callable[[], object]] = {
            "the definition in numpy": lambda: transcription(truth, predictions),
            "unipan": lambda: score(truth, predictions),
            f"decoding alone, {THREADS} threads": lambda: decode_all(files, THREADS),
            "decoding alone": lambda: decode_all(files, 1),
            "`unipan score`, the command": lambda: as_command(truth, predictions),
            "the same, if it imported torch": lambda: as_command(truth, predictions, "import torch"),
        }
        values = [score(truth, predictions).quality.all.pq, transcription(truth, predictions), by_hotcoco(truth, predictions)]
        if values[2] is not None:
            ways["hotcoco"] = lambda: by_hotcoco(truth, predictions)
        measured = interleaved(ways, ROUNDS, perf_counter)
    pq = ", ".join("-" if value is None else f"{value:.12f}" for value in values)
    what = f"pairs of {Path(given[0]).name}" if given else "pairs of 480 x 640 that the benchmark draws"
    note = f"PQ by unipan, numpy and hotcoco: {pq}."
    record("bench_score", {f"{len(files) // 2} {what}": measured}, clock="wall time", note=note)


if __name__ == "__main__":
    main(sys.argv[1:])
