"""Starting from torchvision's Mask R-CNN: what is taken computes what torchvision computes, what is left says why."""

import os
from collections import OrderedDict
from collections.abc import Callable
from functools import cache
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision.models import detection

from unipan.classes import ClassInfo, ClassTable
from unipan.config import DetectorConfig, ModelConfig
from unipan.errors import InputError
from unipan.models.build import build_network
from unipan.models.given_weights import read_weights
from unipan.models.network import PanopticNetwork
from unipan.models.warm_start import WarmStart, renamed, warm_start

THINGS = ("Person", "rider", "dog")
COCO_LABELS = {1: 1, 3: 18}
"""Our label -> COCO's, of the classes that both have; "rider" is ours alone."""
CLASSES = ClassTable(
    tuple(
        ClassInfo(name=name, is_thing=name in THINGS, dataset_id=number, color=(0, 0, 0), supercategory=name)
        for number, name in enumerate(("road", *THINGS), start=1)
    )
)


@cache
def mask_rcnn(name: str = "maskrcnn_resnet50_fpn") -> nn.Module:
    """With random weights, and statistics and biases unlike those of a fresh one."""
    torch.manual_seed(0)
    model = getattr(detection, name)(weights=None, weights_backbone=None)
    with torch.no_grad():
        for tensor_name, tensor in model.state_dict().items():
            if tensor_name.endswith("running_var"):
                tensor.uniform_(0.5, 1.5)
            elif tensor_name.endswith(("running_mean", "bias")):
                tensor.normal_(0, 0.1)
            elif ".bn" in tensor_name and tensor_name.endswith("weight"):
                tensor.uniform_(0.4, 0.8)
    return model.eval()


def network(backbone: str = "resnet50", **detector: object) -> PanopticNetwork:
    torch.manual_seed(7)
    model = ModelConfig(
        backbone=backbone,
        pretrained=False,
        decoder_channels=(8,),
        affinity_dim=8,
        detector=DetectorConfig(**detector),  # type: ignore[arg-type]
    )
    return build_network(model, CLASSES).eval()


def start(ours: PanopticNetwork, path: Path, *, anchor_scale: float = 8.0) -> WarmStart:
    return warm_start(ours, str(path), things=THINGS, anchor_scale=anchor_scale, aspect_ratios=(0.5, 1.0, 2.0))


def saved(state: dict[str, Tensor], path: Path) -> Path:
    if path.suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save(state, path)
    return path


def pyramids(ours: PanopticNetwork, theirs: nn.Module) -> list[tuple[Tensor, Tensor]]:
    images = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    features = ours.backbone(images)
    mine = ours.fpn(OrderedDict((str(level), x) for level, x in enumerate(features)))
    return list(zip(mine.values(), theirs.backbone(images).values(), strict=True))  # type: ignore[operator,union-attr]


@torch.no_grad()
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_what_is_taken_computes_the_same(suffix: str, tmp_path: Path) -> None:
    ours, theirs = network(), mask_rcnn()
    before = {name: tensor.clone() for name, tensor in ours.state_dict().items()}
    report = start(ours, saved(theirs.state_dict(), tmp_path / f"weights{suffix}"))
    assert set(report.taken) == {"backbone", "pyramid", "proposals", "box head", "mask head"}
    assert report.left == {}
    for mine, wanted in pyramids(ours, theirs):
        torch.testing.assert_close(mine, wanted)

    heads, their_heads = ours.detector.roi_heads, theirs.roi_heads  # type: ignore[union-attr]
    regions = torch.randn(5, 256, 7, 7)
    scores, deltas = heads.box_predictor(heads.box_head(regions))  # type: ignore[union-attr,operator]
    their_scores, their_deltas = their_heads.box_predictor(their_heads.box_head(regions))  # type: ignore[union-attr,operator]
    masks = heads.mask_predictor(heads.mask_head(regions))  # type: ignore[union-attr,operator]
    their_masks = their_heads.mask_predictor(their_heads.mask_head(regions))  # type: ignore[union-attr,operator]
    for label, coco in {0: 0, **COCO_LABELS}.items():
        torch.testing.assert_close(scores[:, label], their_scores[:, coco])
        torch.testing.assert_close(deltas.view(5, -1, 4)[:, label], their_deltas.view(5, -1, 4)[:, coco])
        torch.testing.assert_close(masks[:, label], their_masks[:, coco])
    level = [torch.randn(1, 256, 8, 8)]
    for mine, wanted in zip(ours.detector.proposals._read(level), theirs.rpn.head(level), strict=True):  # type: ignore[union-attr,operator]
        torch.testing.assert_close(mine[0], wanted[0])

    assert report.classes_taken == ("Person", "dog")
    assert report.classes_left == ("rider",)
    rider = before["detector.roi_heads.box_predictor.cls_score.weight"][2]
    assert torch.equal(ours.state_dict()["detector.roi_heads.box_predictor.cls_score.weight"][2], rider)
    untouched = [name for name in before if name.startswith(("semantic_head", "affinity_head", "panoptic_head"))]
    assert untouched
    assert all(torch.equal(ours.state_dict()[name], before[name]) for name in untouched)


