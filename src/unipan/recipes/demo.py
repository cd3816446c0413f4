"""`unipan demo`: the whole road on procedural scenes, with an illustrated report at its end."""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from PIL import Image

from unipan.checkpoint import RunFolder
from unipan.config import Config
from unipan.console import Table
from unipan.data.build import validation_dataset
from unipan.data.coco_writer import Entry, write_panoptic
from unipan.data.scenes.dataset import SceneDataset
from unipan.data.scenes.statistics import SceneStatistics, measure_scenes
from unipan.engine.processes import this_process
from unipan.errors import InputError
from unipan.files import write_json
from unipan.predictor import Predictor
from unipan.recipes.evaluate import evaluate_predictor, evaluation_title
from unipan.recipes.evaluation.result import Evaluation
from unipan.recipes.illustrate import illustrate
from unipan.recipes.train import train
from unipan.recipes.training.checkpoints import saved_steps
from unipan.types import Sample
from unipan.viz.canvas import as_pil, enlarge, save_image
from unipan.viz.curves import need_matplotlib
from unipan.viz.overlay import overlay
from unipan.viz.sheet import contact_sheet

SHOWN_SCENES = 24
MEASURED_SCENES = 200


def demo(config: Config, out: Path) -> Evaluation:
    """Train on scenes, evaluate on held-out ones, and write OUT/metrics.json and OUT/report.html.

    Where `out` holds a demo of the same settings it goes on with it; one that is done is only evaluated again. Processes share
    the training and the evaluation; the main one writes.
    """
    need_matplotlib()
    folder = RunFolder(out)
    started = time.perf_counter()
    resume = bool(saved_steps(folder)) or folder.model.exists()
    network = train(config, out, resume=resume, to_go_on="give the same command again")
    trained = time.perf_counter()
    dataset = validation_dataset(config.data)
    predictor = Predictor(network, dataset.classes, config)
    evaluation = evaluate_predictor(predictor, dataset, evaluation_title(config))
    if not this_process().is_main:
        return evaluation
    write_json(folder.metrics, evaluation.to_json())
    illustrate(
        folder,
        predictor,
        dataset,
        evaluation,
        page=out / "report.html",
        facts=[
            ("steps", str(config.train.steps)),
            ("training, this call", f"{(trained - started) / 60:.1f} min"),
            ("evaluation", f"{(time.perf_counter() - trained) / 60:.1f} min"),
        ],
    )
    return evaluation


def show_scenes(config: Config, out: Path) -> tuple[Path, SceneStatistics]:
    """Write OUT/scenes.png, a contact sheet of held-out scenes and their truth, and measure what they are like.

    The scenes shown are also written one by one, to try `predict` and `score` on: OUT/images, OUT/truth.json, OUT/truth.
    """
    data = config.data
    if data.kind != "scenes":
        raise InputError(f"--show draws procedural scenes, but data.source is {data.kind}.")
    dataset = validation_dataset(replace(data, val_scenes=MEASURED_SCENES))
    assert isinstance(dataset, SceneDataset)
    samples = [dataset[index] for index in range(SHOWN_SCENES)]
    images, path = out / "images", out / "scenes.png"
    for sample in samples:
        save_image(as_pil(sample.image), images / sample.file_name)
    truth = (Entry(Path(sample.file_name).stem, sample.file_name, sample.truth) for sample in samples)
    write_panoptic(out, truth, dataset.classes, json_name="truth.json", png_folder="truth", scores=False)
    save_image(_scene_sheet(samples), path)
    return path, measure_scenes(dataset, MEASURED_SCENES)


def _scene_sheet(samples: Sequence[Sample]) -> Image.Image:
    pairs = [(enlarge(as_pil(s.image), 2), overlay(s.truth, s.image, scale=2, labels=False)) for s in samples]
    rows = [[drawing for pair in pairs[start : start + 3] for drawing in pair] for start in range(0, len(pairs), 3)]
    return contact_sheet(rows, column_titles=["scene", "truth"] * 3)


def statistics_table(statistics: SceneStatistics, difficulty: str) -> Table:
    """What the scenes are like, as a table."""
    things = f"{statistics.things_per_scene:.1f} things in a scene on average"
    table = Table(f"{difficulty} scenes, measured on {MEASURED_SCENES}: {things}", "share of scenes with", "")
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
    for field, text in words.items():
        table.add_row(text, f"{getattr(statistics, field):.0%}")
    return table
