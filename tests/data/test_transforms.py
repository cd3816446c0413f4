import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unipan.data.transforms import Augmentation, augment, mirror, relight, resize_sides, resized_size


@pytest.mark.parametrize(
    ("size", "short", "long", "expected"),
    [
        ((480, 640), 800, 1333, (800, 1067)),
        ((480, 640), 0, 0, (480, 640)),
        ((400, 1000), 800, 1333, (533, 1333)),  # the long side binds
        ((640, 480), 240, 0, (320, 240)),
        ((100, 50), 0, 80, (80, 40)),  # only a limit: shrinks ...
        ((100, 50), 0, 200, (100, 50)),  # ... but never enlarges
        ((1, 1000), 0, 100, (1, 100)),
    ],
)
def test_resized_size(size: tuple[int, int], short: int, long: int, expected: tuple[int, int]) -> None:
    assert resized_size(size, short_side=short, long_side=long) == expected


@given(st.tuples(st.integers(1, 3000), st.integers(1, 3000)), st.integers(0, 1000), st.integers(0, 1000))
def test_resized_size_keeps_its_limits(size: tuple[int, int], short: int, extra: int) -> None:
    long = short + extra
    resized = resized_size(size, short_side=short, long_side=long)
    assert min(resized) >= 1
    assert max(resized) <= (long or max(size)) or not long
    assert not short or min(resized) <= short


def test_resizing_moves_image_and_ids_together() -> None:
    ids = torch.zeros(20, 30, dtype=torch.int32)
    ids[5:15, 10:20] = 2**24 - 1
    image = (ids > 0).to(torch.uint8).expand(3, -1, -1) * 255
    resized, moved = resize_sides(image, ids, short_side=40, long_side=0)
    assert resized.shape == (3, 40, 60)
    assert moved.dtype == torch.int32
    assert set(moved.unique().tolist()) == {0, 2**24 - 1}
    assert torch.equal(resized[0] > 127, moved > 0)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9))
def test_mirroring_twice_changes_nothing(height: int, width: int) -> None:
    ids = torch.arange(height * width, dtype=torch.int32).view(height, width)
    image = ids.to(torch.uint8).expand(3, -1, -1)
    once = mirror(image, ids)
    assert torch.equal(once[0][0], once[1].to(torch.uint8))
    assert once[1][0, 0] == width - 1
    twice = mirror(*once)
    assert torch.equal(twice[0], image)
    assert torch.equal(twice[1], ids)


def test_augmentation_depends_on_its_generator_alone() -> None:
    settings = Augmentation(short_side=16, long_side=0, flip=True, jitter=0.4)
    image = torch.randint(0, 256, (3, 24, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    ids = torch.arange(24 * 32, dtype=torch.int32).view(24, 32)
    before = torch.get_rng_state()
    views = [augment(image, ids, settings, np.random.default_rng(seed)) for seed in (0, 0, 1, 2, 3, 4, 5, 6)]
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(views[0][0], views[1][0])
    assert not torch.equal(views[0][0], views[2][0])
    assert len({int(moved[0, 0]) for _, moved in views}) == 2  # mirrored and not


def test_relighting_is_bounded_and_zero_is_identity() -> None:
    image = torch.full((3, 8, 8), 100, dtype=torch.uint8)
    for seed in range(10):
        relit = relight(image, jitter=0.2, random=np.random.default_rng(seed))
        assert relit.dtype == torch.uint8
        assert 79 <= int(relit.min()) <= int(relit.max()) <= 121  # uniform gray: contrast, saturation and hue change nothing
    same = relight(image, jitter=0.0, random=np.random.default_rng(0))
    assert torch.equal(same, image)
