import pytest

from pairlab.experiment.method_warnings import method_warnings
from pairlab.experiment.methods import BYOL, DenseCL, Method, MoCo, PixelInfoNCE, SeCo, VICRegL


@pytest.mark.parametrize("method", [MoCo(queue_size=64), DenseCL(queue_size=64), SeCo(queue_size=64)])
def test_a_queue_as_long_as_the_list_of_pairs_is_told(method: MoCo | DenseCL | SeCo) -> None:
    assert method_warnings(method, pairs=65) == []
    (said,) = method_warnings(method, pairs=64)
    assert said == (
        f"the queue of {method.name} holds 64 keys and the run has 64 pairs: each place meets older keys of its own as "
        "negatives; take a method.queue_size of at most 32, half of the pairs"
    )
    assert method_warnings(type(method)(queue_size=32), pairs=64) == []


@pytest.mark.parametrize("method", [BYOL(), VICRegL(), PixelInfoNCE()])
def test_methods_without_a_queue_have_none_to_warn_of(method: Method) -> None:
    assert method_warnings(method, pairs=2) == []


def test_the_defaults_suit_the_default_number_of_pairs() -> None:
    assert all(not method_warnings(each, pairs=1000) for each in (MoCo(), DenseCL(), SeCo()))
