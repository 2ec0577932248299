import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

from tests.deploy.conftest import ROOT
from tests.deploy.dockerfile import Dockerfile

EXTRAS = {"api": "backend", "worker": "worker", "worker-cpu": "worker", "ui": "frontend"}
PORTS = {"api": "8750", "ui": "8501"}


def test_the_linter_finds_nothing() -> None:
    program = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which("hadolint")
    assert program is not None, "hadolint is missing: it comes with the extra `dev`"
    checked = subprocess.run(
        [program, "--no-color", str(ROOT / "Dockerfile")], capture_output=True, text=True, check=False
    )
    assert (checked.stdout, checked.returncode) == ("", 0)


def test_every_image_comes_from_one_pinned_image_that_runs_pairlab(dockerfile: Dockerfile) -> None:
    images = {stage.base for stage in dockerfile.stages.values()} - set(dockerfile.stages)
    (image,) = images
    version = re.fullmatch(r"python:(\d+\.\d+\.\d+)-slim-bookworm", image)
    assert version, image
    assert version[1] in SpecifierSet(
        tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    )


@pytest.mark.parametrize("target", sorted(EXTRAS))
def test_an_image_holds_the_extra_of_its_role_alone(dockerfile: Dockerfile, target: str) -> None:
    (environment,) = dockerfile.sources(target)
    installed = " ".join(run.text for run in dockerfile.instructions(environment, "RUN"))
    assert re.findall(r"\.whl\)\[([\w,]+)\]", installed) == [EXTRAS[target]]
    assert "/wheel/*.whl" in installed, "the code comes behind its requirements"


@pytest.mark.parametrize("target", sorted(EXTRAS))
def test_an_image_has_no_build_tools_and_runs_as_nobody(dockerfile: Dockerfile, target: str) -> None:
    chain = {stage.name for stage in dockerfile.chain(target)}
    assert not chain & {"requirements", "wheel", "venv"}
    runs = " ".join(run.text for run in dockerfile.instructions(target, "RUN"))
    assert "pip uninstall" in runs
    assert not re.search(r"\b(apt|apt-get|gcc|make|curl|wget|git|pip install)\b", runs)
    assert dockerfile.last(target, "USER").text == "10001:10001"
    assert dockerfile.environment(target)["PYTHONUNBUFFERED"] == "1"
    assert not {"ADD", "VOLUME"} & {each.name for stage in dockerfile.chain(target) for each in stage.instructions}


@pytest.mark.parametrize("target", sorted(EXTRAS))
def test_entry_point_and_health_check_need_no_shell(dockerfile: Dockerfile, target: str) -> None:
    entry_point = dockerfile.last(target, "ENTRYPOINT").exec_form
    health_check = dockerfile.last(target, "HEALTHCHECK").exec_form
    assert entry_point is not None
    assert health_check is not None
    assert health_check[0] == "python"
    assert not dockerfile.instructions(target, "CMD")
    if target in PORTS:
        assert dockerfile.last(target, "EXPOSE").text == PORTS[target]
        assert PORTS[target] in entry_point
        assert f"C('127.0.0.1', {PORTS[target]}" in health_check[-1]


def test_the_ui_starts_from_where_the_image_has_it(dockerfile: Dockerfile) -> None:
    entry_point = dockerfile.last("ui", "ENTRYPOINT").exec_form or []
    (script,) = (word for word in entry_point if word.endswith(".py"))
    minor = ".".join(dockerfile.chain("ui")[0].base.split(":")[1].split(".")[:2])
    folder = f"/opt/venv/lib/python{minor}/site-packages/"
    assert script.startswith(folder)
    assert (ROOT / script.removeprefix(folder)).is_file()


def test_what_is_sent_to_the_engine_is_what_the_image_is_built_from(dockerfile: Dockerfile) -> None:
    copied = {
        source
        for stage in dockerfile.stages.values()
        for each in stage.instructions
        if each.name == "COPY" and "from" not in each.flags
        for source in each.words[:-1]
    }
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "*"
    assert {line.removeprefix("!") for line in lines if line.startswith("!")} == copied
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert {*packages["packages"], *packages["force-include"]} <= copied
    assert all((ROOT / source).exists() for source in copied)
