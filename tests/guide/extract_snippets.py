"""Turns the C++ snippets of a Markdown page into tests.

usage: extract_snippets.py PAGE.md OUT.cc

Each ```cpp block becomes one GoogleTest, named by its heading and line, run in the source tree;
what it writes with assert() is checked. A compiler's messages point into the page.
"""

import pathlib
import re
import sys

PRELUDE = """// Made from {page} by tests/guide/extract_snippets.py.
#undef NDEBUG
#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <ruvllm/ruvllm.h>

// Snippets show values that they then leave alone.
#pragma GCC diagnostic ignored "-Wunused-variable"
#pragma GCC diagnostic ignored "-Wunused-but-set-variable"

using namespace ruvllm;
"""


def snippets(text):
    """(line of the first code line, heading, code) of each block."""
    heading, start, lines, found = "", None, [], []
    for number, line in enumerate(text.splitlines(), 1):
        if start is not None:
            if line.startswith("```"):
                found.append((start, heading, "\n".join(lines)))
                start = None
            else:
                lines.append(line)
        elif line.startswith("```cpp"):
            start, lines = number + 1, []
        elif line.startswith("#"):
            heading = line.strip("# ")
    if start is not None:
        raise SystemExit(f"line {start - 1}: a code block has no end")
    return found


def main():
    page, out = map(pathlib.Path, sys.argv[1:])
    found = snippets(page.read_text(encoding="utf-8"))
    if not found:
        raise SystemExit(f"{page}: no ```cpp block")
    parts = [PRELUDE.format(page=page.name)]
    for line, heading, code in found:
        name = re.sub(r"\W+", "", heading.title()) or "Page"
        parts.append(f'\nTEST(OptimizationGuide, {name}_{line}) {{\n'
                     f'#line {line} "{page.name}"\n{code}\n}}\n')
    out.write_text("".join(parts), encoding="utf-8")


if __name__ == "__main__":
    main()
