"""What the detector's losses draw belongs to the image: its batch and its neighbours change nothing of it."""

from dataclasses import replace

import torch
from hypothesis import given
from hypothesis import strategies as st

from unipan.models.build import build_detector
from unipan.models.sampling import sample_balanced
from unipan.models.two_stage import TwoStageDetector


@given(
    st.lists(st.sampled_from([-1, 0, 1, 3]), max_size=60), st.integers(1, 40), st.sampled_from([0.25, 0.5]), st.integers(0, 2**62)
)
def test_numbers_and_kinds(labels: list[int], size: int, share: float, seed: int) -> None:
    every = torch.tensor(labels, dtype=torch.int64)
    positive, negative = sample_balanced(every, size=size, positive_fraction=share, seed=seed)
    assert (every[positive] >= 1).all()
    assert (every[negative] == 0).all()
    assert len(positive) == min(int((every >= 1).sum()), int(size * share))
    assert len(negative) == min(int((every == 0).sum()), size - len(positive))
    assert positive.unique().tolist() == positive.tolist()
    assert negative.unique().tolist() == negative.tolist()


def test_every_candidate_is_drawn_equally_often() -> None:
    counts = torch.zeros(20)
    for seed in range(2000):
        positive, _ = sample_balanced(torch.ones(20), size=10, positive_fraction=0.5, seed=seed)
        counts[positive] += 1
    assert counts.sub(500).abs().max() < 5 * (2000 * 0.25 * 0.75) ** 0.5  # five standard deviations


def test_an_images_losses_do_not_depend_on_its_batch(small_config, classes, scene) -> None:
    torch.manual_seed(0)
    settings = small_config(masks=True, variant="B")
    detector = build_detector(replace(settings, detector=replace(settings.detector, rpn_samples=16, roi_samples=8)), classes)
    assert isinstance(detector, TwoStageDetector)
    random = torch.Generator().manual_seed(1)
    pyramid = [torch.randn(2, 16, -(-128 // s), -(-128 // s), generator=random) for s in (4, 8, 16, 32, 64)]
    size = (128, 128)
    first = replace(scene(size, 0, [(1, (10, 12, 60, 70)), (3, (40, 50, 100, 120))]), seed=11)
    second = replace(scene(size, 2, [(3, (30, 30, 94, 90))]), seed=12)
    both = [detector([x[i : i + 1] for x in pyramid], [size], [t])[1] for i, t in enumerate((first, second))]
    _, together = detector(pyramid, [size, size], [first, second])
    for name, term in together.items():
        torch.testing.assert_close(term.sum, both[0][name].sum + both[1][name].sum)
        assert term.count == both[0][name].count + both[1][name].count
    other = replace(first, seed=13)
    _, changed = detector([x[:1] for x in pyramid], [size], [other])
    assert any(changed[name].sum != both[0][name].sum for name in ("rpn_objectness", "box_class"))
