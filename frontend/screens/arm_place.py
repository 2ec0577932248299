"""An arm in the form: where it stands, and what its knobs depend on."""

from dataclasses import dataclass

from frontend.draft import Path
from frontend.scene_records import Dataset
from frontend.screens.form import Form
from pairlab.experiment.experiment import Arm
from pairlab.experiment.methods import Method


@dataclass(frozen=True)
class ArmPlace:
    """One card of the form."""

    form: Form
    name: str
    spot: str
    """Place among the arms; part of the keys of its widgets."""
    arm: Arm
    method: Method
    """Its own, or the experiment's."""
    dataset: Dataset | None
    """What it is pretrained on; None where that is not registered."""
    transductive: bool
    """Labels stay unseen, so knobs that need them do not apply."""

    def path(self, *fields: str) -> Path:
        """Returns the path of one of its fields in the file."""
        return ("arms", self.name, *fields)

    def pairing(self, *fields: str) -> Path:
        """Returns the path of a field of its pairing."""
        return self.path("pairing", *fields)

    def noise(self, field: str) -> Path:
        """Returns the path of a field of its noise."""
        return self.path("pairing", "noise", field)

    def key(self, field: str) -> str:
        """Returns the key of a field's widget."""
        return self.form.key("arm", self.spot, field)
