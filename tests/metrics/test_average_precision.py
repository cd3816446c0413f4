"""AP against pycocotools on random images, and by hand."""

import contextlib
from importlib.util import find_spec
from io import StringIO
from math import isnan

import numpy as np
import pytest
import torch

from unipan.classes import ClassTable
from unipan.errors import InputError
from unipan.metrics import average_precision as module
from unipan.metrics.average_precision import ImageInstances, average_precision, instances_of
from unipan.ops.boxes import paste_masks
from unipan.ops.segments import Label, panoptic_map
from unipan.types import Detections, PanopticMap

pytestmark = pytest.mark.skipif(find_spec("faster_coco_eval") is None, reason="needs the extra coco")

CLASSES = ClassTable.from_categories(
    [
        {"id": 90, "name": "sky", "isthing": 0},
        {"id": 7, "name": "cat", "isthing": 1},
        {"id": 3, "name": "dog", "isthing": 1},
        {"id": 5, "name": "cow", "isthing": 1},
    ]
)
CAT, DOG, COW = 1, 2, 3


def truth(*things: tuple[int, int, int, int], crowds: tuple[int, ...] = (), kind: int = CAT) -> PanopticMap:
    """40 x 40 pixels, void but for cats in these boxes (x1, y1, x2, y2). crowds: the indices of those that are crowds."""
    ids = torch.zeros(40, 40, dtype=torch.int32)
    for number, (x1, y1, x2, y2) in enumerate(things, 1):
        ids[y1:y2, x1:x2] = number
    return panoptic_map(ids, [Label(number + 1, kind, number in crowds) for number in range(len(things))], CLASSES)


def boxes(*rows: tuple[float, float, float, float, float], kind: int = CAT, full: bool = False) -> Detections:
    """Cats with these boxes and scores. full: with masks that fill their boxes."""
    values = torch.tensor(rows).view(-1, 5)
    masks = torch.full((len(values), 4, 4), 9.0) if full else None
    return Detections(values[:, :4], values[:, 4], torch.full((len(values),), kind), masks)


def box_ap(found: Detections, true: PanopticMap) -> float:
    return average_precision(instances_of([found], [true]), CLASSES).box.ap


# --- by hand ---


def test_thresholds_up_to_the_iou_are_met() -> None:
    (image,) = instances_of([boxes((0, 0, 10, 6.2, 0.9), full=True)], [truth((0, 0, 10, 10))])
    result = average_precision([image], CLASSES).box  # IoU 0.62: over 0.5, 0.55 and 0.6
    assert (result.ap, result.ap50, result.ap75) == pytest.approx((0.3, 1, 0))
    assert result.per_class[CAT] == pytest.approx(0.3)
    assert all(isnan(result.per_class[other]) for other in (0, DOG, COW))


def test_masks_are_judged_and_not_their_boxes() -> None:
    true, whole, halved = truth((0, 0, 10, 10)), *(boxes((0, 0, 20, 10, 0.9), full=True) for _ in range(2))
    assert halved.mask_logits is not None
    halved.mask_logits[:, :, 2:] = -9
    for found, fits in ((whole, 0), (halved, 1)):
        result = average_precision(instances_of([found], [true]), CLASSES)
        assert result.mask is not None
        assert result.mask.ap75 == pytest.approx(fits)
        assert result.box.ap75 == 0


def test_a_better_scored_false_positive_halves_precision_on_void_too() -> None:
    true = truth((0, 0, 10, 10))
    assert box_ap(boxes((0, 0, 10, 10, 0.5)), true) == pytest.approx(1)
    assert box_ap(boxes((0, 0, 10, 10, 0.5), (20, 20, 30, 30, 0.9)), true) == pytest.approx(0.5)  # all else is void


def test_a_crowd_forgives_and_is_not_missed() -> None:
    true = truth((0, 0, 10, 10), (20, 20, 40, 40), crowds=(1,))
    assert box_ap(boxes((0, 0, 10, 10, 0.5), (22, 22, 30, 30, 0.9)), true) == pytest.approx(1)


def test_what_there_is_not() -> None:
    assert box_ap(boxes(), truth((0, 0, 10, 10))) == 0
    assert isnan(box_ap(boxes((0, 0, 10, 10, 0.5)), truth()))
    assert isnan(box_ap(boxes((0, 0, 10, 10, 0.5)), truth((0, 0, 10, 10), crowds=(0,))))
    assert isnan(average_precision([], CLASSES).box.ap)


def test_without_the_extra_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    assert not module.is_available()
    with pytest.raises(InputError, match=r"pip install 'unipan\[coco\]'"):
        average_precision([], CLASSES)


