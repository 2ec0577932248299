import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from backend.errors import ForbiddenError
from backend.settings import Settings
from backend.signatures import STEP_SECONDS, Signatures, next_expiry, open_signatures

LATER = int(time.time()) + 1000


def test_a_signature_holds_for_its_parts_alone() -> None:
    signatures = Signatures(b"key")
    signature = signatures.sign("a", "b", str(LATER))
    signatures.check(signature, "a", "b", expires=LATER)
    for parts, expires in ((("a", "c"), LATER), (("ab", ""), LATER), (("a",), LATER), (("a", "b"), LATER + 1)):
        with pytest.raises(ForbiddenError, match="does not match"):
            signatures.check(signature, *parts, expires=expires)
    for wrong in ("", signature[:-1], signature.upper(), signature + "0", "é" * 64, "\ud800" * 64):
        with pytest.raises(ForbiddenError, match="does not match"):
            signatures.check(wrong, "a", "b", expires=LATER)
    with pytest.raises(ForbiddenError, match="does not match"):
        Signatures(b"another key").check(signature, "a", "b", expires=LATER)


def test_a_signature_expires() -> None:
    signatures, past = Signatures(b"key"), int(time.time()) - 1
    with pytest.raises(ForbiddenError, match="has expired"):
        signatures.check(signatures.sign("a", str(past)), "a", expires=past)


def test_expiry_moves_in_coarse_steps() -> None:
    start = 1_800_000_000 // STEP_SECONDS * STEP_SECONDS
    assert {next_expiry(start + offset) for offset in (0, 1, STEP_SECONDS - 1)} == {start + 2 * STEP_SECONDS}
    assert next_expiry(start + STEP_SECONDS) == start + 3 * STEP_SECONDS


def test_the_key_is_made_once_and_private(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    signature = open_signatures(settings).sign("a")
    key = tmp_path / "signing.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert len(key.read_bytes()) == 32
    assert open_signatures(settings).sign("a") == signature
    assert [path.name for path in tmp_path.iterdir()] == ["signing.key"]


def test_processes_that_start_at_once_have_one_key(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from backend.settings import Settings; "
        "from backend.signatures import open_signatures; "
        "settings = Settings(home=Path(sys.argv[1])); sys.stdin.read(); "
        "print(open_signatures(settings).sign('a'))"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for _ in range(4)
    ]
    assert len({process.communicate(timeout=60)[0] for process in processes}) == 1


def test_a_key_can_be_given(tmp_path: Path) -> None:
    settings = [Settings(home=tmp_path, signing_key=SecretStr(key)) for key in ("0123456789abcdef", "fedcba9876543210")]
    assert len({open_signatures(each).sign("a") for each in settings}) == 2
    assert not list(tmp_path.iterdir())
    with pytest.raises(ValidationError, match="at least 16 characters"):
        Settings(home=tmp_path, signing_key=SecretStr("short"))
