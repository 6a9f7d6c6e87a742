"""How many codes the model recalls with each store and tail: results for JSON."""

import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kv_store.comparison import losses
from kv_store.models import vocab_size
from kv_store.programs import Ruvllm
from kv_store.recall_texts import CODE_DIGITS, Plan, make_windows


@dataclass
class Settings:
    ruvllm: Path
    model: Path
    ctx: int
    threads: int


def tokenize(settings, text):
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        return Ruvllm(settings.ruvllm, settings.threads).tokenize(settings.model, file.name)


def ask(settings, windows, store, tail):
    """For each question in order: (whether all digits are the likeliest tokens, loss of the code,
    the likeliest tokens). Each digit is predicted behind the right ones, so that all are the
    likeliest exactly if greedy decoding writes them."""
    program = Ruvllm(settings.ruvllm, settings.threads)
    found = []

    def window_done(index, rows):
        window = windows[index]
        for question in window.questions:
            part = rows[question.answer - 1 : question.answer - 1 + CODE_DIGITS]
            code = np.array(window.ids[question.answer : question.answer + CODE_DIGITS])
            likeliest = part.argmax(axis=1)
            found.append((bool((likeliest == code).all()), float(losses(part, code).sum()),
                          likeliest.tolist()))

    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as file:
        file.write("".join(window.text for window in windows))
        file.flush()
        program.score(settings.model, file.name, settings.ctx, settings.ctx * len(windows), store,
                      tail, vocab_size(settings.model), window_done)
    if len(found) != sum(len(window.questions) for window in windows):
        raise RuntimeError(f"{store}, tail {tail}: {len(found)} answers")
    return found


def check_by_generation(settings, windows, answers, store, tail, count):
    """Greedy decoding of the first answers of `count` windows against what the scores promise."""
    program = Ruvllm(settings.ruvllm, settings.threads)
    at = 0
    for window in windows[:count]:
        question = window.questions[0]
        likeliest = answers[at][2]
        right = window.ids[question.answer : question.answer + CODE_DIGITS]
        at += len(window.questions)
        certain = next((i + 1 for i in range(CODE_DIGITS) if likeliest[i] != right[i]), CODE_DIGITS)
        written = program.json("run", settings.model, "--raw", "-p", window.first_prompt, "-n",
                               CODE_DIGITS, "--temp", 0, "--ctx", settings.ctx, "--kv-store", store,
                               "--kv-tail", tail)["token_ids"]
        if written[:certain] != likeliest[:certain]:
            raise RuntimeError(f"{store}, tail {tail}: greedy decoding wrote {written}, the scores "
                               f"promised {likeliest[:certain]}")


@dataclass
class Kind:
    """A plan, and by which attribute of a question its results are parted at which places."""

    plan: Plan
    by: str
    bins: list[int]


KINDS = {
    # One long conversation: the code was told any distance back.
    "distance": Kind(Plan(conversations=1, codes=62, questions=49), "distance",
                     [0, 64, 128, 192, 256, 320, 384, 448, 512, 640, 768, 1024, 1280, 1536, 1792,
                      2048]),
    # Short ones one after the other: the code was told at most 240 tokens back, the question stands
    # anywhere in the window.
    "position": Kind(Plan(conversations=8, codes=10, questions=5), "answer",
                     list(range(0, 2049, 256))),
}


def _shares(right, spans, num_spans):
    return [round(100 * float(right[spans == i].mean()), 2) if (spans == i).any() else None
            for i in range(num_spans)]


def _measure_kind(settings, kind, pairs, options):
    windows = make_windows(lambda text: tokenize(settings, text), options.ctx, kind.plan,
                           options.windows)
    num_spans = len(kind.bins) - 1
    places = [getattr(question, kind.by) for window in windows for question in window.questions]
    spans = np.digitize(places, kind.bins) - 1

    def run(pair):
        found = ask(settings, windows, *pair)
        check_by_generation(settings, windows, found, *pair, options.check)
        return found

    with ThreadPoolExecutor(options.jobs) as pool:
        answers = list(pool.map(run, pairs))
    base = np.array([answer[0] for answer in answers[0]])
    report = {"bins": kind.bins, "questions": [int((spans == i).sum()) for i in range(num_spans)],
              "results": []}
    for (store, tail), found in zip(pairs, answers, strict=True):
        right = np.array([answer[0] for answer in found])
        report["results"].append({
            "store": store, "tail": tail,
            "all_percent": round(100 * float(right.mean()), 3),
            "lost": int((base & ~right).sum()), "won": int((~base & right).sum()),
            "loss_of_code": round(float(np.mean([answer[1] for answer in found])), 5),
            "recalled_percent": _shares(right, spans, num_spans),
        })
    return report


def measure(settings, pairs, options):
    """pairs: (store, tail), binary16 first. options: of tools/kv_recall.py."""
    return {name: _measure_kind(settings, kind, pairs, options) for name, kind in KINDS.items()}
