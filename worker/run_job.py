"""Runs one job in a process of its own and tells, as lines of JSON, what happens. Importing this imports torch."""

import json
import os
import signal
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from pydantic import TypeAdapter

from pairlab.checkpoint import SavedFile
from pairlab.diagnostics.earlier import Earlier, EarlierMap
from pairlab.embedding_distance import Pretrained
from pairlab.engine.team import ALONE, Team
from pairlab.events import Event, Finished, Metrics, Saved, Started, Warned
from pairlab.experiment.datasets import SyntheticDataset
from pairlab.experiment.expansion import (
    AnyJob,
    DatasetReference,
    IndexJob,
    JobConfig,
    PretrainJob,
    ScoreJob,
    TrainingJob,
    score_job,
)
from pairlab.experiment.initial import FileWeights
from pairlab.initial_weights import file_of
from pairlab.pairing.cell_scores import CellScores
from pairlab.pairing.score_file import ScoreError, files_of, read_scores
from pairlab.pretraining import pretrain
from pairlab.scenes.chip_store import ChipStore
from pairlab.scenes.dataset import (
    dataset_fingerprint,
    dataset_folder,
    draw_of,
    list_dataset,
    open_dataset,
    read_dataset_index,
    selected,
)
from pairlab.scenes.index import SceneTable
from pairlab.scenes.index_file import read_table
from pairlab.scenes.indexing import CACHE_BYTES, PASSES, IndexFiles, index_dataset
from pairlab.scenes.scene import SceneError, SceneSource
from pairlab.scenes.stored_images import StoredSource
from pairlab.scoring import score_dataset
from pairlab.segmentation import segment
from worker.processes import join_team, leave_team, processes_for, run_together
from worker.protocol import EXIT_CRASHED, EXIT_DONE, EXIT_REFUSED, Description, FileReference, file_hash

_CONFIG: TypeAdapter[AnyJob] = TypeAdapter(JobConfig)


