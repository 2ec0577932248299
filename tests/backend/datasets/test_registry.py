from backend.context import Context
from backend.datasets import registry
from backend.datasets.registry import Registry
from backend.datasets.service import find_browsable
from tests.backend.datasets.known_tables import add_known_table
from tests.pairlab.scenes.invented_table import invented_table


def test_a_dataset_is_kept_for_moments_and_then_looked_up_by_one(context: Context) -> None:
    clock = [100.0]
    found = find_browsable(context, add_known_table(context, "known", invented_table(3)))
    kept = Registry(clock=lambda: clock[0])
    assert kept.find("known") is None
    kept.keep("known", found, since=kept.changes)
    assert kept.find("known") is found
    clock[0] += registry.FRESH_SECONDS * 1.5
    assert kept.find("known") is None  # this caller looks again
    assert kept.find("known") is found  # the others need not
    clock[0] += registry.FRESH_SECONDS * 2.5
    assert kept.find("known") is None
    assert kept.find("known") is None


def test_what_was_read_before_a_change_is_not_kept_after_it(context: Context) -> None:
    found = find_browsable(context, add_known_table(context, "known", invented_table(3)))
    kept = Registry()
    since = kept.changes
    kept.forget("known")
    kept.keep("known", found, since=since)
    assert kept.find("known") is None


def test_a_bounded_number_is_kept(context: Context) -> None:
    found = find_browsable(context, add_known_table(context, "known", invented_table(3)))
    kept = Registry()
    for number in range(registry.MOST + 5):
        kept.keep(f"d{number}", found, since=kept.changes)
    assert kept.find("d4") is None
    assert kept.find("d5") is found
