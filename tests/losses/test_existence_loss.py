from math import exp, log

import pytest
import torch

from unipan.losses.existence import existence_terms
from unipan.types import Detections, Outputs, Target

THING = torch.tensor([[0.0, 0.0, 8.0, 8.0]])
TARGET = Target(
    boxes=THING, labels=torch.tensor([1]), instances=torch.zeros(8, 8, dtype=torch.int32), semantic=torch.ones(8, 8).byte()
)


def outputs(boxes: list[list[float]], logits: list[float], admitted: list[int]) -> Outputs:
    found = Detections(torch.tensor(boxes).view(-1, 4), torch.ones(len(boxes)), torch.ones(len(boxes)).long(), None)
    return Outputs([], [found], [torch.tensor(admitted).long()], [], [], [], {}, [torch.tensor(logits)])


def test_a_duplicate_does_not_exist() -> None:
    """The last detection fits best, so it is the thing; the first is not admitted and not judged."""
    found = outputs([[0, 0, 8, 8], [0, 0, 8, 6], [0, 0, 8, 7.5]], [0.3, -0.7], [1, 2])
    term = existence_terms(found, [TARGET])["existence"]
    assert term.count == 2
    assert term.sum.item() == pytest.approx(log(1 + exp(0.3)) + log(1 + exp(0.7)))


def test_no_detections() -> None:
    term = existence_terms(outputs([], [], []), [TARGET])["existence"]
    assert (term.sum, term.count, term.mean) == (0, 0, 0)
