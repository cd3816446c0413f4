"""UPSNet's head against its description written out pixel by pixel, by hand, and as a network trains with it."""

from collections.abc import Callable

import pytest
import torch
from decoder_cases import HEIGHT, WIDTH, cases, random_case
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from slow_paste import best_first, best_of, share_in_box, value_at
from torch import Tensor

from unipan.classes import ClassTable
from unipan.config import Config, LossConfig, ModelConfig, TrainConfig
from unipan.errors import InputError
from unipan.losses.build import build_criterion
from unipan.models.network import PanopticNetwork
from unipan.models.upsnet import MAX_OVERLAP, NEVER, decode_upsnet, upsnet_logits
from unipan.types import Admission, Detections, PanopticMap, Target

Tables = Callable[[str], ClassTable]
Networks = Callable[..., PanopticNetwork]
EVERYTHING = Admission(score_threshold=0.0, limit=8)


def channels_at(semantic: list[float], found: Detections, kept: list[int], letters: str, y: int, x: int) -> list[float]:
    """Every channel's logit at a pixel: stuff, the kept instances, unknown."""
    segment, mask = [], []
    for n in kept:
        box, share = found.boxes[n].tolist(), share_in_box(found.boxes[n].tolist(), y, x)
        segment.append(semantic[int(found.labels[n])] * share)
        mask.append(0.0 if found.mask_logits is None else value_at(found.mask_logits[n].tolist(), box, y, x) * share)
    stuff = [semantic[c] for c, letter in enumerate(letters) if letter.islower()]
    things = [semantic[c] for c, letter in enumerate(letters) if letter.isupper()]
    unknown = max(things) - max(segment, default=0.0) if things else NEVER
    return stuff + [a + b for a, b in zip(segment, mask, strict=True)] + [unknown]


def own_pixels(semantic: Tensor, found: Detections, n: int) -> set[tuple[int, int]]:
    box, pixels = found.boxes[n].tolist(), [(y, x) for y in range(HEIGHT) for x in range(WIDTH)]
    if found.mask_logits is None:
        label = int(found.labels[n])
        return {(y, x) for y, x in pixels if share_in_box(box, y, x) >= 0.5 and best_of(semantic[:, y, x].tolist()) == label}
    return {p for p in pixels if value_at(found.mask_logits[n].tolist(), box, *p) > 0}


def written_out(semantic: Tensor, found: Detections, threshold: float, max_overlap: float, letters: str) -> list[list[int]]:
    """Ids: prune same-class overlaps, best first; then the first of the largest logits; unknown is 0."""
    order = best_first(found, threshold)
    kept: list[int] = []
    for n in order:
        mine = own_pixels(semantic, found, n)
        better = [own_pixels(semantic, found, k) for k in kept if found.labels[k] == found.labels[n]]
        if not mine or len(mine & set().union(*better)) / len(mine) <= max_overlap:
            kept.append(n)
    num_stuff = sum(letter.islower() for letter in letters)
    ids = [*range(1, num_stuff + 1), *(num_stuff + 1 + order.index(n) for n in kept), 0]
    return [
        [ids[best_of(channels_at(semantic[:, y, x].tolist(), found, kept, letters, y, x))] for x in range(WIDTH)]
        for y in range(HEIGHT)
    ]


@given(case=cases, threshold=st.sampled_from([0.0, 0.5, 0.9]), max_overlap=st.sampled_from([0.0, MAX_OVERLAP, 0.6, 1.0]))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_equals_the_description(
    class_table: Tables, case: tuple[str, int, bool, int], threshold: float, max_overlap: float
) -> None:
    semantic, found = random_case(*case)
    answer = decode_upsnet(semantic, found, score_threshold=threshold, max_overlap=max_overlap, classes=class_table(case[0]))
    assert answer.ids.tolist() == written_out(semantic, found, threshold, max_overlap, case[0])


@given(case=cases)
@settings(max_examples=50, deadline=None)
def test_the_logits_that_train_are_those_that_answer(case: tuple[str, int, bool, int]) -> None:
    semantic, found = random_case(*case)
    letters = case[0]
    index = lambda upper: torch.tensor([c for c, x in enumerate(letters) if x.isupper() == upper], dtype=torch.int64)  # noqa: E731
    logits = upsnet_logits(semantic, found, stuff=index(False), things=index(True), stride=1)
    everyone = list(range(len(found.scores)))
    expected = [
        [channels_at(semantic[:, y, x].tolist(), found, everyone, letters, y, x) for x in range(WIDTH)] for y in range(HEIGHT)
    ]
    torch.testing.assert_close(logits, torch.tensor(expected, dtype=torch.float64).permute(2, 0, 1))


def row(values: dict[str, list[float]]) -> Tensor:
    """(C, 1, W) logits of one row of pixels, by class in order."""
    return torch.tensor(list(values.values()))[:, None]


def things(boxes: list[list[float]], scores: list[float], labels: list[int], logit: float | None) -> Detections:
    masks = None if logit is None else torch.full((len(boxes), 40, 40), logit)
    return Detections(torch.tensor(boxes), torch.tensor(scores), torch.tensor(labels), masks)


def decoded(semantic: Tensor, found: Detections, table: ClassTable) -> PanopticMap:
    return decode_upsnet(semantic, found, score_threshold=0.5, max_overlap=MAX_OVERLAP, classes=table)


