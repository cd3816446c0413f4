"""Three forms of one deformable convolution: values, gradients, borders and the choice between them."""

import io
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import deform_conv2d

from unipan.ops import deform
from unipan.ops.deform import deform_conv, project_then_gather, sample_then_project

Form = Callable[[Tensor, Tensor, Tensor], Tensor]


def three_taps_at_a_time(x: Tensor, offsets: Tensor, weight: Tensor) -> Tensor:
    """The form for a CPU, as it goes through a large map."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(deform, "MOST_BYTES", 3 * x.element_size() * x[:, 0].numel() * len(weight))
        return project_then_gather(x, offsets, weight)


def each_tap_alone(x: Tensor, offsets: Tensor, weight: Tensor) -> Tensor:
    """The form for a CPU, as it goes through a very large map."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(deform, "MOST_BYTES", 0)
        return project_then_gather(x, offsets, weight)


FORMS: list[Form] = [project_then_gather, three_taps_at_a_time, each_tap_alone, sample_then_project]


def reference(x: Tensor, offsets: Tensor, weight: Tensor) -> Tensor:
    return deform_conv2d(x, offsets, weight, padding=(1, 1))


def arguments(batch=2, cin=5, cout=4, height=6, width=9, spread=3, dtype=torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    """Random arguments whose positions all lie between cells, away from the kinks, some of them outside the map."""
    random = torch.Generator().manual_seed(7)
    shape = (batch, 18, height, width)
    offsets = torch.randint(-spread, spread + 1, shape, generator=random) + 0.1 + 0.8 * torch.rand(shape, generator=random)
    x = torch.randn(batch, cin, height, width, generator=random)
    weight = torch.randn(cout, cin, 3, 3, generator=random)
    return x.to(dtype).requires_grad_(), offsets.to(dtype).requires_grad_(), weight.to(dtype).requires_grad_()


def gradients(form: Form, tensors: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, ...]:
    out = form(*tensors)
    pull = torch.linspace(-1, 2, out.numel(), dtype=out.dtype).view_as(out)
    return torch.autograd.grad(out, tensors, pull)


def close(actual: Tensor, expected: Tensor, tolerance: float = 1e-5) -> None:
    assert actual.shape == expected.shape
    assert (actual - expected).abs().max() <= tolerance * expected.abs().max().clamp(min=1)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [(6, 9), (1, 1), (1, 7), (5, 1)])
def test_values_and_gradients_equal_torchvision(form: Form, dtype: torch.dtype, size: tuple[int, int]) -> None:
    tensors = arguments(height=size[0], width=size[1], dtype=dtype)
    close(form(*tensors), reference(*tensors))
    for mine, theirs in zip(gradients(form, tensors), gradients(reference, tensors), strict=True):
        close(mine, theirs)


def test_fast_form_equals_torchvision_at_a_real_size() -> None:
    x, offsets, weight = arguments(batch=1, cin=64, cout=32, height=40, width=56, dtype=torch.float32)
    close(project_then_gather(x, offsets, weight), reference(x, offsets, weight))


@pytest.mark.parametrize("form", FORMS)
def test_gradcheck(form: Form) -> None:
    assert torch.autograd.gradcheck(form, arguments(batch=1, cin=2, cout=3, height=3, width=4, spread=2))


@pytest.mark.parametrize("form", FORMS)
def test_zero_offsets_are_a_plain_convolution(form: Form) -> None:
    x, offsets, weight = arguments()
    close(form(x, torch.zeros_like(offsets), weight), F.conv2d(x, weight, padding=1))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("far", [-1e30, -50.5, -12.0, 50.5, 1e9, float("inf")])
def test_far_outside_the_image_everything_is_zero(form: Form, far: float) -> None:
    x, offsets, weight = arguments()
    away = torch.full_like(offsets, far, requires_grad=True)
    assert not form(x, away, weight).any()
    for gradient in gradients(form, (x, away, weight)):
        assert not gradient.any()


@pytest.mark.parametrize("form", FORMS)
def test_on_the_border_only_the_neighbours_inside_count(form: Form) -> None:
    x = torch.ones(1, 1, 1, 1, dtype=torch.float64)
    weight = torch.zeros(1, 1, 3, 3, dtype=torch.float64)
    weight[0, 0, 1, 1] = 1
    offsets = torch.zeros(1, 9, 2, 1, 1, dtype=torch.float64)
    offsets[0, 4, :, 0, 0] = torch.tensor([-0.25, 0.5])
    close(form(x, offsets.view(1, 18, 1, 1), weight), torch.full_like(x, 0.75 * 0.5))


