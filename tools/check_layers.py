#!/usr/bin/env python3
"""Checks every include and every CMake dependency against the layer table of ARCHITECTURE.md.

Fails on: an include that the row of the file's target does not allow, an include of a file that is
not there, a cycle of includes (a header and its source are one module), a folder of src/ without a
row or a row without its folder, a dependency in CMake that the row does not allow, a table that
lets a target use its own level or a higher one, and a public header that includes anything but the
standard library and public headers.

usage: check_layers.py [ROOT]
"""

import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

from source_tree import is_data, report, tree_files

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.MULTILINE)
CODE_SUFFIXES = (".h", ".cc", ".cu", ".cuh", ".inc", ".metal")
# The public headers may be included by C programs too, later: these C headers have no path either.
STANDARD_HEADER = re.compile(r"^([a-z0-9_]+|std(def|int|bool|io|lib)\.h|string\.h)$")
PUBLIC_PREFIX = "ruvllm/"
FACADE = "api"  # owns every public header that no row lists


@dataclass
class Layer:
    level: int
    allowed: set[str]
    public_headers: set[str] = field(default_factory=set)


def read_table(text: str) -> tuple[dict[str, Layer], list[str]]:
    """The rows `| level | target | may include | public headers | owns |` and what is wrong in them."""
    layers: dict[str, Layer] = {}
    problems = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.startswith("|") or len(cells) != 5 or not cells[0].isdigit():
            continue
        headers = set(re.findall(r"`([^`]+)`", cells[3]))
        layers[cells[1].strip("`")] = Layer(int(cells[0]), set(cells[2].split()), headers)
    if not layers:
        problems.append("ARCHITECTURE.md: no layer table found")
    for name, layer in layers.items():
        for other in sorted(layer.allowed):
            if other not in layers:
                problems.append(f"ARCHITECTURE.md: `{name}` may include `{other}`, which has no row")
            elif layers[other].level >= layer.level:
                problems.append(
                    f"ARCHITECTURE.md: `{name}` (level {layer.level}) may not include `{other}` "
                    f"(level {layers[other].level}): only lower levels")
    return layers, problems


