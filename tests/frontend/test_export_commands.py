import errno
import io
import os
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import pytest
from starlette.responses import JSONResponse, Response, StreamingResponse

from frontend.connection import ApiProblem
from frontend.export_commands import export_job
from frontend.following import Failure
from tests.frontend.conftest import RecordingServer, Served

JOB = "abcdef0123456789"
FILES = {"README.md": b"# card", "encoder.smp.safetensors": os.urandom(300_000)}


def archive(files: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with ZipFile(content, "w") as opened:
        for name, entry in files.items():
            opened.writestr(name, entry)
    return content.getvalue()


@pytest.fixture
def answer() -> Response:
    return Response(archive(FILES), media_type="application/zip")


@pytest.fixture
def api(server: RecordingServer, answer: Response, monkeypatch: pytest.MonkeyPatch) -> RecordingServer:
    def respond(request: Served) -> Response:
        if request.path.endswith("/export"):
            return answer
        return JSONResponse({"items": [{"id": JOB}], "total": 1, "next_cursor": None})

    server.answer = respond
    monkeypatch.setenv("PAIRLAB_API_URL", server.url)
    return server


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("there", [False, True])
def test_the_files_arrive_in_a_new_or_empty_folder(
    api: RecordingServer, tmp_path: Path, capsys: pytest.CaptureFixture[str], there: bool
) -> None:
    to = tmp_path / "out"
    if there:
        to.mkdir()
    export_job("abcdef", to)
    assert {path.name: path.read_bytes() for path in to.iterdir()} == FILES
    assert left(tmp_path) == ["out"]
    assert api.requests[-1].path == f"/api/v1/jobs/{JOB}/export"
    assert capsys.readouterr().out == f"{to} holds README.md, encoder.smp.safetensors.\n"


def test_a_folder_that_cannot_take_them_is_refused_before_anything_is_asked(
    api: RecordingServer, tmp_path: Path
) -> None:
    full, file = tmp_path / "full", tmp_path / "file"
    full.mkdir()
    (full / "mine").touch()
    file.touch()
    for to, said in (
        (full, "is not empty: name a new folder"),
        (file, "is no folder: name a new one"),
        (tmp_path / "none" / "out", "cannot be made, for .*none is no folder"),
    ):
        with pytest.raises(Failure, match=said):
            export_job("abcdef", to)
    assert api.requests == []
    assert left(tmp_path) == ["file", "full"]


def test_an_unknown_job_leaves_nothing(api: RecordingServer, tmp_path: Path) -> None:
    api.answer = lambda request: (
        JSONResponse({"items": [], "total": 0, "next_cursor": None})
        if request.path.endswith("/jobs")
        else JSONResponse({"detail": "no job"}, status_code=404)
    )
    with pytest.raises(Failure, match="No job has an id that begins with 'zzz'"):
        export_job("zzz", tmp_path / "out")
    assert left(tmp_path) == []


@pytest.mark.parametrize("answer", [JSONResponse({"detail": "job abc is running; wait"}, status_code=409)])
@pytest.mark.usefixtures("api")
def test_what_the_api_refuses_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ApiProblem, match="job abc is running; wait"):
        export_job("abcdef", tmp_path / "out")
    assert left(tmp_path) == []


def broken() -> Iterator[bytes]:
    yield archive(FILES)[:100_000]


@pytest.mark.parametrize("answer", [StreamingResponse(broken())])
@pytest.mark.usefixtures("api")
def test_half_an_archive_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ApiProblem, match="did not arrive whole"):
        export_job("abcdef", tmp_path / "out")
    assert left(tmp_path) == []


@pytest.mark.parametrize("answer", [Response(archive({"../escape": b"x"}))])
@pytest.mark.usefixtures("api")
def test_paths_in_an_archive_are_not_followed(tmp_path: Path) -> None:
    with pytest.raises(ApiProblem, match="holds paths instead of files"):
        export_job("abcdef", tmp_path / "out")
    assert left(tmp_path) == []


@pytest.mark.usefixtures("api")
def test_a_full_disk_is_named_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_archive: ZipFile, path: Path) -> None:
        (path / "README.md").write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(ZipFile, "extractall", full)
    with pytest.raises(Failure, match=r"cannot be written: the disk is full\. Nothing was left there"):
        export_job("abcdef", tmp_path / "out")
    assert left(tmp_path) == []
