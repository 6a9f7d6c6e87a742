#!/usr/bin/env python3
"""clang-tidy over the named sources, or over all of src/ but tests and benchmarks.

A source that passed is not looked at again until it, a header of ours that it includes, or the
configuration changes. Needs a configured build (cmake --preset release).

usage: tools/ci/lint.py [--build BUILD_DIR] [FILE...]
"""

import argparse
import hashlib
import json
import os
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CLANG_TIDY = "clang-tidy-19"


def compile_commands(build: Path) -> dict[str, list[str]]:
    """Compiler arguments by source, relative to the root; without the launcher, output and input."""
    commands = {}
    for entry in json.loads((build / "compile_commands.json").read_text()):
        words = shlex.split(entry["command"])
        first = next(i for i, word in enumerate(words) if "clang++" in word or "g++" in word)
        source = Path(entry["file"])
        if source.is_relative_to(ROOT):
            end = words.index("-o", first)
            commands[source.relative_to(ROOT).as_posix()] = words[first:end]
    return commands


def fingerprint(source: str, command: list[str]) -> str:
    """A hash of all that a verdict depends on, system headers apart."""
    made = subprocess.run([*[w for w in command if w not in ("-MD", "-MT", "-MF")
                             and not w.endswith((".o", ".o.d"))], "-MM", source],
                          cwd=ROOT, capture_output=True, text=True, check=True)
    files = made.stdout.replace("\\\n", " ").split()[1:]
    folders = {parent for file in files for parent in (ROOT / file).parents}
    files += [str(f / ".clang-tidy") for f in folders if (f / ".clang-tidy").exists()]
    digest = hashlib.sha256(repr(command).encode())
    for file in sorted(set(files)):
        digest.update((ROOT / file).read_bytes())
    return digest.hexdigest()


def lint(source: str, command: list[str] | None, build: Path) -> tuple[bool, str]:
    """Whether the source passes, and the output if not."""
    if command is None:
        return False, f"{source}: not in {build}/compile_commands.json\n"
    stamp = build / "lint" / fingerprint(source, command)
    if stamp.exists():
        return True, ""
    result = subprocess.run([CLANG_TIDY, "-p", str(build), "--quiet", source], cwd=ROOT,
                            capture_output=True, text=True, check=False)
    if result.returncode == 0:
        stamp.touch()
        return True, ""
    return False, f"{source}:\n{result.stdout}" + (result.stderr if not result.stdout else "")


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", type=Path, default=ROOT / "build/release")
    parser.add_argument("files", nargs="*")
    arguments = parser.parse_args()
    sources = arguments.files or sorted(
        path.relative_to(ROOT).as_posix() for path in (ROOT / "src").rglob("*.cc")
        if not path.name.endswith(("_test.cc", "_bench.cc")))
    (arguments.build / "lint").mkdir(exist_ok=True)
    commands = compile_commands(arguments.build)
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        verdicts = pool.map(lambda s: lint(s, commands.get(s), arguments.build), sources)
        failed = 0
        for passed, output in verdicts:
            if not passed:
                print(output, flush=True)
                failed += 1
    print(f"lint: {failed} of {len(sources)} sources failed")
    return 1 if failed or not sources else 0


if __name__ == "__main__":
    sys.exit(main())