class Tree:
    """The includes of one source tree."""

    def __init__(self, root: Path, layers: dict[str, Layer]):
        self.root = root
        self.layers = layers
        self.problems: list[str] = []
        self.header_owner = {h: name for name, layer in layers.items() for h in layer.public_headers}
        self.files = [f for f in tree_files(root, "include", "src", "fuzz", "tests", "bench")
                      if f.endswith(CODE_SUFFIXES) and not is_data(f)]
        self.known = set(self.files)
        self.edges: dict[str, set[str]] = {}
        self.fuzz_layers = self.read_fuzz_layers()

    def read_fuzz_layers(self) -> dict[str, str]:
        path = self.root / "fuzz/CMakeLists.txt"
        text = path.read_text() if path.exists() else ""
        text = re.sub(r"#.*", "", text)
        return {f"fuzz/fuzz_{name}.cc": layer
                for name, layer in re.findall(r"ruvllm_fuzzer\((\w+)\s+(\w+)", text)}

    def owner(self, path: str) -> str | None:
        """The target a file belongs to; None for what may use all of them (tests/, bench/)."""
        folder, _, rest = path.partition("/")
        if folder == "src":
            return rest.split("/")[0]
        if folder == "include":
            return self.header_owner.get(rest.removeprefix(PUBLIC_PREFIX), FACADE)
        return self.fuzz_layers.get(path)

    def resolve(self, path: str, name: str, quoted: bool) -> str | None:
        """The file of this tree that an include names; None if it is none of ours."""
        if name.startswith(PUBLIC_PREFIX):
            return "include/" + name
        if not quoted:
            return None
        beside = path.split("/")[0] + "/" + name  # "support/x.h" of tests/support/x.h
        return beside if not path.startswith("src/") and beside in self.known else "src/" + name

    def check_file(self, path: str) -> None:
        text = (self.root / path).read_text(encoding="utf-8", errors="replace")
        for match in INCLUDE.finditer(text):
            quoted, name = match.group(1) == '"', match.group(2)
            line = text.count("\n", 0, match.start()) + 1
            complaint = self.check_include(path, name, quoted)
            if complaint:
                self.problems.append(f"{path}:{line}: {complaint}")

    def check_include(self, path: str, name: str, quoted: bool) -> str | None:
        target = self.resolve(path, name, quoted)
        if path.startswith("include/") and (target is None or not target.startswith("include/")):
            if quoted or not STANDARD_HEADER.match(name):
                return f"public header includes {name}; only the standard library and <ruvllm/...>"
        if target is None:
            return None
        if target not in self.known:
            return f"includes {name}, and there is no {target}"
        self.edges.setdefault(module_of(path), set()).add(module_of(target))
        if target.startswith("fuzz/"):
            return None
        if path.startswith("fuzz/") and path.endswith(".h"):
            return f"a header that fuzzers share includes {name}; only the standard library"
        mine, other = self.owner(path), self.owner(target)
        if mine is None or mine == other or mine not in self.layers:
            return None
        allowed = self.layers[mine].allowed
        if other in allowed or (target.startswith("include/") and FACADE in allowed):
            return None
        return f"`{mine}` may not include {name} of `{other}` (ARCHITECTURE.md, layer table)"

    def check_folders(self) -> None:
        folders = {p.name for p in (self.root / "src").iterdir() if p.is_dir()}
        for name in sorted(folders - set(self.layers)):
            self.problems.append(f"src/{name}: no row in the layer table of ARCHITECTURE.md")
        for name in sorted(set(self.layers) - folders):
            self.problems.append(f"ARCHITECTURE.md: `{name}` has no folder src/{name}")

    def check_cmake(self) -> None:
        for name, layer in self.layers.items():
            path = self.root / "src" / name / "CMakeLists.txt"
            if not path.exists():
                continue
            text = re.sub(r"#.*", "", path.read_text())
            used = set()
            for call in re.findall(r"ruvllm_layer\(([^)]*)\)", text):
                words = call.split()
                if words and words[0] != name:
                    self.problems.append(f"src/{name}/CMakeLists.txt: defines the layer {words[0]}")
                if "DEPS" in words:
                    dependencies = words[words.index("DEPS") + 1:]
                    ends = [i for i, w in enumerate(dependencies) if w.isupper()]
                    used |= set(dependencies[:ends[0]] if ends else dependencies)
            for call in re.findall(r"target_link_libraries\(\S+([^)]*)\)", text):
                used |= {w for w in re.findall(r"\bruvllm_(\w+)", call) if w in self.layers}
            for other in sorted(used - layer.allowed - {name}):
                self.problems.append(
                    f"src/{name}/CMakeLists.txt: `{name}` may not depend on `{other}`")

    def check_cycles(self) -> None:
        for cycle in find_cycles(self.edges):
            self.problems.append("cycle of includes: " + " -> ".join(cycle))

    def check(self) -> list[str]:
        self.check_folders()
        self.check_cmake()
        for path in self.files:
            self.check_file(path)
        self.check_cycles()
        return self.problems


def module_of(path: str) -> str:
    """A header and its source are one module: the path without its ending."""
    return path.rsplit(".", 1)[0].removesuffix("-inl")


def find_cycles(edges: dict[str, set[str]]) -> list[list[str]]:
    """One cycle per strongly connected knot, found by a depth-first walk with an explicit stack."""
    done: set[str] = set()
    cycles = []
    for start in sorted(edges):
        if start in done:
            continue
        path, on_path = [start], {start}
        pending = [sorted(edges[start] - {start})]
        while path:
            if not pending[-1]:
                pending.pop()
                done.add(path[-1])
                on_path.discard(path.pop())
                continue
            node = pending[-1].pop()
            if node in on_path:
                cycles.append(path[path.index(node):] + [node])
            elif node not in done:
                path.append(node)
                on_path.add(node)
                pending.append(sorted(edges.get(node, set()) - {node}))
    return cycles


def main() -> int:
    root = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    layers, problems = read_table((root / "ARCHITECTURE.md").read_text(encoding="utf-8"))
    tree = Tree(root, layers)
    if layers:
        problems += tree.check()
    num_edges = sum(map(len, tree.edges.values()))
    return report("layers", problems,
                  f"{len(layers)} targets, {len(tree.files)} files, {num_edges} edges, no cycle")


if __name__ == "__main__":
    sys.exit(main())
