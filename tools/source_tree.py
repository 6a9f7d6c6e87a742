"""The files of the source tree, for the structure checks: what is built, generated or vendored by
git is left out, and so is test data."""

import os
from pathlib import Path

SKIPPED_FOLDERS = {".git", ".cache", "build", "node_modules", "__pycache__"}
DATA_FOLDERS = ("tests/data", "tests/golden/hf", "fuzz/corpus", "models")


def is_data(path: str) -> bool:
    """`path` is relative to the root and uses slashes; a folder `testdata` is data anywhere."""
    return path.startswith(tuple(f + "/" for f in DATA_FOLDERS)) or "/testdata/" in path


def tree_files(root: Path, *folders: str) -> list[str]:
    """Sorted paths relative to `root` of all files below `folders` (default: everywhere)."""
    found = []
    for folder in folders or (".",):
        for place, subfolders, names in os.walk(root / folder):
            subfolders[:] = sorted(set(subfolders) - SKIPPED_FOLDERS)
            found += [(Path(place) / n).relative_to(root).as_posix() for n in names]
    return sorted(found)


def report(name: str, problems: list[str], summary: str) -> int:
    """Prints problems or the summary; returns the exit status."""
    for problem in problems:
        print(problem)
    print(f"{name}: {len(problems)} problem(s)" if problems else f"{name}: {summary}")
    return 1 if problems else 0
