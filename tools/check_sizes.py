#!/usr/bin/env python3
"""Checks the lengths of files and the number of files in a folder. Generated tables are exempt.

usage: check_sizes.py [ROOT]
"""

import sys
from collections import Counter
from pathlib import Path

from source_tree import is_data, report, tree_files

CODE_SUFFIXES = (".h", ".cc", ".cu", ".cuh", ".metal", ".py", ".sh")
MAX_FILES_IN_FOLDER = 15


def line_limit(path: str) -> tuple[str, int]:
    """The kind of a file and how many lines it may have."""
    stem = path.rsplit(".", 1)[0]
    if stem.endswith("_test") or path.startswith("tests/"):
        return "test", 1200
    if path.startswith("src/kernels/"):
        return "kernel file", 1000
    return ("header", 400) if path.endswith((".h", ".cuh")) else ("source", 800)


def percentile(ordered: list[int], fraction: float) -> int:
    return ordered[min(len(ordered) - 1, int(fraction * len(ordered)))]


def check(root: Path) -> tuple[list[str], list[int]]:
    problems, lengths = [], []
    folders: Counter[str] = Counter()
    for path in tree_files(root, "include", "src", "fuzz", "tests", "bench", "tools"):
        if is_data(path) or path.endswith("_tables.inc"):
            continue
        if not path.endswith("/CMakeLists.txt"):
            folders[path.rsplit("/", 1)[0]] += 1
        if not path.endswith(CODE_SUFFIXES):
            continue
        length = (root / path).read_bytes().count(b"\n")
        lengths.append(length)
        kind, limit = line_limit(path)
        if length > limit:
            problems.append(f"{path}: {length} lines; a {kind} has at most {limit}: split it")
    for folder, count in sorted(folders.items()):
        if count > MAX_FILES_IN_FOLDER:
            problems.append(f"{folder}: {count} files; at most {MAX_FILES_IN_FOLDER}: make subfolders")
    return problems, sorted(lengths)


def main() -> int:
    problems, lengths = check(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
    if not lengths:
        problems.append("no source files found")
        lengths = [0]
    return report("sizes", problems,
                  f"{len(lengths)} files, lines: median {percentile(lengths, 0.5)}, "
                  f"90 % within {percentile(lengths, 0.9)}, longest {lengths[-1]}")


if __name__ == "__main__":
    sys.exit(main())
