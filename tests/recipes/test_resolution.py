"""What cells lose of the truth, by hand."""

import pytest
import torch
from resolution import overlap_of_cells


def test_segments_of_whole_cells_stay_and_a_line_within_cells_is_lost() -> None:
    image = torch.zeros(16, 16, dtype=torch.int64)
    image[:, 8:] = 1
    image[:, 3] = 2
    overlaps = overlap_of_cells(torch.stack([image == segment for segment in range(3)]), 4)
    assert overlaps.tolist() == pytest.approx([7 / 8, 1.0, 0.0])  # the line's 16 pixels go to the 112 beside it
    assert overlap_of_cells(torch.stack([image == segment for segment in range(3)]), 1).tolist() == [1.0, 1.0, 1.0]
