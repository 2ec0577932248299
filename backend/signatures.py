"""Addresses that may be asked for without the token: signed by this installation, and only until they expire."""

import contextlib
import hmac
import os
import secrets
import tempfile
import time
from pathlib import Path

from backend.errors import ForbiddenError
from backend.settings import Settings

KEY_BYTES = 32
STEP_SECONDS = 12 * 3600
"""Expiry is a multiple of it, so that an address stays the same for hours and browsers can keep what lies there."""
SIGNATURE_CHARACTERS = 64


class Signatures:
    """Signs with HMAC-SHA256 (RFC 2104)."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def sign(self, *parts: str) -> str:
        """Returns the signature of what an address says; no part holds a NUL character."""
        return hmac.digest(self._key, "\0".join(parts).encode("utf-8", "surrogatepass"), "sha256").hex()

    def check(self, signature: str, *parts: str, expires: int) -> None:
        """Raises ForbiddenError unless the signature is that of the parts and still holds.

        Args:
            signature: as it came.
            parts: what the address says, in the order in which it was signed.
            expires: seconds since 1970, part of what was signed.
        """
        right = self.sign(*parts, str(expires))
        if len(signature) != SIGNATURE_CHARACTERS or not secrets.compare_digest(
            signature.encode("utf-8", "surrogatepass"), right.encode()
        ):
            raise ForbiddenError("the signature does not match this address: take addresses as the API hands them out")
        if expires < time.time():
            raise ForbiddenError("this address has expired: ask the API for the list of scenes again")


def next_expiry(moment: float) -> int:
    """Returns when an address that is signed at `moment` expires: 12 to 24 hours later, seconds since 1970."""
    return (int(moment) // STEP_SECONDS + 2) * STEP_SECONDS


def open_signatures(settings: Settings) -> Signatures:
    """Returns what signs for this installation; its key is the setting, or is made once and kept in `home`."""
    if settings.signing_key is not None:
        return Signatures(settings.signing_key.get_secret_value().encode())
    path = settings.home / "signing.key"
    try:
        return Signatures(path.read_bytes())
    except FileNotFoundError:
        _make_key(path)
        return Signatures(path.read_bytes())


def _make_key(path: Path) -> None:
    """Writes a new key that its owner alone can read; of several processes, the first one's counts."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix="signing-")  # mode 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        Path(temporary).unlink(missing_ok=True)