@torch.no_grad()
def test_version_2_gives_its_backbone_pyramid_and_mask_head(tmp_path: Path) -> None:
    ours, theirs = network(), mask_rcnn("maskrcnn_resnet50_fpn_v2")
    report = start(ours, saved(theirs.state_dict(), tmp_path / "v2.pth"))
    assert set(report.taken) == {"backbone", "pyramid", "mask head"}
    assert "more layers" in report.left["proposals"]
    assert "lacks detector.roi_heads.box_head.fc6" in report.left["box head"]
    for mine, wanted in pyramids(ours, theirs):
        torch.testing.assert_close(mine, wanted, rtol=1e-4, atol=1e-5)
    regions = torch.randn(2, 256, 14, 14)
    heads, their_heads = ours.detector.roi_heads, theirs.roi_heads  # type: ignore[union-attr]
    masks, their_masks = (h.mask_predictor(h.mask_head(regions)) for h in (heads, their_heads))  # type: ignore[union-attr,operator]
    torch.testing.assert_close(masks[:, 3], their_masks[:, 18], rtol=1e-4, atol=1e-5)


def test_names_from_before_torchvision_0_14() -> None:
    """As in torchvision's published weights of version 1."""
    old = {
        "backbone.fpn.inner_blocks.2.weight": "fpn.inner_blocks.2.0.weight",
        "backbone.fpn.layer_blocks.0.bias": "fpn.layer_blocks.0.0.bias",
        "rpn.head.conv.weight": "detector.proposals.rpn.head.conv.0.0.weight",
        "rpn.head.cls_logits.bias": "detector.proposals.rpn.head.cls_logits.bias",
        "roi_heads.mask_head.mask_fcn1.weight": "detector.roi_heads.mask_head.0.0.weight",
        "roi_heads.mask_head.mask_fcn4.bias": "detector.roi_heads.mask_head.3.0.bias",
        "backbone.body.layer1.0.downsample.0.weight": "backbone.body.layer1.0.downsample.0.weight",
    }
    assert list(renamed(dict.fromkeys(old, torch.zeros(1)))) == list(old.values())
    assert renamed({"backbone.body.bn1.num_batches_tracked": torch.zeros(1)}) == {}


def test_parts_that_do_not_fit_are_left_whole_and_say_why(tmp_path: Path) -> None:
    ours = network(box_channels=64, mask_channels=32, anchor_scale=4.0)
    before = {name: tensor.clone() for name, tensor in ours.state_dict().items() if name.startswith("detector.")}
    report = start(ours, saved(mask_rcnn().state_dict(), tmp_path / "weights.pth"), anchor_scale=4.0)
    assert set(report.taken) == {"backbone", "pyramid"}
    assert "anchors" in report.left["proposals"]
    assert "fc6" in report.left["box head"]
    assert "(1024," in report.left["box head"]
    assert "in the file, but" in report.left["mask head"]
    assert report.classes_taken == ()
    assert report.classes_left == THINGS
    assert all(torch.equal(ours.state_dict()[name], tensor) for name, tensor in before.items())


