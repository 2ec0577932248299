"""The downstream task: protocols on few labels, evaluated on whole scenes."""

from pairlab.segmentation.errors import SegmentationError
from pairlab.segmentation.labelled_chips import labelled_chips
from pairlab.segmentation.loop import segment

__all__ = ["SegmentationError", "labelled_chips", "segment"]
