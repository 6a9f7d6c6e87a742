"""Base of the tests of tools/: writes a small tree into a scratch folder and runs a tool there."""

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

TOOLS = Path(__file__).resolve().parents[2] / "tools"


class ToolTest(unittest.TestCase):
    tool = ""
    arguments: list[str] = []

    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.root = Path(scratch.name)

    def write(self, path: str, content: str | bytes) -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return file

    def run_tool(self) -> subprocess.CompletedProcess:
        command = [sys.executable, "-B", str(TOOLS / self.tool), *self.arguments]
        return subprocess.run(command, cwd=self.root, capture_output=True, text=True, check=False)

    def passes(self, *texts: str) -> None:
        result = self.run_tool()
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        for text in texts:
            self.assertIn(text, result.stdout)

    def fails(self, text: str) -> None:
        """The tool reports exactly one problem, and it contains `text`."""
        result = self.run_tool()
        self.assertEqual(result.returncode, 1, result.stdout + result.stderr)
        self.assertIn(text, result.stdout)
        self.assertIn(": 1 problem(s)", result.stdout)


def run_tests() -> None:
    unittest.main(verbosity=1)
