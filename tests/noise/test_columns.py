"""Rows are taken from a column of any chunks as Arrow takes them from one."""

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from nml.noise.columns import take

CHUNKS = st.lists(st.lists(st.one_of(st.none(), st.text(max_size=3)), max_size=5), max_size=5)


@given(CHUNKS, st.data())
def test_rows_come_in_the_order_asked_for(chunks: list[list[str | None]], data: st.DataObject) -> None:
    column = pa.chunked_array(chunks, pa.large_string())
    rows = data.draw(st.lists(st.integers(0, len(column) - 1), max_size=12)) if len(column) else []
    taken = take(column, np.array(rows, dtype=np.int64))
    assert taken.type == column.type
    assert taken.to_pylist() == [column[row].as_py() for row in rows]


def test_a_list_gives_a_list() -> None:
    assert take(["a", "b", "c"], np.array([2, 0])) == ["c", "a"]
