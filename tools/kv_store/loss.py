"""Losses of texts with each store and tail against a cache in binary16: results for JSON."""

import multiprocessing
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kv_store.comparison import TextComparison, losses, summary
from kv_store.models import vocab_size, write_with_outliers
from kv_store.programs import LlamaPerplexity, Ruvllm
from kv_store.results import OUTLIERS, PLAIN, RANGES

LLAMA_CACHES = ("q8_0", "q4_0")


@dataclass
class Settings:
    ruvllm: Path
    llama_perplexity: Path | None
    ctx: int
    tokens: int
    llama_tokens: int
    stores: list[str]
    tails: list[int]
    threads: int


@dataclass
class Unit:
    """One text with one form of the model; what runs in one process."""

    variant: str
    model: Path
    text: Path


def _measure(settings, unit):
    """Base loss, and (store, tail) -> TextComparison and bytes of a window."""
    program = Ruvllm(settings.ruvllm, settings.threads)
    vocab = vocab_size(unit.model)
    ids = np.array(program.tokenize(unit.model, unit.text)[: settings.tokens])
    base, loss = [], []

    def targets(index, count):
        begin = index * settings.ctx + 1
        return ids[begin : begin + count]

    def keep(index, rows):
        base.append(rows.copy())
        loss.append(losses(rows, targets(index, len(rows))))

    def score(store, tail, window_done):
        return program.score(unit.model, unit.text, settings.ctx, settings.tokens, store, tail,
                             vocab, window_done)

    results = {("f16", 0): (None, score("f16", 0, keep)["kv_bytes"])}
    for tail in settings.tails:
        for store in settings.stores:
            comparison = TextComparison()
            report = score(store, tail, lambda index, rows, comparison=comparison:
                           comparison.add_window(base[index], rows, targets(index, len(rows))))
            if len(comparison.windows[1]) != len(base):
                raise RuntimeError(f"{unit.text}: {store} with tail {tail} gave "
                                   f"{len(comparison.windows[1])} of {len(base)} windows")
            results[store, tail] = (comparison, report["kv_bytes"])
    return float(np.concatenate(loss).mean()), results


def _measure_llama(settings, unit):
    program = LlamaPerplexity(settings.llama_perplexity, settings.threads)
    with tempfile.TemporaryDirectory() as folder:
        return program.compare(unit.model, unit.text, settings.ctx,
                               settings.llama_tokens // settings.ctx, LLAMA_CACHES, folder)


def _by_range(comparisons):
    return {str(first): summary(comparisons, first) for first in RANGES}


def _results(variant, of_text):
    """of_text: name of a text -> what _measure gave."""
    rows = []
    for store, tail in next(iter(of_text.values()))[1]:
        found = {name: results[store, tail] for name, (_, results) in of_text.items()}
        row = {"variant": variant, "store": store, "tail": tail,
               "kv_bytes": max(num_bytes for _, num_bytes in found.values())}
        if store != "f16":
            row["all"] = _by_range([comparison for comparison, _ in found.values()])
            row["texts"] = {name: _by_range([comparison])
                            for name, (comparison, _) in found.items()}
        rows.append(row)
    return rows


def measure(settings, model, texts, variants, jobs):
    """The results of all texts, `jobs` at a time."""
    with tempfile.TemporaryDirectory() as folder:
        models = {PLAIN: model}
        if OUTLIERS in variants:
            models[OUTLIERS] = Path(folder) / "outliers.gguf"
            write_with_outliers(model, models[OUTLIERS])
        units = [Unit(variant, models[variant], text) for variant in variants for text in texts]
        context = multiprocessing.get_context("fork")
        with ProcessPoolExecutor(jobs, context) as pool:
            losses_of = [pool.submit(_measure, settings, unit) for unit in units]
            llama_of = [pool.submit(_measure_llama, settings, unit) for unit in units
                        if settings.llama_perplexity is not None]
            done = [future.result() for future in losses_of]
            llama = [future.result() for future in llama_of]
    report = {"ctx": settings.ctx, "tokens": settings.tokens, "base_nll": {}, "results": []}
    for variant in variants:
        of_text = {unit.text.stem: result for unit, result in zip(units, done, strict=True)
                   if unit.variant == variant}
        report["base_nll"][variant] = {name: round(nll, 6) for name, (nll, _) in of_text.items()}
        report["results"] += _results(variant, of_text)
    if llama:
        report["llama_cpp"] = {"tokens": settings.llama_tokens, "first": settings.ctx // 2}
        for unit, result in zip(units, llama, strict=True):
            report["llama_cpp"].setdefault(unit.variant, {})[unit.text.stem] = result
    return report
