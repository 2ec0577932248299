import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml.constructor import DuplicateKeyError
from sqlalchemy import create_engine

from backend.settings import Settings
from frontend.connection import find_endpoint
from tests.deploy.compose_file import ComposeError, interpolate, load_compose
from tests.deploy.conftest import FILES, ROOT, SECRETS
from tests.deploy.dockerfile import Dockerfile

SCHEMA = json.loads((Path(__file__).parent / "compose_specification" / "compose-spec.json").read_text())
PINNED = re.compile(r"[a-z][a-z0-9/-]*:\d+\.\d+(\.\d+)?(-[a-z0-9.]+)?")
DURATION = re.compile(r"(\d+(\.\d+)?(ns|us|ms|s|m|h))+")


def _environment(service: dict[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in service.get("environment", {}).items()}


def _built(model: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], str]]:
    for name, service in model["services"].items():
        if "build" in service:
            yield name, service, service["build"]["target"]


def _mounts(service: dict[str, Any]) -> dict[str, tuple[str, bool]]:
    """Source and whether it is read-only, by target."""
    parts = [volume.split(":") for volume in service.get("volumes", [])]
    return {target: (source, mode == ["ro"]) for source, target, *mode in parts}


def test_the_files_are_what_the_specification_allows(model: dict[str, Any]) -> None:
    errors = Draft202012Validator(SCHEMA).iter_errors(model)
    assert [f"{error.json_path}: {error.message}" for error in errors] == []


@pytest.mark.parametrize(
    ("service", "part", "value"),
    [
        ("redis", "restart", 3),
        ("redis", "imagee", "redis:7.4.11"),
        ("redis", "depends_on", {"postgres": {"condition": "service_helthy"}}),
    ],
)
def test_the_schema_sees_what_is_not_allowed(service: str, part: str, value: object) -> None:
    model = load_compose(FILES["gpu"], SECRETS)
    model["services"][service][part] = value
    assert not Draft202012Validator(SCHEMA).is_valid(model)


def test_durations_are_durations(model: dict[str, Any]) -> None:
    for name, service in model["services"].items():
        given = {**service, **service.get("healthcheck", {})}
        found = {given[key] for key in ("interval", "timeout", "start_period", "stop_grace_period") if key in given}
        assert all(DURATION.fullmatch(each) for each in found), name


def test_the_roles_are_there(model: dict[str, Any]) -> None:
    assert set(model["services"]) == {"redis", "postgres", "api", "worker", "ui"}


def test_every_image_is_pinned_and_ours_carry_the_version(model: dict[str, Any]) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    for name, service in model["services"].items():
        assert PINNED.fullmatch(service["image"]), name
    for name, service, target in _built(model):
        assert service["image"] == f"pairlab-{target}:{version}", name
        assert service["pull_policy"] == "build", f"{name} could be pulled from whoever takes its name on a registry"


def test_targets_and_stages_are_the_same_set(dockerfile: Dockerfile) -> None:
    used = {target for files in FILES.values() for _name, _service, target in _built(load_compose(files, SECRETS))}
    assert used == dockerfile.targets()


def test_every_service_has_a_health_check(model: dict[str, Any], dockerfile: Dockerfile) -> None:
    for name, service in model["services"].items():
        if "build" in service:
            assert dockerfile.last(service["build"]["target"], "HEALTHCHECK").exec_form, name
        else:
            assert service["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL"), name


def test_no_service_may_do_more_than_it_needs(model: dict[str, Any], dockerfile: Dockerfile) -> None:
    for name, service in model["services"].items():
        user = service.get("user") or dockerfile.last(service["build"]["target"], "USER").text
        assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user), name
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        extra = {"privileged", "cap_add", "devices", "pid", "ipc", "network_mode", "userns_mode", "device_cgroup_rules"}
        assert not extra & set(service), name


