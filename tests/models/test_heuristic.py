"""The heuristic merger against its rules written out pixel by pixel, and by hand."""

from collections.abc import Callable
from math import exp

import pytest
import torch
from decoder_cases import HEIGHT, WIDTH, cases, random_case
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from slow_paste import best_first, best_of, share_in_box, value_at
from torch import Tensor

from unipan.classes import ClassTable
from unipan.models.heuristic import MAX_OVERLAP, merge
from unipan.types import Detections, PanopticMap

Tables = Callable[[str], ClassTable]
Named = list[list[str]]


def named(answer: PanopticMap) -> Named:
    """Each pixel as class name and, for things, score and id; void as '.'."""
    names = {0: "."} | {s.id: f"{s.name}{s.id}" if s.is_thing else s.name for s in answer.segments}
    return [[names[id] for id in row] for row in answer.ids.tolist()]


def written_out(semantic: Tensor, found: Detections, score_threshold: float, max_overlap: float, letters: str) -> Named:
    """The published rules with loops: best instances first onto free pixels, then stuff, the rest is void."""
    num_stuff = sum(letter.islower() for letter in letters)
    answer: dict[tuple[int, int], str] = {}
    best_class = {
        (y, x): best_of(semantic[:, y, x].tolist()) for y in range(HEIGHT) for x in range(WIDTH)
    }  # fmt: skip
    for rank, n in enumerate(best_first(found, score_threshold)):
        box, label = found.boxes[n].tolist(), int(found.labels[n])
        if found.mask_logits is None:
            mine = [p for p in best_class if share_in_box(box, *p) >= 0.5 and best_class[p] == label]
        else:
            probabilities = [[1 / (1 + exp(-value)) for value in row] for row in found.mask_logits[n].tolist()]
            mine = [p for p in best_class if value_at(probabilities, box, *p) > 0.5]
        taken = [p for p in mine if p in answer]
        if mine and len(taken) / len(mine) > max_overlap:
            continue
        for p in mine:
            answer.setdefault(p, f"{letters[label]}{num_stuff + rank + 1}")
    for p, label in best_class.items():
        answer.setdefault(p, letters[label] if letters[label].islower() else ".")
    return [[answer[y, x] for x in range(WIDTH)] for y in range(HEIGHT)]


@given(case=cases, threshold=st.sampled_from([0.0, 0.5, 0.9]), max_overlap=st.sampled_from([0.0, 0.3, MAX_OVERLAP, 1.0]))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_equals_the_rules(class_table: Tables, case: tuple[str, int, bool, int], threshold: float, max_overlap: float) -> None:
    semantic, found = random_case(*case)
    answer = merge(semantic, found, score_threshold=threshold, max_overlap=max_overlap, classes=class_table(case[0]))
    assert named(answer) == written_out(semantic, found, threshold, max_overlap, case[0])


def semantics(rows: str, letters: str) -> Tensor:
    """(C, H, W) logits: 1 for the class drawn at a pixel, 0 elsewhere."""
    drawn = [[letters.index(letter) for letter in row] for row in rows.split()]
    return torch.nn.functional.one_hot(torch.tensor(drawn), len(letters)).permute(2, 0, 1).float()


def full_masks(boxes: list[list[float]], scores: list[float], labels: list[int]) -> Detections:
    return Detections(torch.tensor(boxes), torch.tensor(scores), torch.tensor(labels), torch.full((len(boxes), 2, 2), 9.0))


def drawn(answer: PanopticMap) -> str:
    return " ".join("".join(name[0] if len(name) == 1 else name[1] for name in row) for row in named(answer))


def test_a_better_instance_goes_first_whatever_its_place(class_table: Tables) -> None:
    """Ids: stuff s is 1; the better detection is 2, the other 3."""
    found = full_masks([[0, 0, 4, 1], [2, 0, 6, 1]], [0.6, 0.9], [1, 1])
    answer = merge(semantics("ssssssBs", "sB"), found, score_threshold=0.5, max_overlap=0.5, classes=class_table("sB"))
    assert drawn(answer) == "332222.s"
    assert [(s.id, s.score) for s in answer.segments if s.is_thing] == [(2, pytest.approx(0.9)), (3, pytest.approx(0.6))]


@pytest.mark.parametrize(("left", "shown"), [(2, "332222"), (1, "s2222s"), (3, "3332222")])
def test_an_instance_that_is_mostly_taken_is_dropped(class_table: Tables, left: int, shown: str) -> None:
    """The second box is 4 wide and `left` of its pixels are free: at 2 of 4 taken it stays, at 3 of 4 it goes."""
    found = full_masks([[left, 0, left + 4, 1], [0, 0, 4, 1]], [0.9, 0.8], [1, 1])
    answer = merge(semantics("s" * len(shown), "sB"), found, score_threshold=0.5, max_overlap=0.5, classes=class_table("sB"))
    assert drawn(answer) == shown


def test_unsure_instances_and_unclaimed_thing_pixels_are_void(class_table: Tables) -> None:
    found = full_masks([[0, 0, 2, 1], [4, 0, 6, 1]], [0.49, 0.5], [1, 1])
    answer = merge(semantics("BBssssBB", "sB"), found, score_threshold=0.5, max_overlap=0.5, classes=class_table("sB"))
    assert drawn(answer) == "..ss22.."


def test_without_masks_box_and_class_stand_for_one(class_table: Tables) -> None:
    found = Detections(torch.tensor([[1.0, 0, 5, 1]]), torch.tensor([0.9]), torch.tensor([1]), None)
    answer = merge(semantics("BBBsCCss", "sBC"), found, score_threshold=0.5, max_overlap=0.5, classes=class_table("sBC"))
    assert drawn(answer) == ".22s..ss"
