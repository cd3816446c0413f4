"""The mask head's truth, beside a loop over its cells."""

from math import floor

import torch

from unipan.ops.instances import crop_instances


def test_crops_equal_a_loop_over_their_pixels() -> None:
    random = torch.Generator().manual_seed(0)
    instances = torch.randint(-1, 3, (9, 13), generator=random, dtype=torch.int32)
    boxes = torch.tensor([[0.0, 0.0, 13.0, 9.0], [2.3, 1.1, 7.9, 8.2], [5.0, 5.0, 5.5, 5.5], [-3.0, 4.0, 20.0, 15.0]])
    matched, size = torch.tensor([0, 1, 2, 1]), 6
    crops = crop_instances(instances, boxes, matched, size)
    expected = torch.zeros(4, size, size, dtype=torch.bool)
    for region, (x1, y1, x2, y2) in enumerate(boxes.tolist()):
        for row in range(size):
            for column in range(size):
                x = min(max(floor(x1 + (column + 0.5) / size * (x2 - x1)), 0), 12)
                y = min(max(floor(y1 + (row + 0.5) / size * (y2 - y1)), 0), 8)
                expected[region, row, column] = instances[y, x] == matched[region]
    assert torch.equal(crops, expected)
    assert 0 < crops[1].float().mean() < 1