def test_every_service_comes_back_and_keeps_its_log_short(model: dict[str, Any]) -> None:
    for name, service in model["services"].items():
        assert service["restart"] == "unless-stopped", name
        assert {"max-size", "max-file"} <= set(service["logging"]["options"]), name


def test_only_the_ui_can_be_reached_and_only_from_this_machine(model: dict[str, Any], dockerfile: Dockerfile) -> None:
    published = {name: service["ports"] for name, service in model["services"].items() if "ports" in service}
    exposed = dockerfile.last("ui", "EXPOSE").text
    assert published == {"ui": [f"127.0.0.1:{exposed}:{exposed}"]}
    networks = {name: set(service["networks"]) for name, service in model["services"].items()}
    assert networks.pop("ui") == {"services", "browser"}
    assert all(of == {"services"} for of in networks.values())
    assert model["networks"]["services"] == {"internal": True}


def test_the_ui_can_be_published_elsewhere() -> None:
    chosen = {"PAIRLAB_UI_BIND": "0.0.0.0", "PAIRLAB_UI_PORT": "80", "PAIRLAB_UI_HOSTS": "lab.example"}
    ui = load_compose(FILES["gpu"], SECRETS | chosen)["services"]["ui"]
    assert ui["ports"] == ["0.0.0.0:80:8501"]
    assert ui["environment"]["PAIRLAB_ALLOWED_HOSTS"] == "lab.example"


def test_services_wait_for_the_health_of_those_they_need(model: dict[str, Any]) -> None:
    needs = {name: service.get("depends_on", {}) for name, service in model["services"].items()}
    for name, needed in needs.items():
        assert all(condition == {"condition": "service_healthy"} for condition in needed.values()), name
    assert {name: set(needed) for name, needed in needs.items()} == {
        "redis": set(),
        "postgres": set(),
        "api": {"redis", "postgres"},
        "worker": {"redis", "postgres", "api"},
        "ui": {"api"},
    }


def test_every_volume_is_declared_and_used(model: dict[str, Any]) -> None:
    used = {source for service in model["services"].values() for source, _ in _mounts(service).values()}
    assert used == set(model["volumes"])


def test_api_and_workers_share_their_files_and_may_only_read_the_imagery(dockerfile: Dockerfile) -> None:
    services = load_compose(FILES["gpu"], SECRETS | {"PAIRLAB_DATA": "/srv/imagery"})["services"]
    for name in ("api", "worker"):
        home = dockerfile.environment(name)["PAIRLAB_HOME"]
        assert _mounts(services[name]) == {home: ("files", False), "/data": ("/srv/imagery", True)}
        made = [run.text for run in dockerfile.instructions(name, "RUN") if home in run.text]
        assert any("--owner=pairlab" in text for text in made), "a new volume takes the owner of the image's folder"
    assert "volumes" not in services["ui"]


def test_every_pairlab_variable_is_one_that_is_read(model: dict[str, Any], dockerfile: Dockerfile) -> None:
    settings = {f"PAIRLAB_{name.upper()}" for name in Settings.model_fields}
    text = "".join(path.read_text() for path in (ROOT / "frontend").rglob("*.py"))
    read_by_ui = set(re.findall(r"\bPAIRLAB_[A-Z_]+\b", text))
    for name, service, target in _built(model):
        ours = {key for key in _environment(service) | dockerfile.environment(target) if key.startswith("PAIRLAB_")}
        assert ours <= (read_by_ui if name == "ui" else settings), name


