import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from frontend.api_records import Job
from frontend.printed_reports import spark
from frontend.progress import choose_rows
from tests.frontend.hostile_dataset import BAD, MARKUP, generated_root, register_hostile
from tests.live_stack import LiveStack, as_yaml, clean_environment, log_tails, processes_of, tiny_experiment
from tests.pairlab.scenes.bitemporal_tree import write_levir

PAIRLAB = str(Path(sys.executable).parent / "pairlab")
CONTROL_CODES = re.compile(r"\x1b|\r(?!\n)")


def pairlab(stack: LiveStack, *arguments: str, seconds: float = 300.0) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [PAIRLAB, *arguments], capture_output=True, text=True, timeout=seconds, env=stack.environment, check=False
    )


def refused(stack: LiveStack, *arguments: str, code: int = 1) -> str:
    """Returns what a command said on stderr, which must be no traceback."""
    answer = pairlab(stack, *arguments)
    assert answer.returncode == code, answer.stdout + answer.stderr
    assert "Traceback" not in answer.stderr
    assert not answer.stdout
    return answer.stderr


@pytest.fixture(scope="module")
def file(tiny: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An experiment of a few seconds on the live stack."""
    path = tmp_path_factory.mktemp("experiments") / "tiny.yaml"
    path.write_text(as_yaml(tiny_experiment("from the command line", dataset=tiny, seeds=[11])))
    return path


@pytest.fixture(scope="module")
def watched(stack: LiveStack, file: Path) -> str:
    """What `run --watch` printed without a terminal."""
    answer = pairlab(stack, "run", str(file), "--watch")
    assert answer.returncode == 0, answer.stdout + answer.stderr + log_tails(stack.home)
    return answer.stdout


def test_run_and_watch_without_a_terminal_is_plain_lines_and_the_table(stack: LiveStack, watched: str) -> None:
    assert not CONTROL_CODES.search(watched)
    assert "Submitted 'from the command line': 3 jobs." in watched
    assert f"Live in the browser: {stack.ui}/jobs?experiment=" in watched
    assert re.search(r"^\[ *\d+ s\] half noisy, seed 11, pretraining: done \(loss \d", watched, re.MULTILINE)
    table = watched[watched.index("IoU on the test scenes") :]
    assert all(word in table for word in ("linear probe", "fine-tuning", "background", "intact", "damaged"))
    assert "half noisy (reference, 50 % noisy)" in table
    assert "difference from half noisy" in table
    assert "no verdict below 5 seeds" in table


def test_a_pretraining_is_exported_and_its_snippet_runs_without_pairlab(
    stack: LiveStack, watched: str, tmp_path: Path
) -> None:
    assert watched
    jobs = json.loads(pairlab(stack, "jobs", "--json").stdout)
    by_kind = {job["kind"]: job["id"] for job in jobs if any(use["seed"] == 11 for use in job["uses"])}
    to = tmp_path / "out"
    answer = pairlab(stack, "export", by_kind["pretrain"][:12], "--to", str(to))
    assert answer.returncode == 0, answer.stderr
    assert "linear probe" in (to / "README.md").read_text()
    run = subprocess.run(
        [sys.executable, "-P", "-W", "ignore", str(to / "load.py")],
        capture_output=True,
        text=True,
        cwd="/",
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert len(re.findall(r"\(1, \d+, \d+, \d+\)", run.stdout)) == 5
    assert "is not empty" in refused(stack, "export", by_kind["pretrain"], "--to", str(to))
    other = str(tmp_path / "other")
    assert "pretrainings alone have weights to export" in refused(stack, "export", by_kind["segment"], "--to", other)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_the_same_again_is_taken_over(stack: LiveStack, file: Path, watched: str) -> None:
    assert "taken over" not in watched
    answer = pairlab(stack, "run", str(file), "--watch", "--json")
    assert answer.returncode == 0, answer.stderr
    assert "3 jobs, all of them taken over from earlier runs" in answer.stderr
    results = json.loads(answer.stdout)
    assert results["status"] == "succeeded"
    assert [(row["arm"], row["protocol"]) for row in results["rows"]] == [
        ("random", "linear_probe"),
        ("random", "fine_tuning"),
        ("half noisy", "linear_probe"),
        ("half noisy", "fine_tuning"),
    ]


def test_run_queues_and_watch_follows_an_experiment_and_a_job(stack: LiveStack, file: Path, watched: str) -> None:
    assert watched
    queued = pairlab(stack, "run", str(file), "--json")
    assert queued.returncode == 0, queued.stderr
    experiment = json.loads(queued.stdout)
    followed = pairlab(stack, "watch", experiment["id"])
    assert followed.returncode == 0, followed.stderr
    assert "IoU on the test scenes" in followed.stdout
    job = stack.client.experiment(experiment["id"])["job_list"][0]
    one = pairlab(stack, "watch", job["id"][:10])
    assert one.returncode == 0, one.stderr
    assert "done" in one.stdout
    assert "follow it: pairlab watch" in pairlab(stack, "run", str(file)).stdout.lower()


def test_jobs_lists_them(stack: LiveStack, watched: str) -> None:
    assert watched
    listed = pairlab(stack, "jobs", "--status", "succeeded")
    assert listed.returncode == 0
    assert "pretraining" in listed.stdout
    assert "half noisy" in listed.stdout
    as_json = json.loads(pairlab(stack, "jobs", "--json", "--limit", "2").stdout)
    assert [job["id"][:8] in pairlab(stack, "jobs").stdout for job in as_json] == [True, True]


def test_on_a_terminal_progress_is_live_and_ends_in_the_table(stack: LiveStack, tiny: str, tmp_path: Path) -> None:
    path = tmp_path / "live.yaml"
    path.write_text(as_yaml(tiny_experiment("live", dataset=tiny, seeds=[12])))
    ours, theirs = pty.openpty()
    environment = {**stack.environment, "TERM": "xterm-256color", "COLUMNS": "150", "LINES": "40"}
    command = [PAIRLAB, "run", str(path), "--watch"]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as process:
        os.close(theirs)
        printed = read_all(ours)
    assert process.returncode == 0, printed + log_tails(stack.home)
    assert "\x1b[" in printed
    assert "time left" in printed
    assert "━" in printed
    assert "IoU on the test scenes" in printed[printed.rindex("time left") :]


def read_all(descriptor: int) -> str:
    parts: list[bytes] = []
    while True:
        try:
            part = os.read(descriptor, 65536)
        except OSError:  # Linux answers so when the other side is closed
            part = b""
        if not part:
            os.close(descriptor)
            return b"".join(parts).decode()
        parts.append(part)


def test_cancel_stops_an_experiment_and_watching_it_says_so(stack: LiveStack, tiny: str, tmp_path: Path) -> None:
    path = tmp_path / "long.yaml"
    steps = {"steps": 100_000, "batch_size": 4, "checkpoint_every": 5}
    arms = {"half noisy": tiny_experiment()["arms"]["half noisy"]}
    path.write_text(as_yaml(tiny_experiment("too long", dataset=tiny, seeds=[13], pretraining=steps, arms=arms)))
    experiment = json.loads(pairlab(stack, "run", str(path), "--json").stdout)["id"]
    cancelled = pairlab(stack, "cancel", experiment[:12])
    assert cancelled.returncode == 0, cancelled.stderr
    assert "too long" in cancelled.stdout
    watched = pairlab(stack, "watch", experiment)
    assert watched.returncode == 1
    assert "was cancelled" in watched.stderr
    assert "Traceback" not in watched.stderr


def test_what_has_ended_cannot_be_cancelled(stack: LiveStack, watched: str) -> None:
    assert watched
    ended = next(each for each in stack.client.experiments()["items"] if each["name"] == "from the command line")
    assert "nothing left to cancel" in refused(stack, "cancel", ended["id"])
    job = stack.client.experiment(ended["id"])["job_list"][0]
    assert "succeeded" in refused(stack, "cancel", job["id"])


def test_datasets_are_added_below_known_data_roots(stack: LiveStack) -> None:
    roots = json.loads((stack.home / "endpoints.json").read_text())["data_roots"]
    folder = Path(roots["generated"]) / "xbd"
    added = pairlab(stack, "dataset", "add", "xbd", str(folder), "--name", "from-a-tree")
    assert added.returncode == 0, added.stderr
    assert "from-a-tree: 11 scenes (train 6, validation 2, test 3)." in added.stdout
    assert re.search(r"^reading (labels|pixels): \d+ %", added.stdout, re.MULTILINE)
    assert stack.client.dataset("from-a-tree")["state"] == "ready"
    assert stack.client.dataset("from-a-tree")["config"] == {
        "kind": "xbd",
        "root": "generated",
        "folder": "xbd",
        "damage_from": "minor-damage",
    }
    listed = pairlab(stack, "dataset", "list")
    assert "from-a-tree" in listed.stdout
    assert "testville-flooding" in listed.stdout
    other = ("dataset", "add", "xbd", str(folder), "--name", "from-a-tree", "--damage-from", "destroyed")
    assert "from-a-tree" in refused(stack, *other)


def test_the_check_of_a_dataset_is_its_report(stack: LiveStack) -> None:
    stack.register("checked", {"kind": "xbd", "root": "generated", "folder": "xbd"})
    checked = pairlab(stack, "dataset", "check", "checked")
    assert checked.returncode == 0, checked.stderr
    for words in ("checked: ready", "11 scenes", "testville-flooding", "change share", "pre_gsd", "22 of 22 images"):
        assert words in checked.stdout
    assert "Every file can be used." in checked.stdout
    as_json = json.loads(pairlab(stack, "dataset", "check", "checked", "--json").stdout)
    assert as_json == {"name": "checked", **stack.client.report("checked")}
    assert "unheard-of" in refused(stack, "dataset", "check", "unheard-of")


def test_what_cannot_be_used_is_told_and_is_exit_code_1(stack: LiveStack) -> None:
    name = register_hostile(stack)
    checked = pairlab(stack, "dataset", "check", name)
    assert checked.returncode == 1
    assert "2 scenes take no part in anything" in checked.stdout
    assert BAD in checked.stdout
    assert MARKUP in checked.stdout  # an event, as it is
    as_json = pairlab(stack, "dataset", "check", name, "--json")
    assert as_json.returncode == 1
    assert {each["scene"] for each in json.loads(as_json.stdout)["quarantined"]} == {BAD, "place-3"}
    listed = pairlab(stack, "dataset", "list").stdout
    assert re.search(r"hostile .*bitemporal .*ready, 2 quarantined", listed)


def test_images_before_and_after_are_added_from_folders_and_from_a_table(stack: LiveStack) -> None:
    root = generated_root(stack)
    write_levir(root / "pairs", seed=4, scenes={"train": 3, "test": 1})
    added = pairlab(stack, "dataset", "add", "bitemporal", str(root / "pairs"), "--name", "from-folders")
    assert added.returncode == 0, added.stderr
    assert "from-folders: 4 scenes (train 3, test 1)." in added.stdout
    register_hostile(stack)
    options = ("--manifest", "manifest.csv", "--classes", "background, roof,tree", "--no-data", "0")
    added = pairlab(stack, "dataset", "add", "bitemporal", str(root / "hostile"), "--name", "from-a-table", *options)
    assert added.returncode == 0, added.stderr
    assert "2 scenes take no part in anything; why: pairlab dataset check from-a-table" in added.stderr
    config = stack.client.dataset("from-a-table")["config"]
    assert (config["classes"], config["no_data"]) == (["background", "roof", "tree"], 0)


def test_who_does_not_wait_is_told_how_to_look(stack: LiveStack) -> None:
    folder = generated_root(stack) / "xbd"
    added = pairlab(stack, "dataset", "add", "xbd", str(folder), "--name", "not-waited-for", "--no-wait")
    assert added.returncode == 0, added.stderr
    assert "pairlab dataset check not-waited-for" in added.stdout
    job = stack.client.dataset("not-waited-for")["index_job"]
    assert job is not None
    stack.register("not-waited-for", {})
    followed = pairlab(stack, "watch", job[:10])
    assert followed.returncode == 0, followed.stderr
    assert "dataset not-waited-for, indexing: done" in followed.stdout
    assert "dataset not-waited-for" in pairlab(stack, "jobs").stdout


def test_on_a_terminal_the_index_has_a_bar(stack: LiveStack) -> None:
    ours, theirs = pty.openpty()
    environment = {**stack.environment, "TERM": "xterm-256color", "COLUMNS": "120", "LINES": "40"}
    folder = str(generated_root(stack) / "xbd")
    command = [PAIRLAB, "dataset", "add", "xbd", folder, "--name", "with-a-bar", "--damage-from", "destroyed"]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as process:
        os.close(theirs)
        printed = read_all(ours)
    assert process.returncode == 0, printed
    assert "━" in printed
    assert "with-a-bar: 11 scenes" in printed


def test_knobs_of_synthetic_scenes_are_turned(stack: LiveStack) -> None:
    knobs = ("--knob", "change_rate=0.25", "--knob", "objects=[2, 3]")
    added = pairlab(stack, "dataset", "add", "synthetic", "--name", "turned", "--preset", "season", *knobs)
    assert added.returncode == 0, added.stderr
    assert stack.client.dataset("turned")["config"]["knobs"] == {"change_rate": 0.25, "objects": [2, 3]}
    assert "change_rate 0.25" in pairlab(stack, "dataset", "check", "turned").stdout
    said = refused(stack, "dataset", "add", "synthetic", "--name", "x", "--knob", "change_rate")
    assert "write it like --knob change_rate=0.3" in said
    assert "unknown knob 'speed'" in refused(stack, "dataset", "add", "synthetic", "--name", "x", "--knob", "speed=1")


def test_a_folder_outside_all_data_roots_names_the_flag(stack: LiveStack, tmp_path: Path) -> None:
    folder = tmp_path / "my tiles"
    folder.mkdir()
    said = refused(stack, "dataset", "add", "xbd", str(folder), "--name", "mine")
    assert f"pairlab up --data-root my_tiles='{folder}'" in said
    assert "generated=" in said
    empty = Path(json.loads((stack.home / "endpoints.json").read_text())["data_roots"]["generated"]) / "empty"
    empty.mkdir(exist_ok=True)
    assert refused(stack, "dataset", "add", "xbd", str(empty), "--name", "mine")
    assert "mine" not in pairlab(stack, "dataset", "list").stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["run", "missing.yaml"], "missing.yaml cannot be read"),
        (["watch", "nothing"], "No experiment and no job has an id that begins with 'nothing'"),
        (["cancel", "nothing"], "No experiment and no job has an id that begins with 'nothing'"),
        (["dataset", "add", "xbd", "/nowhere", "--name", "x"], "There is no folder /nowhere"),
        (["dataset", "add", "synthetic", "--name", "x", "--preset", "huge"], "unknown preset 'huge'"),
        (["dataset", "add", "tiff", "--name", "x"], "tiff"),
    ],
)
def test_errors_are_sentences(stack: LiveStack, arguments: list[str], sentence: str) -> None:
    assert sentence in refused(stack, *arguments)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("arms: [", "not valid YAML: line"),
        (as_yaml(tiny_experiment(colour="red")), "colour"),
        (as_yaml(tiny_experiment(margin=1.0)).replace("1.0", ".nan"), "margin"),
        (as_yaml(tiny_experiment(dataset="unheard-of")), "unheard-of"),
    ],
)
def test_bad_experiment_files_are_refused_in_sentences(
    stack: LiveStack, text: str, sentence: str, tmp_path: Path
) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    before = stack.client.experiments()["total"]
    assert sentence in refused(stack, "run", str(path))
    assert stack.client.experiments()["total"] == before


def test_wrong_use_is_exit_code_2(stack: LiveStack) -> None:
    for arguments in (["dataset", "add", "xbd", "--name", "x"], ["run"], ["jobs", "--limit", "0"], ["fly"]):
        assert pairlab(stack, *arguments).returncode == 2


def test_an_api_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    environment = {**clean_environment(), "PAIRLAB_API_URL": "http://127.0.0.1:9"}
    answer = subprocess.run([PAIRLAB, "jobs"], capture_output=True, text=True, env=environment, check=False)
    assert answer.returncode == 1
    assert answer.stderr == "The API at http://127.0.0.1:9 does not answer. Start it with `pairlab up`.\n"
    environment = {**clean_environment(), "PAIRLAB_HOME": str(tmp_path / "none")}
    answer = subprocess.run([PAIRLAB, "status"], capture_output=True, text=True, env=environment, check=False)
    assert answer.returncode == 1
    assert "PairLab does not run in" in answer.stdout


def test_up_status_and_down_are_the_stack_s_own(tmp_path: Path) -> None:
    home = tmp_path / "home"

    def call(*arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [PAIRLAB, *arguments, "--home", str(home)]
        return subprocess.run(
            command, capture_output=True, text=True, env=clean_environment(), timeout=240, check=False
        )

    up = call("up", "--detach", "--api-port", "0", "--ui-port", "0", "--slots", "1", "--data-root", f"here={tmp_path}")
    try:
        assert up.returncode == 0, up.stderr + log_tails(home)
        assert "`pairlab down` stops it." in up.stdout
        status = call("status")
        assert status.returncode == 0
        assert f"here={tmp_path}" in status.stdout
        assert call("down").returncode == 0
        assert not processes_of(home)
    finally:
        for process in processes_of(home):
            process.kill()


def test_few_scenes_are_seen_beside_many() -> None:
    assert spark({"edges": [0, 1, 2, 3, 4], "counts": [10_000, 0, 1, 2_500]}) == "█ ▁▄"
    assert spark({"edges": [], "counts": []}) == spark({"edges": [0, 1], "counts": [0]}) == ""


def test_rows_that_matter_stay_when_there_is_no_room() -> None:
    states = ["succeeded", "running", "queued", "failed", "blocked"]
    jobs: list[Job] = [{"id": state, "status": state} for state in states]  # type: ignore[typeddict-item]
    assert [job["id"] for job in choose_rows(jobs, 3)] == ["running", "queued", "failed"]
    assert [job["id"] for job in choose_rows(jobs, 9)] == states
