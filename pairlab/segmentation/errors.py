"""What a segmentation refuses."""


class SegmentationError(ValueError):
    """A segmentation that cannot run as asked; the message holds the numbers."""
