"""A NaN never reaches the weights: it is named, its batch is kept, and the step is left out or the training ends."""

from dataclasses import replace
from math import inf, nan
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from seen import Seen
from torch import Tensor, nn

from unipan.choices import OnNonfinite
from unipan.classes import ClassInfo, ClassTable
from unipan.config import LossConfig
from unipan.engine.fit import Step, Trainer, fit
from unipan.engine.guards import GRADIENT, MAX_IN_A_ROW, Guard
from unipan.engine.optimize import build_optimizer
from unipan.engine.runtime import Runtime
from unipan.engine.saved_batch import SavedBatch, load_batch, save_batch
from unipan.errors import InputError
from unipan.losses.build import build_criterion
from unipan.terms import Losses, Term
from unipan.types import Admission, Batch, Target

CLASSES = ClassTable((ClassInfo(name="sky", is_thing=False, dataset_id=1, color=(0, 0, 0), supercategory="sky"),))
TERMS = build_criterion(LossConfig(), CLASSES, void_channel=False).names


def batch(*names: str, value: float = 1.0) -> Batch:
    """Images of two sizes; the second one without things."""
    targets = (
        Target(
            boxes=torch.tensor([[0.0, 1.0, 2.0, 3.0]]),
            labels=torch.tensor([4]),
            instances=torch.zeros(4, 6, dtype=torch.int32),
            semantic=torch.full((4, 6), 7, dtype=torch.int16),
            seed=2**61,
        ),
        Target(
            boxes=torch.zeros(0, 4),
            labels=torch.zeros(0, dtype=torch.int64),
            instances=torch.full((3, 5), -1, dtype=torch.int32),
            semantic=torch.full((3, 5), 2, dtype=torch.int16),
        ),
    )
    images = torch.full((2, 3, 4, 6), value)
    return Batch(images=images, sizes=((4, 6), (3, 5)), targets=targets, names=names or ("a b/ä.png", "two.png"))


def assert_same_batch(one: Batch, other: Batch) -> None:
    torch.testing.assert_close(one.images, other.images, rtol=0, atol=0, equal_nan=True)
    assert (one.sizes, one.names) == (other.sizes, other.names)
    for mine, its in zip(one.targets, other.targets, strict=True):
        assert mine.seed == its.seed
        for part in ("boxes", "labels", "instances", "semantic"):
            assert torch.equal(getattr(mine, part), getattr(its, part))


@pytest.mark.parametrize("value", [nan, inf, -inf])
def test_what_is_not_finite_is_named_and_its_batch_kept(value: float, tmp_path: Path) -> None:
    guard = Guard(tmp_path, "stop")
    values = {"loss": value, "loss/mask": 0.5, "loss/rpn_box": value, "loss/panoptic": value}
    message = (
        r"^step 12: loss rpn_box, panoptic is not finite, on the images a b/ä\.png, two\.png \(saved in .*faulty-batch-12\.saf"
    )
    with pytest.raises(InputError, match=message):
        guard.broken(values, 12, batch())
    saved = load_batch(tmp_path / "faulty-batch-12.safetensors")
    assert (saved.step, saved.broken) == (12, ("rpn_box", "panoptic"))
    assert_same_batch(saved.batch, batch())


def test_finite_numbers_pass_and_write_nothing(tmp_path: Path) -> None:
    assert Guard(tmp_path, "stop").broken({"loss": 1e30, "loss/mask": -1e30}, 1, batch()) == ()
    assert not list(tmp_path.iterdir())


def test_a_total_that_overflows_alone_is_broken_too(tmp_path: Path) -> None:
    assert Guard(tmp_path, "skip").broken({"loss": inf, "loss/mask": 1e308, "loss/box_class": 1e308}, 3, batch()) == ("loss",)


def test_each_process_keeps_its_own_share(tmp_path: Path) -> None:
    for process in (0, 1):
        Guard(tmp_path, "skip", process=process, processes=2).broken({"loss/mask": nan}, 5, batch(f"{process}.png", "x.png"))
    names = [load_batch(tmp_path / f"faulty-batch-5-process-{p}.safetensors").batch.names for p in (0, 1)]
    assert names == [("0.png", "x.png"), ("1.png", "x.png")]


def test_skipping_ends_after_ten_in_a_row_and_only_then(tmp_path: Path) -> None:
    guard = Guard(tmp_path, "skip")
    for step in range(1, MAX_IN_A_ROW):
        assert guard.broken({"loss/mask": nan}, step, batch()) == ("mask",)
    for step in range(20, 20 + MAX_IN_A_ROW - 1):  # step 10 was fine, so these count anew
        guard.broken({"loss/mask": nan}, step, batch())
    with pytest.raises(InputError, match=r"10 steps in a row were left out, so the training ends"):
        guard.broken({"loss/mask": nan}, 20 + MAX_IN_A_ROW - 1, batch())


