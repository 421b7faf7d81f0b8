"""Compare a fresh build with the committed files."""

from pathlib import Path

BUILT = ("corpora", "tasks", "licences", "ATTRIBUTION.md")


def _files(root: Path) -> dict[str, Path]:
    paths = [path for name in BUILT for path in [root / name, *(root / name).rglob("*")] if path.is_file()]
    return {str(path.relative_to(root)): path for path in paths}


def differences(fresh: Path, committed: Path) -> list[str]:
    """Return one line for each built file that is missing, superfluous or of other bytes."""
    new, old = _files(fresh), _files(committed)
    lines = [f"missing: {name}" for name in sorted(new.keys() - old.keys())]
    lines += [f"superfluous: {name}" for name in sorted(old.keys() - new.keys())]
    both = sorted(new.keys() & old.keys())
    return [*lines, *(f"differs: {name}" for name in both if new[name].read_bytes() != old[name].read_bytes())]
