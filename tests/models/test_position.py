"""Where a cell lies, as the affinity head sees it."""

from math import cos, pi, sin

import pytest
import torch

from unipan.models.feature_decoder import WAVELENGTHS, AffinityHead, FeatureDecoder, position_waves


def test_waves_are_sines_and_cosines_of_row_and_column() -> None:
    waves = position_waves(5, 7, torch.zeros(1))
    assert waves.shape == (20, 5, 7)
    expected = [wave(2 * pi * position / length) for position in (3, 6) for length in WAVELENGTHS for wave in (sin, cos)]
    torch.testing.assert_close(waves[:, 3, 6], torch.tensor(expected))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_waves_of_a_small_map_are_those_of_a_larger_one(dtype: torch.dtype) -> None:
    """So padding changes nothing; and steps of a thousand cells are exact before they are rounded to a short type."""
    large = position_waves(3, 1500, torch.zeros(1, dtype=dtype))
    assert large.dtype == dtype
    assert torch.equal(position_waves(2, 1490, torch.zeros(1, dtype=dtype)), large[:, :2, :1490])
    torch.testing.assert_close(large[:, :, :476], large[:, :, 1024:], atol=1e-2, rtol=0)


def test_like_things_in_two_places_differ_by_position_alone() -> None:
    pyramid = [torch.ones(2, 8, 6, 6) for _ in range(4)]
    for position in (False, True):
        torch.manual_seed(0)
        decoder = FeatureDecoder(in_channels=8, channels=(16,), checkpointing=False)
        head = AffinityHead(decoder=decoder, affinity_dim=5, position=position)
        inner = head(pyramid)[..., 2:4, 2:4].flatten(2)  # borders apart, a constant image has the same features everywhere
        assert inner.shape == (2, 5, 4)
        assert torch.allclose(inner, inner[..., :1]) != position


def test_waves_are_exported_for_any_size() -> None:
    class Waves(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return position_waves(x.shape[-2], x.shape[-1], x)

    sides = {0: torch.export.Dim("h", min=4, max=64), 1: torch.export.Dim("w", min=4, max=64)}
    program = torch.export.export(Waves(), (torch.zeros(8, 12),), dynamic_shapes=(sides,))
    torch.testing.assert_close(program.module()(torch.zeros(10, 6)), position_waves(10, 6, torch.zeros(1)))
