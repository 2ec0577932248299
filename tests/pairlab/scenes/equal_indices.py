"""When two indices are equal: every scene, every number and every type."""

from dataclasses import fields

import numpy as np

from pairlab.scenes.index import DatasetIndex, SceneTable


def assert_equal(found: DatasetIndex, expected: DatasetIndex, *, order_of_columns: bool = True) -> None:
    """Checks that two indices are the same; NaN equals NaN."""
    assert_equal_tables(found.table, expected.table, order_of_columns=order_of_columns)
    np.testing.assert_array_equal(found.cells, expected.cells)
    np.testing.assert_array_equal(found.objects, expected.objects)
    assert (found.cells.dtype, found.objects.dtype) == (expected.cells.dtype, expected.objects.dtype)


def assert_equal_tables(found: SceneTable, expected: SceneTable, *, order_of_columns: bool = True) -> None:
    """Checks that two scene tables are the same; NaN equals NaN."""
    assert set(found.columns) == set(expected.columns)
    assert not order_of_columns or list(found.columns) == list(expected.columns)
    for name, values in expected.columns.items():
        np.testing.assert_array_equal(found.columns[name], values, err_msg=name)
        assert found.columns[name].dtype == values.dtype, name
    for name in (field.name for field in fields(SceneTable) if field.name != "columns"):
        here, there = getattr(found, name), getattr(expected, name)
        if isinstance(there, np.ndarray):
            np.testing.assert_array_equal(here, there, err_msg=name)
            assert here.dtype == there.dtype, name
        else:
            assert here == there, name
