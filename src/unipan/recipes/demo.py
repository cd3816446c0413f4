"""`unipan demo`: the whole road on procedural scenes, with an illustrated report at its end."""

import time
from dataclasses import asdict
from pathlib import Path

from rich.table import Table

from unipan.checkpoint import RunFolder, write_json
from unipan.classes import ClassTable
from unipan.config import Config, load_config
from unipan.data.build import validation_dataset
from unipan.data.scene_statistics import SceneStatistics, measure_scenes
from unipan.data.scenes import SceneDataset
from unipan.errors import InputError
from unipan.predictor import build_predictor
from unipan.recipes.console import console
from unipan.recipes.evaluate import Evaluation, evaluate_predictor, name
from unipan.recipes.illustrate import illustrate
from unipan.recipes.train import train
from unipan.viz.overlay import overlay
from unipan.viz.sheet import contact_sheet

SHOWN_SCENES = 24
MEASURED_SCENES = 200


def demo(config: Config, out: Path) -> Evaluation:
    """Train on scenes, evaluate on held-out ones, and write OUT/metrics.json and OUT/report.html.

    Where `out` holds a demo of the same settings it goes on with it; one that is done is only evaluated again.
    """
    folder = RunFolder(out)
    resume = folder.training.exists() and load_config(folder.config) == config
    if resume:
        console.print(f"{out} holds this demo already; going on from its last checkpoint.")
    started = time.perf_counter()
    network = train(config, out, resume=resume)
    trained = time.perf_counter()
    dataset = validation_dataset(config.data)
    predictor = build_predictor(network, dataset.classes, config)
    evaluation = evaluate_predictor(predictor, dataset, name(config, trim=True))
    write_json(folder.metrics, evaluation.to_json())
    illustrate(
        folder,
        predictor,
        dataset,
        evaluation,
        facts=[
            ("steps", str(config.train.steps)),
            ("training, this call", f"{(trained - started) / 60:.1f} min"),
            ("evaluation", f"{(time.perf_counter() - trained) / 60:.1f} min"),
        ],
    )
    return evaluation


def show_scenes(config: Config, out: Path) -> tuple[Path, SceneStatistics]:
    """Write OUT/scenes.png, a contact sheet of training-like scenes and their truth, and measure what they are like."""
    data = config.data
    if data.source != "scenes":
        raise InputError(f"--show draws procedural scenes, but data.source is {data.source}.")
    dataset = SceneDataset(difficulty=data.difficulty, size=data.scene_size, seed=0, length=MEASURED_SCENES)
    path = out / "scenes.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    _scene_sheet(dataset, dataset.classes).save(path)
    return path, measure_scenes(dataset, MEASURED_SCENES)


def _scene_sheet(dataset: SceneDataset, classes: ClassTable):
    from unipan.viz.canvas import as_pil, enlarge

    rows = []
    for start in range(0, SHOWN_SCENES, 3):
        samples = [dataset[i] for i in range(start, start + 3)]
        pairs = [(enlarge(as_pil(s.image), 2), overlay(s.truth, s.image, classes, scale=2, labels=False)) for s in samples]
        rows.append([picture for pair in pairs for picture in pair])
    return contact_sheet(rows, column_titles=["scene", "truth"] * 3)


def statistics_table(statistics: SceneStatistics, difficulty: str) -> Table:
    """What the scenes are like, as a table."""
    table = Table(title=f"{difficulty} scenes, measured on {statistics.scenes}")
    table.add_column("share of scenes with")
    table.add_column("", justify="right")
    words = {
        "same_class_overlap": "two same-class boxes overlapping with IoU over 0.2",
        "same_class_touch": "two same-class things that touch",
        "hard_shapes": "a thin, concave or split thing",
        "thin": "... a thin one",
        "concave": "... a concave one",
        "split": "... one split by an occluder",
        "cut_by_border": "a thing cut by the border",
        "without_things": "no things",
    }
    values = asdict(statistics)
    for field, text in words.items():
        table.add_row(text, f"{values[field]:.0%}")
    table.add_row("things in a scene, mean", f"{statistics.things_per_scene:.1f}")
    return table
