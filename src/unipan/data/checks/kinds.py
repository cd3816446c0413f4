"""Every kind of fault that the doctor knows: how bad it is, what it is, how to mend it, and what `--fix` does about it."""

from enum import Enum

MIN_THING_PX = 4
"""Things below are not trained on by default (data.min_thing_px)."""
MOST_VOID = 0.5
"""An image with a larger share of void is named."""
MANY_PARTS = 20
"""A thing in more parts than this is named; occlusion alone seldom makes so many."""


class Severity(Enum):
    """How bad a fault is."""

    ERROR = "error"
    """It would break training, or reach outside the data set's folders."""
    WARNING = "warning"
    """Training runs, but perhaps not on what was meant."""


class Kind(Enum):
    """Each kind of fault: its name in JSON reports, severity, what it is, what to do, and what `--fix` does, if anything."""

    CATEGORY_COUNT = "category-count", Severity.ERROR, "the categories are none, or more than 254", "List 1 to 254.", ""
    CATEGORY_MALFORMED = (
        "category-malformed",
        Severity.ERROR,
        "categories that are no class",
        "Give each a whole number as id, a name, and isthing: 1 for countable things, 0 for stuff.",
        "",
    )
    CATEGORY_REPEATED = (
        "category-repeated",
        Severity.ERROR,
        "category ids or names that stand twice",
        "Make each id and each name unique.",
        "of an id the first is kept; a name gets its id added",
    )
    CLASSES_DIFFER = (
        "classes-differ",
        Severity.ERROR,
        "splits with other categories than the first",
        "Give all splits the same categories, in the same order.",
        "",
    )
    NOTHING_LABELLED = (
        "nothing-labelled",
        Severity.ERROR,
        "splits in which no image has an annotation",
        "Label some images, or check that each annotation's image_id is the id of an image.",
        "",
    )
    ENTRY_MALFORMED = (
        "entry-malformed",
        Severity.ERROR,
        "entries that lack a key or hold a wrong type",
        "images need id and file_name; annotations image_id, file_name and segments_info; segments id and category_id.",
        "left out",
    )
    IMAGE_REPEATED = "image-repeated", Severity.ERROR, "image ids that stand twice", "Give each image its own id.", "first kept"
    ANNOTATION_REPEATED = (
        "annotation-repeated",
        Severity.ERROR,
        "images with several annotations",
        "Keep one annotation an image.",
        "first kept",
    )
    NO_ANNOTATION = (
        "image-without-annotation",
        Severity.WARNING,
        "images without an annotation",
        "Training leaves them out; label them, or remove them from the JSON.",
        "left out",
    )
    NO_IMAGE = (
        "annotation-without-image",
        Severity.ERROR,
        "annotations of no image",
        "Add the image, or remove the annotation.",
        "left out",
    )
    UNSAFE_NAME = (
        "unsafe-file-name",
        Severity.ERROR,
        "file names that lead out of their folder",
        "Name files below the folder, without .. and without a leading slash.",
        "image left out",
    )
    SEGMENT_REPEATED = (
        "segment-repeated",
        Severity.ERROR,
        "segment ids that stand twice in an image",
        "Give each segment of an image its own id.",
        "first kept",
    )
    SEGMENT_ID_RANGE = (
        "segment-id-range",
        Severity.ERROR,
        "segment ids outside 1 to 16777215",
        "Renumber: 0 is void, and three bytes hold no more.",
        "left out",
    )
    UNKNOWN_CATEGORY = (
        "unknown-category",
        Severity.ERROR,
        "segments of a category that is not listed",
        "Add the category, or make the segments void.",
        "made void",
    )
    SEVERAL_STUFF = (
        "several-stuff-segments",
        Severity.WARNING,
        "several segments of one stuff class in an image",
        "Make them one segment; evaluation counts a split wall as a mistake.",
        "joined",
    )
    IMAGE_MISSING = "image-missing", Severity.ERROR, "missing images", "Add the file, or name the right --images.", "left out"
    IMAGE_UNREADABLE = "image-unreadable", Severity.ERROR, "unreadable images", "Fetch or save the file again.", "left out"
    PNG_MISSING = "png-missing", Severity.ERROR, "missing panoptic PNGs", "Add the file, or name the right --masks.", "left out"
    PNG_UNREADABLE = "png-unreadable", Severity.ERROR, "unreadable panoptic PNGs", "Fetch or write the file again.", "left out"
    PNG_MODE = (
        "png-mode",
        Severity.ERROR,
        "panoptic PNGs of a wrong form",
        "Write ids as RGB: id = R + 256 G + 65536 B (no palette, no gray, no JPEG).",
        "rewritten where gray values or palette places are the JSON's ids, else left out",
    )
    SIZE_PNG = (
        "size-image-png",
        Severity.ERROR,
        "image and PNG of different sizes",
        "Use the image that was labelled. Width and height swapped: the photo is turned by its EXIF tag, the labels are not.",
        "left out",
    )
    SIZE_JSON = "size-json", Severity.WARNING, "width or height wrong in the JSON", "Write the PNG's own size.", "corrected"
    ID_ONLY_JSON = (
        "id-only-in-json",
        Severity.ERROR,
        "segments that have no pixel in the PNG",
        "Remove them from segments_info, or draw them.",
        "left out",
    )
    ID_ONLY_PNG = (
        "id-only-in-png",
        Severity.ERROR,
        "ids in the PNG that the JSON does not list",
        "List them in segments_info, or make them void (0).",
        "made void",
    )
    AREA = (
        "wrong-area",
        Severity.WARNING,
        "areas that are not the PNG's",
        "Count them anew; training does not read them, but some evaluators trust them.",
        "corrected",
    )
    BOX = "wrong-box", Severity.WARNING, "boxes more than a pixel off", "Take the tight box [x, y, width, height].", "corrected"
    EMPTY = "empty-image", Severity.WARNING, "images without any segment", "Label them, or remove them: all is void.", ""
    MOSTLY_VOID = "mostly-void", Severity.WARNING, "images over half void", "Check that labels are not missing.", ""
    TINY = "tiny-segment", Severity.WARNING, f"segments under {MIN_THING_PX} px", "Often slips of the pen; make them void.", ""
    SCATTERED = (
        "scattered-thing",
        Severity.WARNING,
        f"things in more than {MANY_PARTS} parts",
        "Look whether several things share one id, or whether crumbs are left.",
        "",
    )
    CLASS_UNSEEN = "class-unseen", Severity.WARNING, "classes never seen", "Label some, or take them off the list.", ""
    PICTURE_REPEATED = (
        "picture-repeated",
        Severity.WARNING,
        "the same picture twice in a split",
        "Keep one: their labels may disagree.",
        "",
    )
    OVERLAP_PICTURE = (
        "overlap-picture",
        Severity.WARNING,
        "pictures that are in an earlier split too",
        "Keep each in one split, or the score is flattered.",
        "",
    )
    OVERLAP_NAME = (
        "overlap-name",
        Severity.WARNING,
        "file names that are in an earlier split too, with other pixels",
        "Check that these are not versions of the same picture.",
        "",
    )

    def __init__(self, slug: str, severity: Severity, title: str, remedy: str, fix: str) -> None:
        self.slug = slug
        self.severity = severity
        self.title = title
        self.remedy = remedy
        self.fix = fix
        """What `--fix` does; empty where it can do nothing."""
