#!/usr/bin/env python3
"""Checks the characters of all text files: UTF-8, no carriage returns, trailing blanks or tabs, a
newline at the end, no characters that reorder text on screen, and no paths of one machine.
Code is ASCII but for tests, whose strings may hold any script. Test data is exempt.

usage: check_text.py [ROOT]
"""

import re
import sys
from pathlib import Path

from source_tree import is_data, report, tree_files

CODE_SUFFIXES = (".h", ".cc", ".cu", ".cuh", ".inc", ".metal", ".cmake", ".cmake.in", ".py", ".sh",
                 "CMakeLists.txt")
TEXT_SUFFIXES = CODE_SUFFIXES + (".md", ".json", ".toml", ".yml", ".yaml", ".txt", ".in", "Makefile",
                                 ".ci/run", ".clang-tidy", ".clang-format", ".editorconfig")
ANY_SCRIPT = ("tests/", "training/", "docs/")
# Marks that make text read differently from what the compiler sees (CVE-2021-42574).
REORDERING = re.compile("[\u202a-\u202e\u2066-\u2069]")
MACHINE_PATH = re.compile(r"(?<![\w.$}~/-])/(?:work|home|root|Users)/[\w.]")


def check_line(path: str, line: str) -> list[str]:
    """What is wrong with one line, which comes without its newline."""
    problems = []
    if "\r" in line:
        problems.append("carriage return")
    elif line != line.rstrip():
        problems.append("trailing blanks")
    if "\t" in line and not path.endswith("Makefile"):
        problems.append("tab")
    if REORDERING.search(line):
        problems.append("character that reorders text on screen")
    free = path.startswith(ANY_SCRIPT) or path.endswith("_test.cc")
    if path.endswith(CODE_SUFFIXES) and not free and not line.isascii():
        stranger = next(c for c in line if not c.isascii())
        problems.append(f"non-ASCII character {stranger!r} in code")
    if MACHINE_PATH.search(line):
        problems.append("path of one machine")
    return problems


def check_file(path: str, content: bytes) -> list[str]:
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        return [f"{path}: not UTF-8 at byte {error.start}"]
    problems = []
    for number, line in enumerate(text.split("\n"), start=1):
        problems += [f"{path}:{number}: {problem}" for problem in check_line(path, line)]
    if text and not text.endswith("\n"):
        problems.append(f"{path}: no newline at the end")
    return problems


def main() -> int:
    root = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    problems: list[str] = []
    files = [f for f in tree_files(root)
             if f.endswith(TEXT_SUFFIXES) and (not is_data(f) or f.endswith(".md"))]
    for path in files:
        problems += check_file(path, (root / path).read_bytes())
    if not files:
        problems.append("no text files found")
    return report("text", problems, f"{len(files)} files")


if __name__ == "__main__":
    sys.exit(main())