def test_a_thing_that_nothing_claims_is_unknown(class_table: Tables) -> None:
    """Stuff says 1; the ball says 2 in the last four pixels, and the box covers two of them: 2 + X_mask against 2 - 2."""
    semantic = row({"s": [1.0] * 6, "B": [0.0, 0, 2, 2, 2, 2]})
    answer = decoded(semantic, things([[2, 0, 4, 1]], [0.9], [1], 1.0), class_table("sB"))
    assert answer.ids.tolist() == [[1, 1, 2, 2, 0, 0]]


def test_the_mask_decides_where_two_boxes_meet(class_table: Tables) -> None:
    """Both boxes cover all; the first mask is high on the left, the second on the right."""
    found = things([[0, 0, 4, 1], [0, 0, 4, 1]], [0.9, 0.8], [1, 2], 0.0)
    sides = torch.tensor([[[5.0, -5.0]], [[-5.0, 5.0]]]).repeat(1, 2, 1)
    semantic = row({"s": [0.0] * 4, "B": [1.0] * 4, "C": [1.0] * 4})
    answer = decoded(semantic, found._replace(mask_logits=sides), class_table("sBC"))
    assert answer.ids.tolist() == [[2, 2, 3, 3]]


@pytest.mark.parametrize(("label", "ids"), [(1, [2, 2, 2, 2, 1, 1]), (2, [2, 2, 2, 2, 3, 3])])
def test_only_the_same_class_prunes(class_table: Tables, label: int, ids: list[int]) -> None:
    """The second box lies half in the first: more than 0.3 of it. Of the same class it goes, and stuff takes what it leaves."""
    semantic = row({"s": [2.0] * 6, "B": [1.0] * 6, "C": [1.0] * 6})
    answer = decoded(semantic, things([[0, 0, 4, 1], [2, 0, 6, 1]], [0.9, 0.8], [1, label], 3.0), class_table("sBC"))
    assert answer.ids.tolist() == [ids]


def test_without_masks_only_the_semantic_logit_speaks(class_table: Tables) -> None:
    semantic = row({"s": [1.0] * 4, "B": [2.0, 2, 0, 0]})
    answer = decoded(semantic, things([[1, 0, 4, 1]], [0.9], [1], None), class_table("sB"))
    assert answer.ids.tolist() == [[0, 2, 1, 1]]


@pytest.mark.parametrize("masks", [False, True])
def test_it_is_trained_with_its_own_loss(
    small_network: Networks,
    classes: ClassTable,
    noise: Callable[..., Tensor],
    scene: Callable[..., Target],
    masks: bool,
) -> None:
    """No parameter of its own, no affinity; the panoptic loss reaches semantic head, boxes and, if there are any, masks."""
    network = small_network(masks=masks, variant="B" if masks else "A", panoptic="upsnet", void_channel=True)
    assert not any(name.startswith(("affinity", "panoptic", "potential")) for name in network.state_dict())
    target = scene((64, 64), 0, [(1, (8, 8, 40, 40)), (3, (30, 30, 60, 60))])
    outputs = network(noise(64, 64)[None], [(64, 64)], [target], admission=EVERYTHING)
    assert outputs.affinity[0].shape == (0, 16, 16)
    assert torch.equal(outputs.panoptic[0], outputs.potentials[0])
    assert len(outputs.panoptic[0]) == 3 + len(outputs.admitted[0]) + 1
    weights = LossConfig(semantic=0, panoptic=1, panoptic_lovasz=1, rpn=0, box=0, mask=0)
    losses = build_criterion(weights, classes, void_channel=True)(outputs, [target])
    losses.total.backward()
    reached = {name for name, p in network.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    assert "semantic_head.classifier.weight" in reached
    assert any("box" in name for name in reached)
    assert any("mask" in name for name in reached) == masks


def test_without_things_the_unknown_channel_is_never_chosen(
    small_network: Networks, class_table: Tables, noise: Callable[..., Tensor]
) -> None:
    network = small_network(class_table("sg"), panoptic="upsnet", void_channel=True)
    logits = network(noise(64, 64)[None], [(64, 64)], admission=EVERYTHING).panoptic[0]
    assert len(logits) == 3
    assert (logits.argmax(0) < 2).all()


def test_the_heuristic_network_has_no_panoptic_part(small_network: Networks, noise: Callable[..., Tensor]) -> None:
    network = small_network(panoptic="heuristic")
    assert not any(name.startswith(("affinity", "panoptic", "potential")) for name in network.state_dict())
    outputs = network(noise(61, 75)[None], [(61, 75)], admission=EVERYTHING)
    assert outputs.panoptic[0].shape == outputs.potentials[0].shape == outputs.affinity[0].shape == (0, 16, 19)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ModelConfig(panoptic="upsnet"), "--model.void-channel"),
        (lambda: ModelConfig(panoptic="heuristic", void_channel=True), "no void channel"),
        (lambda: Config(model=ModelConfig(panoptic="heuristic")), "set both to 0"),
        (
            lambda: Config(model=ModelConfig(panoptic="heuristic"), loss=LossConfig(panoptic=0, panoptic_lovasz=1)),
            "loss.panoptic_lovasz 1",
        ),
        (
            lambda: Config(
                model=ModelConfig(panoptic="heuristic"), loss=LossConfig(panoptic=0), train=TrainConfig(detections="truth")
            ),
            "train.detections truth",
        ),
    ],
)
def test_settings_that_would_have_no_effect_are_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()
