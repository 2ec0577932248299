import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.extras import ROOT, closure, write_view

FOREIGN = {
    "backend": {"torch", "torchvision", "timm", "segmentation-models-pytorch", "kornia", "streamlit", "httpx", "typer"},
    "worker": {"fastapi", "starlette", "uvicorn", "streamlit", "httpx", "typer", "lightly"},
    "frontend": {"torch", "celery", "kombu", "redis", "sqlalchemy", "alembic", "fastapi", "psycopg", "shapely"},
}
ALIASES = {"opencv-python-headless": "cv2", "segmentation-models-pytorch": "segmentation_models_pytorch"}


def imports(extra: str) -> list[str]:
    """Statements that import a role's entry points, and what these load by name later."""
    by_name = ["import kombu.transport.redis", "import psycopg"]
    if extra == "backend":
        return ["import backend.app, backend.embedded, uvicorn.main", *by_name]
    if extra == "worker":
        return ["import worker.app, worker.run_job, worker.fork_server, celery.bin.worker", *by_name]
    return ["import frontend.cli, frontend.asgi, streamlit.web.cli", *_imports_of_screens()]


def _imports_of_screens() -> list[str]:
    """The router and the screens are scripts: importing one would run it, and ask whatever API there is."""
    scripts = [ROOT / "frontend" / "app.py", *(ROOT / "frontend" / "screens").glob("*.py")]
    nodes = (node for script in scripts for node in ast.walk(ast.parse(script.read_text())))
    return sorted({ast.unparse(node) for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)})


def import_command(extra: str) -> str:
    """Code that imports a role's entry points and fails where something foreign came along."""
    foreign = {ALIASES.get(name, name) for name in FOREIGN[extra]}
    statements = "\n".join(imports(extra))
    return f"import sys\n{statements}\nfound = {foreign!r} & set(sys.modules)\nassert not found, found"


@pytest.mark.parametrize("extra", sorted(FOREIGN))
def test_an_extra_leads_to_nothing_of_the_other_roles(extra: str) -> None:
    assert not FOREIGN[extra] & set(closure(extra))


@pytest.mark.parametrize("extra", sorted(FOREIGN))
def test_a_role_imports_where_its_extra_alone_can_be_seen(extra: str, tmp_path: Path) -> None:
    write_view(tmp_path / "view", closure(extra).values())
    # -I and -S: no working directory, no environment, no site-packages; the view is all there is.
    code = f"import sys; sys.path.append({str(tmp_path / 'view')!r})\n{import_command(extra)}"
    home = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PAIRLAB_HOME": str(tmp_path / "home")}
    imported = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code],
        cwd=tmp_path,
        env=home,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert imported.returncode == 0, imported.stderr[-4000:]


def test_the_view_hides_what_is_outside_the_extra(tmp_path: Path) -> None:
    write_view(tmp_path / "view", closure("frontend").values())
    code = f"import sys; sys.path.append({str(tmp_path / 'view')!r})\nimport frontend.api_client, backend.app"
    refused = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert "backend/app.py" in refused.stderr
    assert "ModuleNotFoundError" in refused.stderr