class OneWeight(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(5.0))

    def forward(self, images: Tensor, sizes, targets, *, admission) -> Tensor:
        return self.weight * images.mean()


class Planted:
    """Every term of a real criterion is the output; on images of value 3 one of them is not, or its gradient is not finite."""

    names = TERMS

    def __init__(self, term: str, value: float) -> None:
        self.term, self.value = term, value

    def terms(self, output: Tensor, targets) -> dict[str, Term]:
        terms = {name: Term(output, torch.tensor(1.0)) for name in TERMS}
        if output > 2.5 * 5:
            hurt = torch.sqrt(output * 0) if self.term == GRADIENT else output * self.value  # the root's slope at 0 is infinite
            terms[TERMS[0] if self.term == GRADIENT else self.term] = Term(hurt, torch.tensor(1.0))
        return terms

    def weigh(self, terms) -> Losses:
        return Losses({name: term.mean for name, term in terms.items()})


def run(folder: Path, criterion: Planted, on_nonfinite: OnNonfinite) -> tuple[OneWeight, list[Step]]:
    network, runtime, seen = OneWeight(), Runtime(device="cpu"), Seen()
    trainer = Trainer(
        network=runtime.prepare(network),
        criterion=criterion,  # type: ignore[arg-type]
        optimizer=build_optimizer(network, "sgd", momentum=0.9, weight_decay=0.0),
        runtime=runtime,
        rate=lambda step: 0.01 / len(TERMS),
        seed=0,
        clip_norm=1e6,
        admission=Admission(0.5, 3),
        passes=1,
        guard=Guard(folder, on_nonfinite),
    )
    fit(trainer, [batch(), batch("bad.png", "worse.png", value=3.0), batch()], [seen], first_step=1)
    return network, seen.steps


@pytest.mark.parametrize("term", [*TERMS, GRADIENT])
def test_nan_in_each_term_stops_before_the_weights(term: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=rf"^step 2: .*{term} is not finite, on the images bad\.png, worse\.png"):
        run(tmp_path, Planted(term, nan), "stop")
    assert load_batch(tmp_path / "faulty-batch-2.safetensors").broken == (term,)


@pytest.mark.parametrize("term", ["mask", GRADIENT])
def test_a_skipped_step_changes_neither_weights_nor_momentum(term: str, tmp_path: Path) -> None:
    network, steps = run(tmp_path, Planted(term, inf), "skip")
    assert [step.broken for step in steps] == [(), (term,), ()]
    first, second = 5 - 0.01, 5 - 0.01 - 0.01 * (1 + 0.9)  # SGD with momentum over the two good steps
    assert network.weight.item() == pytest.approx(second, abs=1e-5)
    assert steps[2].losses["loss/mask"] == pytest.approx(first, abs=1e-5)


def test_a_batch_with_nan_pixels_can_be_kept_too(tmp_path: Path) -> None:
    path = tmp_path / "batch.safetensors"
    save_batch(path, SavedBatch(1, batch(value=nan), ("mask",)))
    assert_same_batch(load_batch(path).batch, batch(value=nan))


def test_bytes_stay_bytes(tmp_path: Path) -> None:
    path, loaded = tmp_path / "batch.safetensors", replace(batch(), images=torch.full((2, 3, 4, 6), 200, dtype=torch.uint8))
    save_batch(path, SavedBatch(1, loaded, ("mask",)))
    assert load_batch(path).batch.images.dtype == torch.uint8
    assert_same_batch(load_batch(path).batch, loaded)


@pytest.mark.parametrize("harm", ["missing", "text", "other", "cut", "shape", "names"])
def test_a_file_that_is_no_batch_is_refused(harm: str, tmp_path: Path) -> None:
    path = tmp_path / "batch.safetensors"
    good = batch()
    match harm:
        case "text":
            path.write_text("nothing")
        case "other":
            save_file({"weight": torch.ones(2)}, path, {"kind": "model"})
        case "cut":
            save_batch(path, SavedBatch(1, good, ()))
            path.write_bytes(path.read_bytes()[:-10])
        case "shape":
            wrong = replace(good.targets[0], semantic=torch.zeros(2, 2, dtype=torch.int16))
            save_batch(path, SavedBatch(1, replace(good, targets=(wrong, good.targets[1])), ()))
        case "names":
            save_batch(path, SavedBatch(1, replace(good, names=("one.png",)), ()))
    with pytest.raises(InputError, match=r"batch\.safetensors"):
        load_batch(path)
