"""What a measurement was made on, without anything that names the machine or its user."""

import os
import re
import subprocess
from pathlib import Path

_COMPILERS = (
    re.compile(rb"clang version (\d+\.\d+\.\d+)"),
    re.compile(rb"GCC: \([^)]*\) (\d+\.\d+\.\d+)"),
)


def compiler_of(binary: Path) -> str | None:
    """The compiler that an executable or library names in its notes; clang's own come first, since
    its programs also hold start files of GCC."""
    if not binary.is_file():
        return None
    content = binary.read_bytes()
    for name, pattern in zip(("clang", "gcc"), _COMPILERS):
        found = pattern.search(content)
        if found:
            return f"{name} {found.group(1).decode()}"
    return None


def commit_of(folder: Path) -> str | None:
    """The short commit of a git checkout, with "+" where files differ from it."""
    def git(*arguments):
        return subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True,
                              text=True, check=False)
    head = git("rev-parse", "--short", "HEAD")
    if head.returncode != 0:
        return None
    changed = git("status", "--porcelain", "--untracked-files=no").stdout.strip()
    return head.stdout.strip() + ("+" if changed else "")


def describe(doctor: dict) -> dict:
    """From `ruvllm doctor --json`."""
    return {
        "cpu": doctor["cpu"]["name"],
        "features": doctor["cpu"]["features"],
        "processors": doctor["limits"]["allowed_processors"],
        "memory_gb": round(doctor["memory"]["total"] / 1e9, 1),
        "system": f"{os.uname().sysname} {os.uname().machine}",
    }


def slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


class OtherWork:
    """The share of the processors' time that others took between the beginning and the end: of this
    system, and of the host that a virtual machine runs on ("steal")."""

    def __init__(self):
        self.begin = self._busy()

    @staticmethod
    def _busy() -> tuple[float, float]:
        """Seconds of all processors: busy, and in all."""
        fields = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()[1:9]
        ticks = [int(field) / os.sysconf("SC_CLK_TCK") for field in fields]
        return sum(ticks) - ticks[3] - ticks[4], sum(ticks)

    def share(self, own_seconds: float) -> float:
        """`own_seconds` is the processor time of what was measured."""
        busy, total = self._busy()
        passed = max(total - self.begin[1], 1e-9)
        return max(0.0, busy - self.begin[0] - own_seconds) / passed
