"""Parts of columns that are too long to be copied whole."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa


def take(column: Sequence[Any] | pa.ChunkedArray, rows: np.ndarray) -> Sequence[Any] | pa.ChunkedArray:
    """Return the values of a column at some rows (int64 [n]), in their order.

    Arrow's own `take` joins all chunks of a column of texts first, and then holds gigabytes twice; here each chunk
    gives its part.
    """
    if not isinstance(column, pa.ChunkedArray):
        return [column[row] for row in rows]
    order = np.argsort(rows, kind="stable")
    starts = np.cumsum([0, *(len(chunk) for chunk in column.chunks)])[:-1]
    parts = np.split(rows[order], np.searchsorted(rows[order], starts[1:]))
    taken = [chunk.take(part - start) for chunk, part, start in zip(column.chunks, parts, starts, strict=False)]
    place = np.empty(len(rows), dtype=np.int64)
    place[order] = np.arange(len(rows))
    return pa.chunked_array([pa.chunked_array(taken, column.type).combine_chunks().take(place)])
