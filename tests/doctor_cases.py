"""A small clean data set in the COCO panoptic layout, and one planted fault of each kind that the doctor knows."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from raw_png import GRAY, RGB, packed, write_png

HEIGHT, WIDTH = 24, 32
CATEGORIES = [
    {"id": 0, "name": "cat", "isthing": 1},
    {"id": 20, "name": "dog", "isthing": 1},
    {"id": 30, "name": "sea", "isthing": 0},
    {"id": 40, "name": "lake", "isthing": 0},
]
SEA, LAKE, CAT, DOG, CROWD, MORE_SEA = 256, 65536 + 7, 3, 4, 500, 9
CATEGORY_OF_ID = {SEA: 30, LAKE: 40, CAT: 0, DOG: 20, CROWD: 0, MORE_SEA: 30}


def drawn() -> np.ndarray:
    """Sea above a lake, a cat, a dog, a crowd of cats, and a column of void at the right."""
    ids = np.full((HEIGHT, WIDTH), SEA)
    ids[12:] = LAKE
    ids[2:8, 3:9] = CAT
    ids[14:20, 12:17] = DOG
    ids[9:14, 22:28] = CROWD
    ids[:, 30:] = 0
    return ids


def entry_of(ids: np.ndarray, id: int) -> dict[str, Any]:
    """A segment's entry, counted by comparison."""
    y, x = np.nonzero(ids == id)
    box = [int(v) for v in (x.min(), y.min(), x.max() - x.min() + 1, y.max() - y.min() + 1)]
    return {"id": id, "category_id": CATEGORY_OF_ID[id], "area": len(x), "bbox": box, "iscrowd": int(id == CROWD)}


def entries_of(ids: np.ndarray) -> list[dict[str, Any]]:
    """`segments_info` of what is drawn."""
    return [entry_of(ids, id) for id in CATEGORY_OF_ID if (ids == id).any()]