def test_the_settings_in_force_fit_the_network(
    model: dict[str, Any], hardware: str, dockerfile: Dockerfile, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("api", "worker"):
        service = model["services"][name]
        with monkeypatch.context() as patch:
            for key, value in (dockerfile.environment(service["build"]["target"]) | _environment(service)).items():
                if key.startswith("PAIRLAB_"):
                    patch.setenv(key, value)
            settings = Settings()
        assert settings.hardware == hardware
        assert settings.data_roots == {"data": Path("/data")}
        assert urlsplit(settings.broker).hostname in model["services"]
        engine = create_engine(settings.database)
        assert (engine.dialect.name, engine.dialect.driver) == ("postgresql", "psycopg")
        assert engine.url.host in model["services"]
        assert engine.url.password is None
        assert service["environment"]["PGPASSWORD"] == SECRETS["POSTGRES_PASSWORD"]
        database = model["services"]["postgres"]["environment"]
        assert (engine.url.username, engine.url.database) == (database["POSTGRES_USER"], database["POSTGRES_DB"])
        if name == "api":
            assert settings.token is not None
            assert settings.token.get_secret_value() == SECRETS["PAIRLAB_TOKEN"]
            assert {"api", "127.0.0.1"} <= set(settings.allowed_hosts), "the UI and the health check ask by these names"


def test_the_ui_finds_the_api(model: dict[str, Any], dockerfile: Dockerfile) -> None:
    environment = _environment(model["services"]["ui"])
    endpoint = find_endpoint(environment)
    assert endpoint == (f"http://api:{dockerfile.last('api', 'EXPOSE').text}", SECRETS["PAIRLAB_TOKEN"])
    assert "127.0.0.1" in environment["PAIRLAB_ALLOWED_HOSTS"].split(","), "the health check asks by this name"


def test_only_the_worker_takes_gpus_and_the_override_gives_them_back(model: dict[str, Any], hardware: str) -> None:
    reserved = {name: service["deploy"] for name, service in model["services"].items() if "deploy" in service}
    devices = [{"driver": "nvidia", "count": "all", "capabilities": ["gpu"]}]
    expected = {"worker": {"resources": {"reservations": {"devices": devices}}}}
    assert reserved == (expected if hardware == "gpu" else {})


def test_the_queue_keeps_its_messages(model: dict[str, Any]) -> None:
    command = model["services"]["redis"]["command"]
    options = dict(zip(command[1::2], command[2::2], strict=True))
    assert options["--appendonly"] == "yes"
    assert options["--maxmemory-policy"] == "noeviction"
    assert _mounts(model["services"]["redis"])["/data"] == ("queue", False)


@pytest.mark.parametrize("missing", sorted(SECRETS))
@pytest.mark.parametrize("value", [None, ""])
def test_nothing_starts_without_its_secrets(missing: str, value: str | None, hardware: str) -> None:
    given = {name: secret for name, secret in SECRETS.items() if name != missing}
    if value is not None:
        given[missing] = value
    with pytest.raises(ComposeError, match=rf"required variable {missing} is missing a value: choose a "):
        load_compose(FILES[hardware], given)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$A-${A}", "1-1"),
        ("${B:-two} ${E:-two} ${E-two} ${B-two}", "two two  two"),
        ("${A:+there} ${E:+there} ${E+there}", "there  there"),
        ("$$A ${UNSET}", "$A "),
    ],
)
def test_variables_are_put_in_as_the_specification_says(text: str, expected: str) -> None:
    assert interpolate(text, {"A": "1", "E": ""}) == expected


def test_files_are_merged_as_the_specification_says(tmp_path: Path) -> None:
    base, over, twice = (tmp_path / name for name in ("base.yml", "over.yml", "twice.yml"))
    base.write_text("a: {ports: [1], command: [x], keep: 1, gone: {b: 1}, all: [1]}\n")
    over.write_text("a: {ports: [2], command: [y], gone: !reset null, all: !override [3]}\n")
    assert load_compose([base, over], {}) == {"a": {"ports": [1, 2], "command": ["y"], "keep": 1, "all": [3]}}
    over.write_text("a: [1]\n")
    with pytest.raises(ComposeError, match=r"cannot override \.a"):
        load_compose([base, over], {})
    twice.write_text("a: 1\na: 2\n")
    with pytest.raises(DuplicateKeyError):
        load_compose([twice], {})
