"""Bytes become floats 0..1 as by a division, to the bit."""

import numpy as np
import torch

from unipan.ops.unit_floats import unit_floats


def test_every_byte_is_divided() -> None:
    every = np.arange(256, dtype=np.uint8)
    assert np.array_equal(unit_floats(torch.from_numpy(every)).numpy(), every.astype(np.float32) / np.float32(255))


def test_floats_are_what_they_are() -> None:
    images = torch.rand(1, 3, 2, 2, dtype=torch.float64)
    assert unit_floats(images) is images
