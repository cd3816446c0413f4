"""Candidates of levels and the suppression of what better ones cover, in plain and in exported form."""

import pytest
import torch
import torchvision
from torch import Tensor, nn

from unipan.ops.candidates import batched_nms, best_of_levels


def test_the_best_of_each_level_stand_level_by_level_best_first() -> None:
    levels = [torch.tensor([0.1, 0.9, 0.5]), torch.tensor([0.3]), torch.zeros(0), torch.tensor([0.2, 0.8])]
    assert best_of_levels(levels, 2).tolist() == [1, 2, 3, 5, 4]
    assert best_of_levels(levels, 9).tolist() == [1, 2, 0, 3, 5, 4]


def test_what_has_no_score_is_no_candidate() -> None:
    assert best_of_levels([torch.tensor([torch.nan, -torch.inf, -1e30]), torch.tensor([-torch.inf])], 3).tolist() == [2]
    assert best_of_levels([torch.tensor([torch.nan] * 5 + [1.0, 2.0])], 3).tolist() == [6, 5], "nan takes nobody's place"


class Suppression(nn.Module):
    def forward(self, boxes: Tensor, scores: Tensor, groups: Tensor) -> Tensor:
        return batched_nms(boxes, scores, groups, 0.5)


def candidates(number: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(number)
    corners = torch.rand(number, 2, generator=generator) * 50
    boxes = torch.cat([corners, corners + 1 + torch.rand(number, 2, generator=generator) * 30], 1)
    return boxes, torch.rand(number, generator=generator), torch.randint(0, 3, (number,), generator=generator)


def test_an_exported_suppression_keeps_what_the_plain_one_keeps() -> None:
    any_number = {0: torch.export.Dim.DYNAMIC}
    program = torch.export.export(Suppression(), candidates(60), dynamic_shapes=(any_number,) * 3, strict=False).module()
    for number in (60, 200, 3):
        boxes, scores, groups = candidates(number)
        expected = torchvision.ops.batched_nms(boxes, scores, groups, 0.5)
        assert number < 10 or len(expected) < number
        assert torch.equal(program(boxes, scores, groups), expected)
        assert torch.equal(batched_nms(boxes, scores, groups, 0.5), expected)


@pytest.mark.parametrize("number", [0, 1])
def test_hardly_any_box_is_no_special_case(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.compiler, "is_exporting", lambda: True)
    assert batched_nms(*candidates(number), 0.5).tolist() == list(range(number))
