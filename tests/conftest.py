from collections.abc import Iterator

import pytest

from tests.live_stack import SAMPLE, TINY_DATASET, LiveStack, running_stack
from tests.pairlab.scenes.xbd_tree import write_xbd_tree


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveStack]:
    """A real PairLab with two slots and the data roots `generated` and, where the real tiles are, `xbd`."""
    generated = tmp_path_factory.mktemp("generated")
    write_xbd_tree(generated / "xbd", seed=5)
    roots = {"generated": generated, **({"xbd": SAMPLE} if SAMPLE.is_dir() else {})}
    with running_stack(tmp_path_factory.mktemp("stack") / "home", roots) as running:
        yield running


@pytest.fixture(scope="session")
def tiny(stack: LiveStack) -> str:
    """Name of the dataset that `tiny_experiment` runs on."""
    return stack.register("tiny", TINY_DATASET)
