"""Every kind of fault that the doctor knows: how bad it is, what it is, how to mend it, and what `--fix` does about it."""

from enum import Enum

from unipan.data.cityscapes import TRAIN_IDS_REMEDY
from unipan.data.coco_json import RENUMBER
from unipan.tools.doctor.limits import MANY_PARTS, MIN_THING_PX
from unipan.tools.doctor.severity import Severity

_ERROR, _WARNING = Severity.ERROR, Severity.WARNING
_KEPT = "first kept where all mean the same, else the image is left out"


class Kind(Enum):
    """Each kind of fault: severity, what it is, what to do, and what `--fix` does, if anything."""

    CATEGORY_COUNT = _ERROR, "the categories are none, or more than 32,767", "List 1 to 32,767."
    CATEGORY_MALFORMED = (
        _ERROR,
        "categories that are no class",
        "Give each a whole number as id, a name, and isthing: 1 for countable things, 0 for stuff.",
    )
    CATEGORY_COLOR = (
        _ERROR,
        "categories with a color that is none",
        "Write [red, green, blue], each 0 to 255, or leave the color out.",
        "given a default color",
    )
    CATEGORY_REPEATED = (
        _ERROR,
        "category ids or names that stand twice",
        "Make each id and each name unique.",
        "of an id the first is kept; a name gets its id added",
    )
    CATEGORY_AMBIGUOUS = _ERROR, "category ids that stand for two classes", "Give each class its id, and its segments that id."
    CLASSES_DIFFER = (
        _ERROR,
        "splits with other categories than the first",
        "Give all splits the same categories, in the same order.",
    )
    NOTHING_LABELLED = (
        _ERROR,
        "splits in which no image has an annotation",
        "Label some images, or check that each annotation's image_id is the id of an image.",
    )
    ENTRY_MALFORMED = (
        _ERROR,
        "entries that lack a key or hold a wrong type",
        "images need id and file_name; annotations image_id, file_name and segments_info; segments id and category_id. "
        "An iscrowd is 0 or 1.",
        "left out",
    )
    IMAGE_REPEATED = _ERROR, "image ids that stand twice", "Give each image its own id.", _KEPT
    ANNOTATION_REPEATED = _ERROR, "images with several annotations", "Keep one annotation an image.", _KEPT
    IMAGE_WITHOUT_ANNOTATION = (
        _WARNING,
        "images without an annotation",
        "Training leaves them out; label them, or remove them from the JSON.",
        "left out",
    )
    ANNOTATION_WITHOUT_IMAGE = _ERROR, "annotations of no image", "Add the image, or remove the annotation.", "left out"
    IMAGE_ID_FORM = (
        _ERROR,
        "image_ids of annotations that are a text where images has a number, or the reverse",
        "Write both alike.",
        "joined",
    )
    UNSAFE_FILE_NAME = (
        _ERROR,
        "file names that lead out of their folder",
        "Name files below the folder, without .. and without a leading slash.",
        "image left out",
    )
    BACKSLASHES = (
        _WARNING,
        "file names with backslashes between folders, as Windows writes them",
        "Write / in their place: other tools elsewhere don't find these files.",
        "written with /",
    )
    SEGMENT_REPEATED = (
        _ERROR,
        "segment ids that stand twice in an image",
        "Give each segment of an image its own id.",
        "first kept where all mean the same, else made void",
    )
    SEGMENT_ID_RANGE = (
        _ERROR,
        "segment ids outside 1 to 16777215",
        RENUMBER,
        "a 0 renumbered where its area is that of the PNG's zeros, all else left out",
    )
    UNKNOWN_CATEGORY = (
        _ERROR,
        "segments of a category that is not listed",
        "Add the category, or make the segments void.",
        "made void",
    )
    SEVERAL_STUFF_SEGMENTS = (
        _WARNING,
        "several segments of one stuff class in an image",
        "Make them one segment; evaluation counts a split wall as a mistake.",
        "joined",
    )
    NO_THINGS = (
        _WARNING,
        "no category is a thing, so no instance will be learnt",
        "Write isthing 1 for what can be counted; some exporters don't know the flag. Nothing is joined meanwhile.",
    )
    NO_STUFF = (
        _WARNING,
        "every category is a thing, although hardly a pixel is void",
        "Write isthing 0 for what can't be counted, such as sky or ground; some exporters don't know the flag.",
    )
    TRAIN_IDS = _ERROR, "truth that seems to be written in train ids instead of label ids", TRAIN_IDS_REMEDY
    PERHAPS_TRAIN_IDS = _WARNING, "labels that are all small enough to be train ids", TRAIN_IDS_REMEDY
    IMAGE_AMBIGUOUS = _ERROR, "image names that several files bear", "Write the subfolder into the JSON's file_name.", "left out"
    IMAGE_MISSING = _ERROR, "missing images", "Add the file, mend its name, or name the right --images.", "left out"
    IMAGE_UNREADABLE = _ERROR, "unreadable images", "Fetch or save the file again.", "left out"
    NEARLY_BLACK = (
        _WARNING,
        "images that are nearly black, since they use a small part of their numbers' range",
        "Scale their values to the whole range, and save them again.",
    )
    FURTHER_FRAMES = (
        _WARNING,
        "image files of several pages or frames, of which the first is read",
        "Save each as a file of its own, and label it.",
    )
    PNG_MISSING = _ERROR, "missing panoptic PNGs", "Add the file, or name the right --masks.", "left out"
    PNG_SHARED = _WARNING, "panoptic PNGs that several images name", "Write a PNG for each image."
    PNG_UNREADABLE = _ERROR, "unreadable panoptic PNGs", "Fetch or write the file again.", "left out"
    PNG_MODE = (
        _ERROR,
        "panoptic PNGs of a wrong form",
        "Write ids as RGB: id = R + 256 G + 65536 B (no palette, no gray, no JPEG, not blue first).",
        "rewritten where gray values, palette indices or swapped channels are the JSON's ids, else left out",
    )
    SIZE_IMAGE_PNG = (
        _ERROR,
        "image and PNG of different sizes",
        "Use the image that was labelled. Width and height swapped: the image is turned by its EXIF tag, the labels are not.",
        "left out",
    )
    SIZE_JSON = _WARNING, "width or height wrong in the JSON", "Write the PNG's own size.", "corrected"
    NO_LISTED_ID = (
        _ERROR,
        "panoptic PNGs with none of the ids that the JSON lists",
        "Look whether the PNG is another image's, or its ids are not written as R + 256 G + 65536 B.",
        "left out",
    )
    ID_ONLY_IN_JSON = _ERROR, "segments without a pixel in the PNG", "Remove them from segments_info, or draw them.", "left out"
    ID_ONLY_IN_PNG = (
        _ERROR,
        "ids in the PNG that the JSON does not list",
        "List them in segments_info, or make them void (0).",
        "made void",
    )
    WRONG_AREA = (
        _WARNING,
        "areas that are not the PNG's",
        "Count them anew; training does not read them, but some evaluators trust them.",
        "corrected",
    )
    WRONG_BOX = _WARNING, "boxes more than a pixel off", "Take the tight box [x, y, width, height].", "corrected"
    EMPTY_IMAGE = _WARNING, "images without any segment", "Label them, or remove them: all is void."
    MOSTLY_VOID = _WARNING, "images over half void", "Check that labels are not missing."
    TINY_SEGMENT = _WARNING, f"segments under {MIN_THING_PX} px", "Often slips of the pen; make them void."
    SCATTERED_THING = (
        _WARNING,
        f"things in more than {MANY_PARTS} parts",
        "Look whether several things share one id, or whether crumbs are left.",
    )
    CLASS_UNSEEN = _WARNING, "classes never seen", "Label some, or take them off the list."
    ONLY_CROWDS = (
        _WARNING,
        "classes of things all of whose segments are crowds, so no instance can be learnt from them",
        "iscrowd 1 means a region of many that are not told apart; write 0 for each single thing.",
    )
    DUPLICATE_IMAGE = _WARNING, "the same image twice in a split", "Keep one: their labels may disagree."
    OVERLAP_IMAGE = _WARNING, "images that are in an earlier split too", "Keep each in one split, or the score is flattered."
    OVERLAP_NAME = (
        _WARNING,
        "a few file names that are in an earlier split too, with other pixels",
        "Check that these are not versions of the same image.",
    )

    def __init__(self, severity: Severity, title: str, remedy: str, fix: str = "") -> None:
        self.severity = severity
        self.title = title
        self.remedy = remedy
        self.fix = fix
        """What `--fix` does; empty where it can do nothing."""

    @property
    def slug(self) -> str:
        """Its name in JSON reports."""
        return self.name.lower().replace("_", "-")
