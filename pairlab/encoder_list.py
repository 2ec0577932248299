"""Writes the list of encoders anew, with the libraries that are installed: python -m pairlab.encoder_list."""

from importlib.metadata import version

import segmentation_models_pytorch as smp
import timm
from timm.models import get_deprecated_models

from pairlab.experiment.encoder_names import FILE, LIBRARIES, EncoderList


def installed_encoders() -> EncoderList:
    """Returns the names that the installed libraries know, old ones of timm too, which it still takes."""
    return EncoderList(
        versions={library: version(library) for library in LIBRARIES},
        own=sorted(smp.encoders.get_encoder_names()),
        timm=sorted({*timm.list_models(), *get_deprecated_models()}),
    )


if __name__ == "__main__":
    FILE.write_text(installed_encoders().model_dump_json(indent=1) + "\n")
