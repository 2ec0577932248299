"""Which GPUs of a machine each run gets."""

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager


class Devices:
    """The GPUs of a worker in groups, one group for a run; threads may share it.

    A run gets the group that the fewest others use: each its own, unless there are more runs than groups.
    """

    def __init__(self, gpus: Sequence[str], *, per_run: int) -> None:
        """Makes the groups.

        Args:
            gpus: as CUDA_VISIBLE_DEVICES names them; none where there is none.
            per_run: in each group. Where there are fewer, all are one group; what does not fill a group is left over.
        """
        groups = max(1, len(gpus) // per_run)
        self._groups = [list(gpus[number * per_run : (number + 1) * per_run]) for number in range(groups)]
        self._users = [0] * groups
        self._lock = threading.Lock()

    @contextmanager
    def group(self) -> Iterator[list[str]]:
        """Gives a group for as long as it is used."""
        with self._lock:
            number = self._users.index(min(self._users))
            self._users[number] += 1
        try:
            yield self._groups[number]
        finally:
            with self._lock:
                self._users[number] -= 1


def gpu_names() -> list[str]:
    """Returns the names of the GPUs of this machine; torch is not imported in this process."""
    if shutil.which("nvidia-smi") is None:
        return []
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return answer.stdout.splitlines()


def visible_gpus() -> list[str]:
    """Returns the GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    every = [str(number) for number in range(len(gpu_names()))]
    allowed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if allowed is None or not every:
        return every
    return [name for name in (each.strip() for each in allowed.split(",")) if name and name != "-1"]