class _Reporter:
    """Writes events into the pipe to the supervisor; without one there is nobody to work for."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe

    def tell(self, event: str, **content: Any) -> None:  # noqa: ANN401
        """Writes one event whole."""
        line = json.dumps({"event": event, **content}, allow_nan=False).encode() + b"\n"
        while line:
            line = line[os.write(self._pipe, line) :]


class _StopRequest:
    """Set by SIGTERM, or by a file that somebody else makes; the run looks at it after every step."""

    def __init__(self, file: Path | None = None) -> None:
        self._signalled, self._file = False, file
        signal.signal(signal.SIGTERM, self._make)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})

    @property
    def made(self) -> bool:
        return self._signalled or (self._file is not None and self._file.exists())

    def _make(self, _signal: int, _frame: FrameType | None) -> None:
        self._signalled = True


def run_job(description: Description, *, pipe: int) -> int:
    """Returns the exit status of a job's run: done (or stopped on request), refused with a sentence, or crashed.

    Args:
        description: the job and where its files are.
        pipe: descriptor that events are written to.
    """
    reporter, devices = _Reporter(pipe), description["devices"]
    if devices:
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(devices)
    count = _processes(description, reporter)
    if count == 1:
        return _run(description, _StopRequest(), reporter, failing=reporter)
    failure = run_together(_take_part, description, count=count, pipe=pipe)
    if failure is None:
        return EXIT_DONE
    reporter.tell(**failure)
    return EXIT_REFUSED if failure["event"] == "refused" else EXIT_CRASHED


def _processes(description: Description, reporter: _Reporter) -> int:
    """Returns how many processes run the job."""
    config, allowed, gpus = description["config"], description["processes"], len(description["devices"])
    if config["kind"] != "pretrain" or allowed == 1:
        return 1
    parts = int(config["pretraining"]["parts"])
    count = processes_for(parts, allowed=allowed, devices=gpus)
    told = f"{count} of {allowed} processes" if count < allowed else f"{count} processes"
    reporter.tell("log", text=f"{told} share pretraining.parts = {parts}")
    return count


def _take_part(folder: str, size: int) -> None:
    """Runs a job in one of its processes."""
    member = join_team(folder, size)
    failing = _Reporter(os.open(member.end, os.O_WRONLY | os.O_CREAT, 0o600))
    leave_team(_run(member.description, _StopRequest(member.stop), _Reporter(member.events), failing, member.team))


def _run(
    description: Description, stop: _StopRequest, reporter: _Reporter, failing: _Reporter, team: Team = ALONE
) -> int:
    """Returns the exit status; `failing` hears why a run failed, `reporter` all else."""
    try:
        for event in _events(description, stop, reporter, team):
            _tell(reporter, event)
    except Exception as error:
        # A ValueError of the science is about the user's request; any other is a defect.
        if isinstance(error, ValueError) and type(error).__module__.startswith("pairlab."):
            failing.tell("refused", sentence=str(error))
            return EXIT_REFUSED
        traceback.print_exc()
        failing.tell("crashed", error=f"{type(error).__name__}: {error}"[:500])
        return EXIT_CRASHED
    return EXIT_DONE


def _events(description: Description, stop: _StopRequest, reporter: _Reporter, team: Team) -> Iterator[Event]:
    config = _CONFIG.validate_python(description["config"])
    if isinstance(config, IndexJob):
        return _index(config, description, stop, reporter)
    if isinstance(config, ScoreJob):
        return _score(config, description, stop, reporter)
    return _train(config, description, stop, reporter, team)


def _index(config: IndexJob, description: Description, stop: _StopRequest, reporter: _Reporter) -> Iterator[Event]:
    began = time.perf_counter()
    dataset, roots = config.dataset, _roots(description)
    if isinstance(dataset.config, SyntheticDataset):
        raise SceneError(f"dataset {dataset.name!r} is rendered and needs no index")
    if dataset_fingerprint(dataset.config, data_roots=roots) != dataset.fingerprint:
        raise SceneError(
            f"the files of dataset {dataset.name!r}, or the way they are read, have changed since it was registered: "
            "register them under another name, or delete it and register it again"
        )
    files = IndexFiles(Path(description["index_folder"]), dataset.fingerprint)
    known = read_table(files.index)
    if known is not None and known.pixels_read:  # the same files are registered under another name too
        return _known_already(known, reporter)
    listing = list_dataset(dataset.config, data_roots=roots)
    reporter.tell("log", text=f"{len(listing.scenes):,} scenes listed after {time.perf_counter() - began:.1f} s")
    source = open_dataset(dataset.config, data_roots=roots, scenes=listing.scenes, cache_bytes=CACHE_BYTES)
    return index_dataset(
        source,
        files,
        root=dataset_folder(dataset.config, roots),
        quarantined=listing.quarantined,
        store=_store(description),
        should_stop=lambda: stop.made,
    )


def _check_unchanged(dataset: DatasetReference, roots: Mapping[str, Path]) -> None:
    """Raises SceneError where the files are no longer those that were registered: results would be of others."""
    if dataset_fingerprint(dataset.config, data_roots=roots) != dataset.fingerprint:
        raise SceneError(
            f"the files of dataset {dataset.name!r} have changed since it was registered: register them under another "
            "name, or delete the dataset and register it again"
        )


def _known_already(table: SceneTable, reporter: _Reporter) -> Iterator[Event]:
    reporter.tell("log", text="the same files were indexed before; nothing is read again")
    steps = len(PASSES) * len(table)
    yield Started(step=steps, total_steps=steps, facts={"scenes": len(table)})
    yield Finished(step=steps, results={"scenes": len(table), "quarantined": len(table.quarantined)})


def _score(config: ScoreJob, description: Description, stop: _StopRequest, reporter: _Reporter) -> Iterator[Event]:
    torch.set_num_threads(description["threads"])
    dataset, folder = config.dataset, Path(description["index_folder"])
    index = read_dataset_index(dataset.config, key=dataset.fingerprint, folder=folder, draw=config.draw)
    source = _open(dataset, index.table, description, reporter, draw=config.draw)
    weights, made_by = description["weights"], description["pretraining"]
    pretrained = None
    if weights is not None and made_by is not None:
        saved = SavedFile(Path(weights["path"]), weights["sha256"])
        pretrained = Pretrained(PretrainJob.model_validate(made_by).network, saved)
    yield from score_dataset(
        config,
        source,
        index.table,
        files=files_of(config, folder),
        weights=pretrained,
        should_stop=lambda: stop.made,
        device=_device(),
    )
    for warning in source.warnings if isinstance(source, StoredSource) else ():
        reporter.tell("log", text=warning)


def _scores_to_filter_by(config: PretrainJob, description: Description) -> CellScores | None:
    """Returns the change scores that a pretraining filters by; None where it filters by none."""
    wanted = score_job(config)
    if wanted is None:
        return None
    scores = read_scores(files_of(wanted, Path(description["index_folder"])).path)
    if scores is None:
        drawn = f" (draw {wanted.draw})" if wanted.draw else ""
        raise ScoreError(
            f"the change score {wanted.score.name} of dataset {wanted.dataset.name!r}{drawn} is not there (any more): "
            "compute it on the Pairs screen, or with `pairlab dataset score`, then retry this job"
        )
    return scores


def _device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _train(
    config: TrainingJob, description: Description, stop: _StopRequest, reporter: _Reporter, team: Team
) -> Iterator[Event]:
    began = time.perf_counter()
    torch.set_num_threads(description["threads"])
    device = _device() if team.size == 1 else team.device
    draw = draw_of(config.dataset.config, config.seed)
    index = read_dataset_index(
        config.dataset.config, key=config.dataset.fingerprint, folder=Path(description["index_folder"]), draw=draw
    )
    source = _open(config.dataset, index.table, description, reporter, draw=draw)
    chips = selected(index, config.scenes).chips(config.chip_size)
    reporter.tell("log", text=f"{len(chips):,} chips ready after {time.perf_counter() - began:.1f} s, on {device}")
    folder = Path(description["folder"])
    if isinstance(config, PretrainJob):
        resume = _newest_intact(description["checkpoints"], reporter)
        yield from pretrain(
            config,
            source,
            chips,
            folder=folder,
            resume=resume,
            should_stop=lambda: stop.made,
            device=device,
            scores=_scores_to_filter_by(config, description),
            initial=_initial(config, description),
            earlier=_earlier(description),
            team=team,
        )
    else:
        weights = description["weights"]
        start = None if weights is None else SavedFile(Path(weights["path"]), weights["sha256"])
        yield from segment(
            config,
            source,
            chips,
            folder=folder,
            weights=start,
            initial=_initial(config, description),
            should_stop=lambda: stop.made,
            device=device,
        )
    for warning in source.warnings if isinstance(source, StoredSource) else ():
        reporter.tell("log", text=warning)


def _open(
    reference: DatasetReference, table: SceneTable, description: Description, reporter: _Reporter, *, draw: int
) -> SceneSource:
    """Returns the dataset, its images from the chip store where they are kept there: the same pixels, sooner."""
    dataset, roots = reference.config, _roots(description)
    source = open_dataset(dataset, data_roots=roots, draw=draw, table=table)
    if isinstance(dataset, SyntheticDataset):
        return source
    _check_unchanged(reference, roots)
    images = _store(description).open(reference.fingerprint)  # held until this process ends
    reporter.tell("log", text=f"{len(images):,} images come from the chip store")
    return StoredSource(source, images, folder=dataset_folder(dataset, roots))


def _store(description: Description) -> ChipStore:
    return ChipStore(Path(description["store_folder"]), budget_bytes=description["store_bytes"])


def _roots(description: Description) -> dict[str, Path]:
    return {name: Path(folder) for name, folder in description["data_roots"].items()}


def _newest_intact(checkpoints: Sequence[FileReference], reporter: _Reporter) -> SavedFile | None:
    """Returns the first checkpoint whose content is what was recorded."""
    for each in checkpoints:
        if file_hash(Path(each["path"])) == each["sha256"]:
            return SavedFile(Path(each["path"]), each["sha256"])
        reporter.tell("log", text=f"checkpoint {each['path']} is damaged or gone; an earlier one has to do")
    return None


def _initial(config: TrainingJob, description: Description) -> SavedFile | None:
    """Returns the file of initial weights; None where they come from elsewhere, or their job has none any more."""
    asked, found = config.initial, description["initial"]
    if isinstance(asked, FileWeights):
        return file_of(_roots(description), asked)
    return None if found is None else SavedFile(Path(found["path"]), found["sha256"])


def _earlier(description: Description) -> Earlier:
    maps = tuple(EarlierMap(each["step"], Path(each["path"]), each["sha256"]) for each in description["embedding_maps"])
    return Earlier(warned=tuple(description["warned"]), maps=maps)


def _tell(reporter: _Reporter, event: Event) -> None:
    match event:
        case Started():
            reporter.tell("started", step=event.step, total_steps=event.total_steps, facts=_plain(event.facts))
        case Metrics():
            reporter.tell("metrics", step=event.step, values=_plain(event.values), seconds_left=event.seconds_left)
        case Warned():
            reporter.tell("warning", step=event.step, kind=event.kind, sentence=event.sentence)
        case Saved():
            reporter.tell(
                "saved",
                kind=event.kind,
                step=event.step,
                path=str(event.path),
                sha256=event.sha256,
                details=_plain(event.details),
            )
        case Finished():
            reporter.tell("finished", step=event.step, results=_plain(event.results), stopped=event.stopped)


def _plain(mapping: Mapping[str, Any]) -> dict[str, Any]:
    return dict(mapping)
