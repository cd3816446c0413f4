"""From where on the doctor names what may well be right."""

from unipan.config import DataConfig

MIN_THING_PX = DataConfig().min_thing_px
"""Things below are not trained on by default."""
MOST_VOID = 0.5
"""An image with a larger share of void is named."""
MANY_PARTS = 20
"""A thing in more parts than this is named; occlusion alone seldom makes so many."""
