"""What predictions are worth, as counts: one figure a file.

Counts of parts sum to the counts of the whole, so tiling and batching cannot change a figure.
"""

from pairlab.metrics.boundary import BOUNDARY_COUNTS, boundary_counts, boundary_f1_from_counts
from pairlab.metrics.calibration import (
    BINS,
    Calibration,
    Reliability,
    calibration_counts,
    calibration_from_counts,
)
from pairlab.metrics.confusion import (
    confusion_counts,
    f1_from_counts,
    iou_from_counts,
    mean_f1,
    mean_iou,
    pixel_accuracy,
    present_classes,
)
from pairlab.metrics.summary import class_figures
from pairlab.metrics.uncertainty import entropy_share
from pairlab.metrics.xview2 import XView2Score, xview2_score

__all__ = [
    "BINS",
    "BOUNDARY_COUNTS",
    "Calibration",
    "Reliability",
    "XView2Score",
    "boundary_counts",
    "boundary_f1_from_counts",
    "calibration_counts",
    "calibration_from_counts",
    "class_figures",
    "confusion_counts",
    "entropy_share",
    "f1_from_counts",
    "iou_from_counts",
    "mean_f1",
    "mean_iou",
    "pixel_accuracy",
    "present_classes",
    "xview2_score",
]