def test_heads_for_all_classes_take_none_of_theirs(tmp_path: Path) -> None:
    report = start(network(class_agnostic=True), saved(mask_rcnn().state_dict(), tmp_path / "weights.pth"))
    assert set(report.taken) == {"backbone", "pyramid", "proposals"}
    assert "in the file, but (4, 1024) here" in report.left["box head"]
    assert "in the file, but (1, 256, 1, 1) here" in report.left["mask head"]


def test_labels_that_are_not_coco_s_share_the_background_alone(tmp_path: Path) -> None:
    state = dict(mask_rcnn().state_dict())
    for name, rows in (("box_predictor.cls_score", 5), ("box_predictor.bbox_pred", 20), ("mask_predictor.mask_fcn_logits", 5)):
        for kind in ("weight", "bias"):
            state[f"roi_heads.{name}.{kind}"] = state[f"roi_heads.{name}.{kind}"][:rows].clone()
    ours = network()
    report = start(ours, saved(state, tmp_path / "weights.pth"))
    assert report.classes_left == THINGS
    assert "box head" in report.taken
    weights = ours.state_dict()["detector.roi_heads.box_predictor.cls_score.weight"]
    assert torch.equal(weights[0], state["roi_heads.box_predictor.cls_score.weight"][0])


def test_another_backbone_is_refused(tmp_path: Path) -> None:
    path = saved(mask_rcnn().state_dict(), tmp_path / "weights.pth")
    with pytest.raises(InputError, match=r"weights\.pth does not fit as train\.warm_start: .*--model\.backbone resnet50"):
        start(network("resnet10t"), path)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: None, "there is no file"),
        (lambda path: path.write_bytes(b"nonsense"), "neither .safetensors nor a PyTorch file"),
        (lambda path: torch.save(nn.Linear(1, 1), path), "neither .safetensors nor a PyTorch file of tensors alone"),
        (lambda path: torch.save({"model": {"a": torch.zeros(1)}}, path), "holds no state dict"),
        (lambda path: torch.save({"a": torch.zeros(1)}, path), "the file has no such part"),
    ],
)
def test_files_that_are_no_state_dict_are_refused(write: Callable[[Path], object], message: str, tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    write(path)
    with pytest.raises(InputError, match=message):
        start(network(), path)


URL = "https://download.pytorch.org/models/maskrcnn_resnet50_fpn_coco-bf2d0c1e.pth"
"""Where torchvision has its weights; the last word begins with the file's digest."""


def test_published_weights_come_by_torchvision_s_own_way(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With a stand-in for the download alone: it is asked for the right file and digest, and what it brings is taken."""
    asked = []

    def download(url: str, to: str, digest: str, progress: bool) -> None:
        asked.append((url, digest, progress))
        torch.save(mask_rcnn().state_dict(), to)

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.download_url_to_file", download)
    ours = network()
    report = warm_start(ours, "torchvision", things=THINGS, anchor_scale=8.0, aspect_ratios=(0.5, 1.0, 2.0))
    assert asked == [(URL, "bf2d0c1e", False)]
    assert (report.left, report.source, report.classes_taken) == ({}, "torchvision", ("Person", "dog"))
    given = mask_rcnn().state_dict()["backbone.body.layer3.2.conv2.weight"]
    assert torch.equal(ours.state_dict()["backbone.body.layer3.2.conv2.weight"], given)
    warm_start(network(), "torchvision", things=THINGS, anchor_scale=8.0, aspect_ratios=(0.5, 1.0, 2.0))
    assert len(asked) == 1, "what torchvision has in its cache is not fetched again"


@pytest.mark.parametrize("fault", [URLError("no route to host"), RuntimeError("invalid hash value")])
def test_published_weights_that_can_t_be_had_are_one_sentence(
    fault: Exception, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def download(*_: object, **__: object) -> None:
        raise fault

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.download_url_to_file", download)
    with pytest.raises(InputError, match=f"cannot have torchvision's weights .*{fault.args[0]}.*; fetch {URL} on a machine"):
        read_weights("torchvision")


def test_published_weights_execute_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    struck = tmp_path / "struck"

    class Bomb:
        def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
            return os.system, (f"touch {struck}",)

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.download_url_to_file", lambda url, to, digest, progress: torch.save(Bomb(), to))
    with pytest.raises(InputError, match="cannot have torchvision's weights"):
        read_weights("torchvision")
    assert not struck.exists()
