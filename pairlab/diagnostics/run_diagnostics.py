"""Whether a run learns: its figures, and a warning in words where it does not."""

import math
from collections.abc import Iterator, Mapping

from torch import Tensor

from pairlab.diagnostics.alarm import Alarm
from pairlab.diagnostics.earlier import NOTHING_EARLIER, Earlier
from pairlab.diagnostics.figures import embedding_figures, feature_figures
from pairlab.diagnostics.loss_trend import LossTrend
from pairlab.diagnostics.remedies import against_collapse, against_standing_still, against_starving
from pairlab.events import Warned
from pairlab.experiment.datasets import SyntheticDataset
from pairlab.experiment.jobs import PretrainJob
from pairlab.experiment.methods import VICReg, VICRegL
from pairlab.scenes.scene import SceneSource
from pairlab.scenes.stored_images import StoredSource

COLLAPSED_DEVIATION = 0.1
"""Of 1/√dim. Embeddings of runs that learn have 0.5 to 1, those that collapse 0.01 to 0.07."""
COLLAPSED_RAW_DEVIATION = 0.1
"""Of embeddings as they are, for methods that compare them so and hold this at 1."""
COLLAPSED_RANK = 1.2
"""One direction, and hardly a second."""
STARVING_SHARE = 0.05
"""Of the time: what waiting for batches may cost."""
RECOVERED = 1.5
"""How many times better than a limit it must be to be over: figures that waver about a limit tell nothing new."""
GRACE = 0.1
"""Share of the steps that pass before embeddings are judged, the warm-up at least: random ones lie close together."""
POINTS = 8
"""Points in a row that a collapse or its end takes; a run has about 100."""
STARVING_POINTS = 5

Compared = tuple[Tensor, Tensor]


class RunDiagnostics:
    """Measures one run at its metric steps, and tells each kind of trouble once, and once more if it comes back."""

    def __init__(
        self, config: PretrainJob, source: SceneSource, *, pairs: int, earlier: Earlier = NOTHING_EARLIER
    ) -> None:
        """Prepares the diagnostics.

        Args:
            config: the resolved job.
            source: its dataset, as the run reads it.
            pairs: how many pairs the run draws from.
            earlier: what earlier attempts have told.
        """
        self._config = config
        self._against_starving = against_starving(
            rendered=isinstance(config.dataset.config, SyntheticDataset), stored=isinstance(source, StoredSource)
        )
        told = earlier.warned.count
        self._collapse = Alarm(POINTS, told=told("collapse"))
        self._starving = Alarm(STARVING_POINTS, told=told("starving"))
        self._standing_still = Alarm(1, told=told("standing_still"))
        self._trend = LossTrend()
        training = config.pretraining
        self._judged_after = max(training.warmup_steps, int(GRACE * training.steps))
        # Every chip is read once; that round may wait, unless it is most of the run.
        self._read_after = min(-(-pairs // training.batch_size), training.steps // 5)
        self._dim = 1

    def figures(self, compared: Compared | None, pooled: Tensor | None) -> dict[str, float]:
        """Returns what a step's embeddings and features tell (`embedding_figures`, `feature_figures`).

        Args:
            compared: what the method's loss compared, row by row, each (rows, dim).
            pooled: the network's features averaged over their positions, (images, channels).
        """
        values: dict[str, float] = {}
        if compared is not None:
            self._dim = compared[0].shape[1]
            values |= embedding_figures(*compared)
        if pooled is not None:
            values |= feature_figures(pooled)
        return values

    def warnings(self, step: int, values: Mapping[str, float]) -> Iterator[Warned]:
        """Yields what is to be told behind a step.

        Args:
            step: steps that were done.
            values: all metrics of the step, those of `figures` among them.
        """
        if "embeddings/deviation" in values and step > self._judged_after:
            signs = list(self._signs_of_collapse(values, limit=RECOVERED if self._collapse.wrong else 1.0))
            if self._collapse.goes_off(bool(signs)):
                words = f"The embeddings collapse, all images get nearly the same: {', and '.join(signs)}."
                yield Warned(step, f"{words} {against_collapse(self._config)}", kind="collapse")
        share = values.get("waiting_share")
        if share is not None and step > self._read_after:
            limit = STARVING_SHARE / (RECOVERED if self._starving.wrong else 1.0)
            if self._starving.goes_off(share > limit):
                yield Warned(step, self._starving_in_words(share), kind="starving")
        loss = values.get("loss")
        if loss is not None and step > self._judged_after:
            fell = self._trend.add(loss)
            # A collapsed loss may stand still at its least; that is told already.
            if fell is not None and self._standing_still.goes_off(not fell and not self._collapse.wrong):
                yield Warned(step, self._standing_still_in_words(loss), kind="standing_still")

    def _signs_of_collapse(self, values: Mapping[str, float], *, limit: float) -> Iterator[str]:
        deviation, rank = values["embeddings/deviation"], values["embeddings/effective_rank"]
        raw = values["embeddings/raw_deviation"]
        if deviation < limit * COLLAPSED_DEVIATION:
            spread = 1 / math.sqrt(self._dim)
            yield (
                f"at unit length their standard deviation is {deviation * spread:.2g}, where those that spread over "
                f"{self._dim} dimensions have {spread:.2g}"
            )
        if raw < limit * COLLAPSED_RAW_DEVIATION and isinstance(self._config.method, VICReg | VICRegL):
            yield f"their standard deviation is {raw:.2g}, where {self._config.method.name} wants 1"
        if rank < limit * COLLAPSED_RANK:
            yield f"their effective rank is {rank:.1f} of {self._dim}"

    def _starving_in_words(self, share: float) -> str:
        return f"The training spends {share:.0%} of its time waiting for batches. {self._against_starving}"

    def _standing_still_in_words(self, loss: float) -> str:
        return f"The loss has not fallen so far: it is {loss:.4g}. {against_standing_still(self._config)}"
