"""What a fault costs."""

from enum import Enum


class Severity(Enum):
    """How bad a fault is."""

    ERROR = "error"
    """It would break training, or reach outside the data set's folders."""
    WARNING = "warning"
    """Training runs, but perhaps not on what was meant."""
