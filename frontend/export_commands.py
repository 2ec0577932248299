"""`pairlab export`: a pretraining's weights in a folder of one's own, whole or not at all."""

import errno
import shutil
import zipfile
from contextlib import closing
from pathlib import Path
from secrets import token_hex
from typing import Annotated

import typer

from frontend.api_client import ApiClient
from frontend.connection import ApiProblem
from frontend.following import Failure
from frontend.identities import resolve

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def export_job(
    identity: Annotated[str, typer.Argument(metavar="JOB", help="A pretraining; the beginning of its id will do.")],
    to: Annotated[Path, typer.Option("--to", metavar="FOLDER", help="A new or empty folder.")],
) -> None:
    """Write a pretraining's encoder for timm and segmentation-models-pytorch, with its model card."""
    _check_folder(to)
    with closing(ApiClient.from_environment()) as client:
        _, job = resolve(client, identity, kinds=("job",))
        names = _write(client, job, to)
    typer.echo(f"{to} holds {', '.join(names)}.")


def _write(client: ApiClient, job: str, to: Path) -> list[str]:
    """Returns the names of the files, which lie in the folder all at once or not at all."""
    temporary = to.absolute().with_name(f".{to.absolute().name}.{token_hex(4)}.partial")
    try:
        temporary.mkdir()
        names = _download(client, job, temporary)
        temporary.replace(to)
    except OSError as error:
        why = "the disk is full" if error.errno in _NO_ROOM else error.strerror or str(error)
        raise Failure(f"{to} cannot be written: {why}. Nothing was left there.") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return names


def _check_folder(to: Path) -> None:
    if to.is_dir():
        if any(to.iterdir()):
            raise Failure(f"{to} is not empty: name a new folder, or empty this one first.")
    elif to.exists() or to.is_symlink():
        raise Failure(f"{to} is no folder: name a new one.")
    elif not to.absolute().parent.is_dir():
        raise Failure(f"{to} cannot be made, for {to.parent} is no folder: make that first.")


def _download(client: ApiClient, job: str, folder: Path) -> list[str]:
    """Returns the names of the files, now in the folder; each was checked against the archive's own checksum."""
    path = folder / "export.zip"
    with path.open("wb") as file:
        for piece in client.export(job):
            file.write(piece)
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if any(Path(name).name != name for name in names):
                raise ApiProblem(["The archive holds paths instead of files. Is it PairLab's API that answers?"])
            archive.extractall(folder)
    except zipfile.BadZipFile as error:
        raise ApiProblem(["The archive did not arrive whole. Try again; the API's log says why it stopped."]) from error
    path.unlink()
    return names