def test_nothing_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    box_ap(boxes((0, 0, 10, 10, 0.5)), truth((0, 0, 10, 10)))
    assert capsys.readouterr() == ("", "")


# --- against pycocotools ---

HEIGHT, WIDTH = 37, 53


def random_image(rng: np.random.Generator) -> tuple[Detections, PanopticMap]:
    """Up to seven things, some of them crowds, one over another, and detections around them, some beyond the border."""
    ids = torch.zeros(HEIGHT, WIDTH, dtype=torch.int32)
    labels, found = [], []
    for number in range(1, int(rng.integers(1, 8))):
        x, y, w, h = rng.uniform((0, 0, 4, 4), (WIDTH - 8, HEIGHT - 8, 24, 24))
        kind = int(rng.integers(1, 3))
        rows, columns = np.mgrid[:HEIGHT, :WIDTH]
        inside = ((columns - x - w / 2) / (w / 2)) ** 2 + ((rows - y - h / 2) / (h / 2)) ** 2 < 1
        ids[torch.from_numpy(inside)] = number
        labels.append(Label(number, kind, bool(rng.random() < 0.2)))
        for _ in range(int(rng.integers(0, 4))):
            shift = rng.normal(0, 2, 4)
            guess = kind if rng.random() < 0.8 else 3
            found.append((x + shift[0], y + shift[1], x + w + shift[2], y + h + shift[3], guess, round(rng.random(), 1)))
    rows = torch.tensor(sorted(found, key=lambda row: -row[-1])).view(-1, 6).float()
    masks = torch.from_numpy(rng.normal(2, 3, (len(rows), 7, 7))).float()
    return Detections(rows[:, :4], rows[:, 5], rows[:, 4].long(), masks), panoptic_map(ids, labels, CLASSES)


def by_pycocotools(images: list[tuple[Detections, PanopticMap]], kind: str) -> list[float]:
    """AP, AP50, AP75 from whole masks, encoded by pycocotools itself."""
    coco_mask, coco = pytest.importorskip("pycocotools.mask"), pytest.importorskip("pycocotools.coco")
    from pycocotools.cocoeval import COCOeval

    def encoded(mask: torch.Tensor) -> dict:
        return coco_mask.encode(np.asfortranarray(mask.numpy().astype(np.uint8)))

    annotations, results = [], []
    for number, (found, true) in enumerate(images, 1):
        for segment in true.segments:
            mask = encoded(true.ids == segment.id)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": CLASSES[segment.class_index].dataset_id,
                    "iscrowd": int(segment.is_crowd),
                    "segmentation": mask,
                    "bbox": coco_mask.toBbox(mask).tolist(),
                    "area": int(coco_mask.area(mask)),
                }
            )
        assert found.mask_logits is not None
        masks = paste_masks(found.mask_logits, found.boxes, HEIGHT, WIDTH, stride=1) > 0.5
        for (x1, y1, x2, y2), score, label, mask in zip(found.boxes.tolist(), found.scores, found.labels, masks, strict=True):
            where = {"bbox": [x1, y1, x2 - x1, y2 - y1]} if kind == "bbox" else {"segmentation": encoded(mask)}
            category = CLASSES[int(label)].dataset_id
            results.append({"image_id": number, "category_id": category, "score": score.item(), **where})
    with contextlib.redirect_stdout(StringIO()):
        dataset = coco.COCO()
        dataset.dataset = {
            "images": [{"id": number + 1, "height": HEIGHT, "width": WIDTH} for number in range(len(images))],
            "categories": [{"id": CLASSES[index].dataset_id, "name": CLASSES[index].name} for index in CLASSES.things],
            "annotations": annotations,
        }
        dataset.createIndex()
        evaluation = COCOeval(dataset, dataset.loadRes(results), kind)  # type: ignore[arg-type]
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats[:3].tolist()


@pytest.mark.parametrize("seed", range(4))
def test_random_images_equal_pycocotools(seed: int) -> None:
    rng = np.random.default_rng(seed)
    images = [random_image(rng) for _ in range(12)]
    records: list[ImageInstances] = instances_of(*zip(*images, strict=True))
    precision = average_precision(records, CLASSES)
    for result, theirs in ((precision.box, "bbox"), (precision.mask, "segm")):
        assert result is not None
        expected = by_pycocotools(images, theirs)
        assert 0 < expected[0] < 1
        assert [result.ap, result.ap50, result.ap75] == pytest.approx(expected, abs=1e-12)
