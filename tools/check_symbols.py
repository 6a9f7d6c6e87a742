#!/usr/bin/env python3
"""Checks that object files compiled for an instruction set beyond the baseline share no function.

The linker keeps one copy of a weak (inline or template) function. If it keeps the copy of an AVX2
file, the program dies on a CPU without AVX2 wherever that function is used. So a file of
src/kernels/cpu/<isa>* may define weak symbols only in its own namespace, ruvllm::kernels::<isa>.

usage: check_symbols.py --build BUILD_DIR [--root ROOT]
"""

import argparse
import re
import subprocess
import sys
from pathlib import Path

from source_tree import report, tree_files

ISA_FILE = re.compile(r"(?:^|/)cpu/(avx2|avx512|avx_vnni|amx|dotprod|i8mm|sve)[^/]*(?:/.*)?$")
WEAK_TYPES = "WwVvu"
# Exception plumbing of the compiler: a pointer, and a call of std::terminate. No vector code.
HARMLESS = re.compile(r"^(DW\.ref\.__gxx_personality_v0|__clang_call_terminate)$")


def isa_of(path: str) -> str | None:
    """The ISA family that a file below kernels/ is compiled for: "avx2"; None for the baseline."""
    match = ISA_FILE.search(path)
    return match.group(1) if match else None


def is_own(symbol: str, isa: str) -> bool:
    """Whether a mangled name lies in ruvllm::kernels::<isa>...; prefixes are vtables, guards, locals."""
    return re.match(rf"^_Z(?:T[VTIS]|GV|GR|Z)*N[VKrRO]*6ruvllm7kernels(?:3cpu)?\d+{isa}", symbol) is not None


def weak_symbols(nm_output: str) -> list[str]:
    """Defined weak names of `nm --format=posix --defined-only`: "name type value size" a line."""
    rows = (line.split() for line in nm_output.splitlines())
    return [row[0] for row in rows if len(row) >= 2 and row[1] in WEAK_TYPES]


def check_object(path: Path, isa: str) -> list[str]:
    result = subprocess.run(["nm", "--format=posix", "--defined-only", str(path)],
                            capture_output=True, text=True, check=True)
    strangers = [s for s in weak_symbols(result.stdout)
                 if not is_own(s, isa) and not HARMLESS.match(s)]
    if not strangers:
        return []
    readable = subprocess.run(["c++filt"], input="\n".join(strangers), capture_output=True,
                              text=True, check=True).stdout.splitlines()
    return [f"{path}: weak symbol outside ruvllm::kernels::{isa}: {name}" for name in readable]


def check(root: Path, build: Path) -> tuple[list[str], int]:
    sources = {f for f in tree_files(root, "src/kernels")
               if isa_of(f) and f.endswith(".cc") and not f.endswith(("_test.cc", "_bench.cc"))}
    objects = {}
    for objects_dir in (build / "src/kernels/CMakeFiles").glob("ruvllm_*.dir"):
        for path in objects_dir.rglob("*.cc.o"):
            source = path.relative_to(objects_dir).as_posix().removesuffix(".o")
            objects["src/kernels/" + source] = path
    problems = []
    for source in sorted(sources):
        if source not in objects:
            problems.append(f"{source}: no object file in {build}; build first")
            continue
        problems += check_object(objects[source], isa_of(source))
    return problems, len(sources)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", type=Path, required=True)
    parser.add_argument("--root", type=Path, default=Path("."))
    arguments = parser.parse_args()
    problems, num_objects = check(arguments.root, arguments.build)
    return report("symbols", problems, f"{num_objects} objects for particular ISAs, none shares code")


if __name__ == "__main__":
    sys.exit(main())
