"""Truth and answer side by side: what was found has one color, wherever both are drawn."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from PIL import Image
from strips import BUS, CAR, CLASSES, ROAD, strip

from unipan.class_colors import RGB
from unipan.classes import ClassTable
from unipan.ops.segments import Label, panoptic_map
from unipan.predictor import Predictor, load
from unipan.recipes import compare, examples, explore, figure
from unipan.recipes.answer_colors import answer_colors
from unipan.recipes.images import Entry
from unipan.recipes.training import validation
from unipan.types import PanopticMap, Sample
from unipan.viz.colors import hue_span, instance_color, segment_colors


def test_what_was_found_has_its_color_in_the_truth_and_nothing_else_has_it() -> None:
    """The leftmost car is missed, the second one found, the third is a bus to the network, which sees a car at the right too."""
    truth = strip("aaabbbbcccddd....", a=CAR, b=CAR, c=CAR, d=ROAD)
    answer = strip("aaaccccbbbaaa.eee", a=ROAD, b=BUS, c=CAR, e=CAR)
    true, own = segment_colors(truth), answer_colors(answer, truth, CLASSES)
    assert own[3] == true[2]
    assert own[1] == true[4]
    assert len({*true.values(), *own.values()}) == 3 + 1 + 2, "cars of the truth, road, the bus, the car that is none"
    assert own[5] == instance_color(CLASSES[CAR].color, 3, hue_span(CLASSES, CAR)), "the first shade that is free"
    assert answer_colors(answer, None, CLASSES) == segment_colors(answer)
    assert answer_colors(truth, truth, CLASSES) == true


@pytest.fixture(scope="module")
def predictor(tiny_run: Path) -> Predictor:
    return load(tiny_run, device="cpu")


@pytest.fixture
def sample(predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> Sample:
    """The predictor answers with three snakes side by side, the truth has the second and the third of them: by other ranks."""
    table = predictor.classes
    snake = table.things[0]
    ids = torch.ones(96, 128, dtype=torch.int32)
    for n, left in enumerate((10, 50, 90)):
        ids[20:60, left : left + 20] = len(table.stuff) + 1 + n
    labels = [Label(1, table.stuff[0]), *(Label(len(table.stuff) + 1 + n, snake) for n in range(3))]
    answer, truth = panoptic_map(ids, labels, table), panoptic_map(ids, [labels[0], *labels[2:]], table)
    monkeypatch.setattr(Predictor, "answer", lambda *given, **options: answer)
    monkeypatch.setattr(Predictor, "__call__", lambda *given, **options: answer)
    return Sample(image=torch.zeros(3, 96, 128, dtype=torch.uint8), truth=truth, image_id="1", file_name="a.png")


def of_compare(predictor: Predictor, sample: Sample) -> Any:
    return compare.drawing(predictor, Entry("a", sample.image, sample.truth), {"unified": predictor(sample.image)}, {}, "")


DRAWN: dict[str, tuple[ModuleType, Callable[[Predictor, Sample], Any]]] = {
    "report": (examples, lambda predictor, sample: examples.example(predictor, sample, Path("report.html"))),
    "compare": (compare, of_compare),
    "figure of methods": (figure, lambda predictor, sample: figure.methods_row(predictor, sample, "")),
    "figure of affinities": (figure, lambda predictor, sample: figure.affinity_row(predictor, sample, "")),
    "panels of a training": (validation, validation._row),
}


@pytest.mark.parametrize("name", DRAWN)
def test_every_drawing_of_both_gives_them_the_same_colors(
    name: str, predictor: Predictor, sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, draw = DRAWN[name]
    seen: list[dict[int, RGB]] = []

    def overlay(
        panoptic: PanopticMap,
        image: Image.Image,
        classes: ClassTable | None = None,
        *,
        colors: Mapping[int, RGB] | None = None,
        **options: Any,
    ) -> Image.Image:
        seen.append(segment_colors(panoptic, classes, colors))
        return image

    monkeypatch.setattr(module, "overlay", overlay)
    draw(predictor, sample)
    true, own = seen[:2]
    assert {key: own[key] for key in true} == true
    assert len(own) == len(true) + 1


def test_the_explorer_does_so_too(predictor: Predictor, sample: Sample) -> None:
    shown = explore.explored(predictor, Entry("a", sample.image, sample.truth), run="run").to_json()["maps"]
    true, own = ({segment["id"]: segment["color"] for segment in shown[key]["segments"]} for key in ("truth", "answer"))
    assert {key: own[key] for key in true} == true
    assert len(own) == len(true) + 1
