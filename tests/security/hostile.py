"""Files as somebody would write them who wants a reader to run something."""

import json
import pickle
from pathlib import Path
from typing import Any


class Payload:
    """Unpickled, it makes a file."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, tuple[str, str]]:
        return open, (str(self.canary), "w")


def pickled(canary: Path) -> bytes:
    """Return a pickle that makes the canary."""
    return pickle.dumps({"state_dict": Payload(canary)})


def torch_zip(canary: Path, path: Path) -> bytes:
    """Return what `torch.save` writes of the payload."""
    import torch

    torch.save({"state_dict": Payload(canary)}, path)
    return path.read_bytes()


def object_array(canary: Path, path: Path) -> bytes:
    """Return a .npy of objects."""
    import numpy as np

    with path.open("wb") as file:
        np.save(file, np.array([Payload(canary)], dtype=object), allow_pickle=True)
    return path.read_bytes()


def safetensors_of(header: Any, data: bytes = b"") -> bytes:
    """Return a safetensors file with any header."""
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def hostile_metadata(canary: Path) -> dict[bytes, bytes]:
    """Return metadata of an Arrow field that an old pyarrow unpickled."""
    return {b"ARROW:extension:name": b"arrow.py_extension_type", b"ARROW:extension:metadata": pickled(canary)}


def pandas_metadata(columns: list[str], canary: Path) -> dict[bytes, bytes]:
    """Return what pandas is told of columns, with everything in it that names a type a hostile word."""
    word = f"__import__('pathlib').Path('{canary}').touch()"
    described = [
        {"name": name, "field_name": name, "pandas_type": word, "numpy_type": word, "metadata": {"timezone": word}}
        for name in columns
    ]
    about = {"index_columns": [{"kind": "range", "name": word, "start": 0, "stop": 1, "step": 1}]}
    about |= {"column_indexes": [], "columns": described, "creator": {"library": word, "version": word}}
    return {b"pandas": json.dumps(about).encode(), b"nml_schema": b"1"}