def test_of_large_maps_so_many_taps_are_multiplied_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    counts: list[int] = []
    monkeypatch.setattr(deform, "sum_rows", lambda rows, index, share: counts.append(index.shape[1] // 4) or rows[: len(index)])
    for form in FORMS[:-1]:
        form(*arguments())
    assert counts == [9, 3, 3, 3, *[1] * 9]


def test_a_nan_offset_shows() -> None:
    x, offsets, weight = arguments()
    broken = offsets.detach().clone()
    broken[0, 0, 0, 0] = float("nan")
    out = project_then_gather(x, broken, weight)
    assert out[0, :, 0, 0].isnan().all()
    assert out[1].isfinite().all()


def test_at_whole_positions_the_gradient_looks_forward() -> None:
    """Floor convention: on the ramp 0 1 4 9 the slope at a whole position is the step to the next cell, 0 beyond the map."""
    x = torch.tensor([0.0, 1, 4, 9], dtype=torch.float64).view(1, 1, 1, 4)
    weight = torch.zeros(1, 1, 3, 3, dtype=torch.float64)
    weight[0, 0, 1, 1] = 1
    offsets = torch.zeros(1, 18, 1, 4, dtype=torch.float64, requires_grad=True)
    project_then_gather(x, offsets, weight).sum().backward()
    slopes_y, slopes_x = offsets.grad[0, 8, 0], offsets.grad[0, 9, 0]
    assert slopes_x.tolist() == [1, 3, 5, -9]
    assert slopes_y.tolist() == [0, -1, -4, -9]


def test_the_floor_convention_is_torchvision_s() -> None:
    x, offsets, weight = arguments()
    whole = offsets.detach().floor().requires_grad_()
    for mine, theirs in zip(
        gradients(project_then_gather, (x, whole, weight)), gradients(reference, (x, whole, weight)), strict=True
    ):
        close(mine, theirs)


def test_on_a_cpu_the_fast_form_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deform, "sample_then_project", None)
    monkeypatch.setattr(deform, "deform_conv2d", None)
    tensors = arguments()
    close(deform_conv(*tensors), reference(*tensors))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_reduced_precision_is_computed_in_float32(dtype: torch.dtype) -> None:
    tensors = tuple(t.detach().to(dtype) for t in arguments())
    out = deform_conv(*tensors)
    assert out.dtype == dtype
    expected = reference(*(t.float() for t in tensors))
    assert torch.equal(out, project_then_gather(*(t.float() for t in tensors)).to(dtype))
    close(out.float(), expected, tolerance=1e-2)


def test_under_autocast_it_runs_and_learns() -> None:
    x, offsets, weight = arguments(dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = deform_conv(x.bfloat16(), offsets, weight)
    out.float().sum().backward()
    assert out.dtype == torch.bfloat16
    assert all(t.grad.isfinite().all() for t in (x, offsets, weight))


class Block(nn.Module):
    """One deformable convolution, to be exported."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight.detach())

    def forward(self, x: Tensor, offsets: Tensor) -> Tensor:
        return deform_conv(x, offsets, self.weight)


def test_torch_export_takes_the_plain_operators_for_any_size() -> None:
    x, offsets, weight = (t.detach() for t in arguments(dtype=torch.float32))
    sides = {2: torch.export.Dim("height", min=2), 3: torch.export.Dim("width", min=2)}
    program = torch.export.export(Block(weight), (x, offsets), dynamic_shapes=(sides, sides))
    operators = {str(node.target) for node in program.graph.nodes}
    assert any("grid_sampler" in name for name in operators)
    assert not any("torchvision" in name or "embedding_bag" in name for name in operators)
    wide, wide_offsets, _ = (t.detach() for t in arguments(height=11, width=5, dtype=torch.float32))
    close(program.module()(wide, wide_offsets), reference(wide, wide_offsets, weight))


def test_onnx_gives_the_same_numbers() -> None:
    pytest.importorskip("onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    x, offsets, weight = (t.detach() for t in arguments(dtype=torch.float32))
    file = io.BytesIO()
    torch.onnx.export(
        Block(weight),
        (x, offsets),
        file,  # type: ignore[arg-type]
        dynamo=False,
        opset_version=17,
        input_names=["x", "offsets"],
        output_names=["out"],
    )
    session = onnxruntime.InferenceSession(file.getvalue(), providers=["CPUExecutionProvider"])
    (out,) = session.run(None, {"x": x.numpy(), "offsets": offsets.numpy()})
    close(torch.from_numpy(out), reference(x, offsets, weight))
