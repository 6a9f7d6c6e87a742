"""kv_store_table.py and kv_recall.py: their arithmetic, their windows, and that docs/kv-store.md
shows the results that lie beside it."""

import json
import random
import re
import struct
import sys
import unittest
import xml.etree.ElementTree as ElementTree
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

from kv_store import plots, recall_texts, tables  # noqa: E402

try:
    import numpy as np
except ImportError:  # only measuring needs it
    np = None

RESULTS = ROOT / "docs/kv-store"
PAGE = (ROOT / "docs/kv-store.md").read_text(encoding="utf-8")


def results(name: str) -> dict:
    return json.loads((RESULTS / name).read_text(encoding="utf-8"))


class Page(unittest.TestCase):
    def assert_shown(self, lines: list[str]) -> None:
        self.assertIn("\n".join(lines) + "\n", PAGE)

    def test_losses(self):
        report = results("loss.json")
        self.assert_shown(tables.loss_table(report["results"]))
        self.assert_shown(tables.text_table(report["results"]))
        if "llama_cpp" in report:
            self.assert_shown(tables.llama_table(report["llama_cpp"]))

    def test_recall(self):
        report = results("recall.json")
        for kind in plots.RECALL_TITLES:
            self.assert_shown(tables.recall_table(report[kind]))

    def test_plots_are_well_formed_and_show_every_store(self):
        loss, recall = results("loss.json"), results("recall.json")
        compared = [row for row in loss["results"] if row["store"] != "f16"]
        for picture in (plots.draw_losses(compared, ""),
                        *(plots.draw_recall(recall[kind], kind, "") for kind in plots.RECALL_TITLES)):
            root = ElementTree.fromstring(picture)
            words = " ".join(element.text or "" for element in root.iter())
            for store in ("q8", "k8v4", "q4", "q3", "q2"):
                self.assertIn(store, words)


def tokenize(text: str) -> list[int]:
    """Words, digits and special tokens, each with the blank before it apart."""
    pieces = re.findall(r"<\|\w+\|>|\d|[^\W\d]+|\s|[^\w\s<]", text)
    return [sum(ord(c) << (8 * (i % 5)) for i, c in enumerate(piece)) for piece in pieces]


class RecallWindows(unittest.TestCase):
    PLAN = recall_texts.Plan(conversations=3, codes=8, questions=4)

    def windows(self):
        return recall_texts.make_windows(tokenize, 1400, self.PLAN, num_windows=5)

    def test_the_answer_is_the_code_that_was_told(self):
        windows = self.windows()
        self.assertEqual(len(windows), 5)
        for window in windows:
            self.assertEqual(len(tokenize(window.text)), 1400)
            self.assertEqual(tokenize(window.text)[: len(window.ids)], window.ids)
            self.assertEqual(len(window.questions), 12)
            for question in window.questions:
                end = question.answer + recall_texts.CODE_DIGITS
                told = question.answer - question.distance
                self.assertEqual(window.ids[question.answer : end],
                                 window.ids[told : told + recall_texts.CODE_DIGITS])
                self.assertGreater(question.distance, 0)

    def test_the_first_prompt_ends_before_the_first_answer(self):
        for window in self.windows():
            self.assertEqual(len(tokenize(window.first_prompt)), window.questions[0].answer)


@unittest.skipIf(np is None, "numpy is not installed")
class Comparison(unittest.TestCase):
    def setUp(self):
        generator = np.random.default_rng(1)
        self.base = (3 * generator.normal(size=(150, 300))).astype("f4")
        noise = 0.01 * generator.normal(size=self.base.shape)
        self.rows = (self.base + noise).astype("f4")
        self.targets = generator.integers(0, 300, len(self.base))

    def log_probabilities(self, rows):
        rows = rows.astype("f8")
        rows = rows - rows.max(axis=1, keepdims=True)
        return rows - np.log(np.exp(rows).sum(axis=1, keepdims=True))

    def test_against_double_precision(self):
        from kv_store.comparison import compare_rows, losses

        base, rows = self.log_probabilities(self.base), self.log_probabilities(self.rows)
        index = np.arange(len(base))
        change, divergence, same = compare_rows(self.base, self.rows, self.targets)
        expected = (np.exp(base) * (base - rows)).sum(axis=1)
        self.assertGreater(expected.mean(), 2e-5)
        np.testing.assert_allclose(divergence, expected, atol=1e-6)
        np.testing.assert_allclose(change, base[index, self.targets] - rows[index, self.targets],
                                   atol=2e-6)
        np.testing.assert_array_equal(same, base.argmax(axis=1) == rows.argmax(axis=1))
        np.testing.assert_allclose(losses(self.base, self.targets), -base[index, self.targets],
                                   atol=5e-6)

    def test_the_interval_holds_what_windows_agree_on(self):
        from kv_store.comparison import TextComparison, summary

        text = TextComparison()
        for _ in range(4):
            text.add_window(self.base, self.base, self.targets)
        same = summary([text], 1)
        self.assertEqual((same["ppl_change_percent"], same["interval"]), (0, [0, 0]))
        self.assertLess(same["kl"], 1e-7)
        text.add_window(self.base, self.rows[:, ::-1].copy(), self.targets)
        worse = summary([text], 1)
        self.assertEqual(worse["tokens"], 5 * len(self.base))
        self.assertLess(worse["interval"][0], worse["ppl_change_percent"])
        self.assertGreater(worse["interval"][1], worse["ppl_change_percent"])

    def test_scales_of_blocks_are_those_of_rows(self):
        from kv_store.models import _rows

        blocks = random.Random(1).randbytes(3 * 2 * 34)
        data = bytearray(blocks)
        for i in range(6):
            struct.pack_into("<e", data, 34 * i, i + 1.0)
        expected = bytes(data)
        _rows(data, (3, 64), "Q8_0", 0)[1] *= 16
        changed = bytearray(expected)
        for i in (2, 3):
            struct.pack_into("<e", changed, 34 * i, 16 * (i + 1.0))
        self.assertEqual(bytes(data), bytes(changed))


if __name__ == "__main__":
    unittest.main()