def save_ids(path: Path, ids: np.ndarray) -> None:
    Image.fromarray(np.stack([ids % 256, ids // 256 % 256, ids // 65536], -1).astype(np.uint8)).save(path)


def write_clean(root: Path) -> Path:
    """Three images to learn from, two held out; returns the root."""
    random = np.random.default_rng(0)
    for split, numbers in (("train", (1, 2, 3)), ("val", (4, 5))):
        masks = root / "annotations" / f"panoptic_{split}"
        masks.mkdir(parents=True)
        (root / split).mkdir()
        content: dict[str, Any] = {"images": [], "annotations": [], "categories": CATEGORIES}
        for number in numbers:
            ids = drawn()
            Image.fromarray(random.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)).save(root / split / f"{number}.png")
            save_ids(masks / f"{number}.png", ids)
            content["images"].append({"id": number, "file_name": f"{number}.png", "height": HEIGHT, "width": WIDTH})
            annotation = {"image_id": number, "file_name": f"{number}.png", "segments_info": entries_of(ids)}
            content["annotations"].insert(0, annotation)  # in another order than the images
        masks.with_suffix(".json").write_text(json.dumps(content))
    return root


class Train:
    """The training split, to be spoilt."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.path = root / "annotations" / "panoptic_train.json"
        self.content = json.loads(self.path.read_text())
        self.images, self.annotations, self.categories = (self.content[k] for k in ("images", "annotations", "categories"))
        self.first = next(a for a in self.annotations if a["image_id"] == 1)
        self.segments = {segment["id"]: segment for segment in self.first["segments_info"]}
        self.image, self.png = root / "train" / "1.png", root / "annotations" / "panoptic_train" / "1.png"

    def redraw(self, ids: np.ndarray) -> None:
        """Give image 1 other labels, with the entries that fit them."""
        save_ids(self.png, ids)
        self.first["segments_info"] = entries_of(ids)

    def save(self) -> None:
        """Write the JSON as it now is."""
        self.path.write_text(json.dumps(self.content))


class Case(NamedTuple):
    """A fault: how to plant it, and what alone is then to be found, by the kind's name."""

    plant: Callable[[Train], object]
    found: dict[str, int]


def _remove_everywhere(train: Train, id: int) -> None:
    for annotation in train.annotations:
        ids = drawn()
        ids[ids == id] = 0
        save_ids(train.png.with_name(annotation["file_name"]), ids)
        annotation["segments_info"] = [s for s in annotation["segments_info"] if s["id"] != id]


def _dogs_as_crowds(train: Train) -> None:
    for annotation in train.annotations:
        for segment in annotation["segments_info"]:
            segment["iscrowd"] = int(segment["id"] == DOG)


def _redrawn(change: Callable[[np.ndarray], object]) -> Callable[[Train], None]:
    def plant(train: Train) -> None:
        ids = drawn()
        change(ids)
        train.redraw(ids)

    return plant


def _split_sea(ids: np.ndarray) -> None:
    ids[:2, :30] = MORE_SEA


def _one_pixel(ids: np.ndarray) -> None:
    ids[ids == DOG] = LAKE
    ids[15, 15] = DOG


def _crumble(ids: np.ndarray) -> None:
    """A cat in 24 single pixels that touch neither at a side nor at a corner."""
    ids[ids == CAT] = SEA
    ids[0:8:2, 0:12:2] = CAT


def _gray(train: Train) -> None:
    """The classic mistake: class numbers as gray values, which are no ids of the JSON."""
    Image.fromarray((drawn() % 7).astype(np.uint8)).save(train.png)


def _gray_ids(train: Train) -> None:
    """Small ids saved as gray values."""
    small = {SEA: 11, LAKE: 12, CAT: 13, DOG: 14, CROWD: 15}
    ids = np.vectorize(lambda id: small.get(id, 0))(drawn())
    Image.fromarray(ids.astype(np.uint8)).save(train.png)
    for segment in train.first["segments_info"]:
        segment["id"] = small[segment["id"]]


def _four_bits(train: Train) -> None:
    """Small ids as gray values of 4 bits, which Pillow multiplies by 17."""
    row = np.vectorize({SEA: 11, 0: 0}.get)(drawn()[0])
    train.redraw(np.tile(drawn()[0], (HEIGHT, 1)))
    write_png(train.png, width=WIDTH, height=HEIGHT, depth=4, color=GRAY, row=packed(row.tolist(), 4))
    train.first["segments_info"][0].update(id=11)


def _sixteen_bits(train: Train) -> None:
    """As OpenCV writes colors from numbers of 16 bits: Pillow keeps the upper byte, which is 0."""
    row = drawn()[0]
    train.redraw(np.tile(row, (HEIGHT, 1)))
    colors = [value for id in row for value in (id % 256, id // 256, 0)]
    write_png(train.png, width=WIDTH, height=HEIGHT, depth=16, color=RGB, row=packed(colors, 16))


def _palette(train: Train) -> None:
    _gray_ids(train)
    image = Image.open(train.png).convert("L")
    colored = Image.frombytes("P", image.size, image.tobytes())
    colored.putpalette([value for index in range(256) for value in (index * 37 % 256, index * 59 % 256, 200)])
    colored.save(train.png)


def _blue_first(train: Train) -> None:
    """As cv2.imwrite writes an array of RGB; the sea's color reads alike in both directions."""
    Image.fromarray(np.array(Image.open(train.png))[..., ::-1]).save(train.png)


def _palette_of_ids(train: Train) -> None:
    """Ids as the palette's colors, which is a fair form; but one of them is not listed."""
    Image.open(train.png).quantize(8).save(train.png)
    train.first["segments_info"].pop()


def _jpeg(train: Train) -> None:
    rgb = Image.open(train.png)
    rgb.save(train.png, format="JPEG")


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


def _turned(train: Train) -> None:
    """Turned by its EXIF tag: a person sees it upright, the labels lie on their side."""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(train.image).save(train.image, exif=exif)


def _copy_of(source: str) -> Callable[[Train], object]:
    """The same image again, in another file form."""
    return lambda train: Image.open(train.root / source).save(train.image, compress_level=0)


def _same_name(train: Train) -> None:
    train.image.rename(train.image.with_name("4.png"))
    train.images[0]["file_name"] = "4.png"


def _zero_is_a_dog(train: Train) -> None:
    """Ids counted from 0: the zeros of the PNG are a segment."""
    ids = drawn()
    ids[ids == 0] = LAKE
    ids[ids == DOG] = 0
    train.redraw(ids)
    train.first["segments_info"].append(train.segments[DOG] | {"id": 0})


def _from_windows(train: Train) -> None:
    """Image and PNG in subfolders, named as on Windows."""
    for path, entry in ((train.image, train.images[0]), (train.png, train.first)):
        (path.parent / "sub").mkdir()
        path.rename(path.parent / "sub" / path.name)
        entry["file_name"] = f"sub\\{path.name}"


def _in_two_folders(train: Train) -> None:
    for folder in ("a", "b"):
        (train.image.parent / folder).mkdir()
        Image.open(train.image).save(train.image.parent / folder / train.image.name)
    train.image.unlink()


def _ten_bits(train: Train) -> None:
    gray = np.arange(HEIGHT * WIDTH, dtype=np.uint16).reshape(HEIGHT, WIDTH)
    Image.fromarray(gray).save(train.image)


def _two_pages(train: Train) -> None:
    with Image.open(train.image) as image:
        image.save(train.image, format="TIFF", save_all=True, append_images=[image.rotate(180)])


def _all_of_one_kind(isthing: int) -> Callable[[Train], None]:
    """In both splits, as an exporter does it that does not know the flag."""

    def plant(train: Train) -> None:
        for path in (train.path, train.path.with_name("panoptic_val.json")):
            content = train.content if path == train.path else json.loads(path.read_text())
            for category in content["categories"]:
                category["isthing"] = isthing
            path.write_text(json.dumps(content))

    return plant


def _drawn_ids_refused(train: Train) -> None:
    """All that is drawn is listed, but no entry of it can be used; what can be is not drawn."""
    for segment in train.segments.values():
        segment.pop("category_id")
    train.first["segments_info"].append({"id": 4711, "category_id": 20})


def _listed_twice(train: Train) -> None:
    """Under two ids, with labels that contradict each other."""
    train.images.append(train.images[0] | {"id": 77})
    train.annotations.append(train.first | {"image_id": 77, "segments_info": list(train.first["segments_info"])})


def _one_png_of_two(train: Train) -> None:
    """Their labels fit both, so nothing else is wrong."""
    other = next(a for a in train.annotations if a["image_id"] == 2)
    other.update(file_name=train.first["file_name"], segments_info=train.first["segments_info"])


CASES = {
    "no categories": Case(lambda t: t.categories.clear(), {"category-count": 1}),
    "category without isthing": Case(lambda t: t.categories[3].pop("isthing"), {"category-malformed": 1}),
    "category id no number": Case(lambda t: t.categories[3].update(id="forty"), {"category-malformed": 1}),
    "isthing as text": Case(lambda t: t.categories[3].update(isthing="no"), {"category-malformed": 1}),
    "colors as shares": Case(lambda t: t.categories[3].update(color=[0.5, 0.1, 0.2]), {"category-color": 1}),
    "category id twice": Case(lambda t: t.categories.append(dict(t.categories[3])), {"category-repeated": 1}),
    "category id of two classes": Case(
        lambda t: t.categories.append({"id": 40, "name": "pond", "isthing": 0}), {"category-ambiguous": 1}
    ),
    "category id of a thing and stuff": Case(
        lambda t: t.categories.append({"id": 40, "name": "lake", "isthing": 1}), {"category-ambiguous": 1}
    ),
    "category name twice": Case(lambda t: t.categories[3].update(name="sea"), {"category-repeated": 1, "classes-differ": 1}),
    "image without file name": Case(lambda t: t.images.append({"id": 77}), {"entry-malformed": 1}),
    "annotation without segments": Case(lambda t: t.first.pop("segments_info"), {"entry-malformed": 1}),
    "segment without category": Case(lambda t: t.segments[CAT].pop("category_id"), {"entry-malformed": 1}),
    "iscrowd as text": Case(lambda t: t.segments[CAT].update(iscrowd="no"), {"entry-malformed": 1}),
    "nothing labelled": Case(lambda t: t.annotations.clear(), {"nothing-labelled": 1}),
    "image id twice": Case(lambda t: t.images.append(dict(t.images[0])), {"image-repeated": 1}),
    "image id of two files": Case(lambda t: t.images.append(t.images[0] | {"file_name": "2.png"}), {"image-repeated": 1}),
    "two annotations": Case(lambda t: t.annotations.append(dict(t.first)), {"annotation-repeated": 1}),
    "two annotations that disagree": Case(
        lambda t: t.annotations.append(t.first | {"segments_info": []}), {"annotation-repeated": 1}
    ),
    "image_id as text": Case(lambda t: t.first.update(image_id="1"), {"image-id-form": 1}),
    "all image_ids as text": Case(lambda t: [a.update(image_id=str(a["image_id"])) for a in t.annotations], {"image-id-form": 3}),
    "no annotation": Case(lambda t: t.annotations.remove(t.first), {"image-without-annotation": 1}),
    "no image entry": Case(lambda t: t.images.pop(0), {"annotation-without-image": 1}),
    "name with ..": Case(lambda t: t.images[0].update(file_name="../train/1.png"), {"unsafe-file-name": 1}),
    "absolute PNG": Case(lambda t: t.first.update(file_name=str(t.png)), {"unsafe-file-name": 1}),
    "segment id of two classes": Case(
        lambda t: t.first["segments_info"].append(t.segments[CAT] | {"category_id": 20}), {"segment-repeated": 1}
    ),
    "segment id twice": Case(lambda t: t.first["segments_info"].append(dict(t.segments[CAT])), {"segment-repeated": 1}),
    "segment id 0": Case(lambda t: t.first["segments_info"].append({"id": 0, "category_id": 20}), {"segment-id-range": 1}),
    "a segment drawn with id 0": Case(_zero_is_a_dog, {"segment-id-range": 1}),
    "segment id 2^24": Case(lambda t: t.first["segments_info"].append({"id": 2**24, "category_id": 20}), {"segment-id-range": 1}),
    "unknown category": Case(lambda t: t.segments[DOG].update(category_id=99), {"unknown-category": 1}),
    "two seas": Case(_redrawn(_split_sea), {"several-stuff-segments": 1}),
    "no image": Case(lambda t: t.image.unlink(), {"image-missing": 1}),
    "backslashes": Case(_from_windows, {"backslashes": 1}),
    "another suffix": Case(lambda t: t.images[0].update(file_name="1.jpg"), {"image-missing": 1}),
    "two of one name": Case(_in_two_folders, {"image-ambiguous": 1}),
    "ten bits of sixteen": Case(_ten_bits, {"nearly-black": 1}),
    "two pages": Case(_two_pages, {"further-frames": 1}),
    "all stuff": Case(_all_of_one_kind(0), {"no-things": 1}),
    "all things": Case(_all_of_one_kind(1), {"no-stuff": 3}),
    "one PNG of two images": Case(_one_png_of_two, {"png-shared": 1}),
    "listed twice": Case(_listed_twice, {"duplicate-image": 1}),
    "cut image": Case(lambda t: _cut(t.image), {"image-unreadable": 1}),
    "no PNG": Case(lambda t: t.png.unlink(), {"png-missing": 1}),
    "cut PNG": Case(lambda t: t.png.write_bytes(t.png.read_bytes()[:60]), {"png-unreadable": 1}),
    "gray PNG": Case(_gray, {"png-mode": 1}),
    "gray ids": Case(_gray_ids, {"png-mode": 1}),
    "gray ids of 4 bits": Case(_four_bits, {"png-mode": 1}),
    "colors of 16 bits": Case(_sixteen_bits, {"png-mode": 1}),
    "palette ids": Case(_palette, {"png-mode": 1}),
    "blue first": Case(_blue_first, {"png-mode": 1}),
    "another image's PNG": Case(lambda t: save_ids(t.png, drawn() + 1000), {"no-listed-id": 1}),
    "a black PNG": Case(lambda t: save_ids(t.png, drawn() * 0), {"no-listed-id": 1}),
    "only entries that are refused have pixels": Case(_drawn_ids_refused, {"entry-malformed": 5, "id-only-in-json": 1}),
    "alpha": Case(lambda t: Image.open(t.png).convert("RGBA").save(t.png), {"png-mode": 1}),
    "palette of ids": Case(_palette_of_ids, {"id-only-in-png": 1}),
    "JPEG for PNG": Case(_jpeg, {"png-mode": 1}),
    "another size": Case(lambda t: Image.open(t.image).resize((WIDTH, HEIGHT + 1)).save(t.image), {"size-image-png": 1}),
    "turned by EXIF": Case(_turned, {"size-image-png": 1}),
    "size in the JSON": Case(lambda t: t.images[0].update(width=HEIGHT, height=WIDTH), {"size-json": 1}),
    "segment without pixels": Case(
        lambda t: t.first["segments_info"].append({"id": 4711, "category_id": 20}), {"id-only-in-json": 1}
    ),
    "ids not listed": Case(lambda t: t.first["segments_info"].pop(), {"id-only-in-png": 1}),
    "wrong area": Case(lambda t: t.segments[CAT].update(area=1), {"wrong-area": 1}),
    "wrong box": Case(lambda t: t.segments[CAT].update(bbox=[3, 2, 9, 8]), {"wrong-box": 1}),
    "all void": Case(_redrawn(lambda ids: ids.fill(0)), {"empty-image": 1}),
    "over half void": Case(_redrawn(lambda ids: ids[:, 8:].fill(0)), {"mostly-void": 1}),
    "one pixel": Case(_redrawn(_one_pixel), {"tiny-segment": 1}),
    "crumbs": Case(_redrawn(_crumble), {"scattered-thing": 1}),
    "no dog": Case(lambda t: _remove_everywhere(t, DOG), {"class-unseen": 1}),
    "dogs as crowds": Case(_dogs_as_crowds, {"only-crowds": 1}),
    "other class order": Case(lambda t: t.categories.reverse(), {"classes-differ": 1}),
    "one class more": Case(
        lambda t: t.categories.append({"id": 50, "name": "cow", "isthing": 1}), {"class-unseen": 1, "classes-differ": 1}
    ),
    "held-out image": Case(_copy_of("val/4.png"), {"overlap-image": 1}),
    "held-out name": Case(_same_name, {"overlap-name": 1}),
    "twice in a split": Case(_copy_of("train/2.png"), {"duplicate-image": 1}),
}
