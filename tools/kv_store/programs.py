"""Runs ruvllm and llama.cpp's llama-perplexity."""

import contextlib
import json
import os
import re
import subprocess
import tempfile
import threading
from pathlib import Path

import numpy as np


class Ruvllm:
    def __init__(self, program, threads):
        self.program, self.threads = str(program), threads

    def json(self, *arguments):
        command = [self.program, *map(str, arguments), "--threads", str(self.threads), "--json"]
        result = subprocess.run(command, stdout=subprocess.PIPE, check=True)
        return json.loads(result.stdout)

    def tokenize(self, model, text):
        return self.json("tokenize", "--model", model, "--file", text)["ids"]

    def score(self, model, text, ctx, tokens, store, tail, vocab_size, window_done):
        """The production path over a text: window_done(index, float32 logits [ctx - 1, vocab]) for
        each window, in an array that is used again. Returns the command's report."""
        with tempfile.TemporaryDirectory() as folder:
            pipe = Path(folder) / "logits"
            os.mkfifo(pipe)
            reader = threading.Thread(target=_read_windows,
                                      args=(pipe, ctx - 1, vocab_size, window_done))
            reader.start()
            try:
                return self.json("perplexity", model, "--file", text, "--ctx", ctx, "--tokens",
                                 tokens, "--kv-store", store, "--kv-tail", tail, "--logits-out",
                                 pipe)
            finally:
                with contextlib.suppress(OSError):  # frees a reader whom nobody wrote to
                    os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
                reader.join()


def _read_windows(path, rows, vocab_size, window_done):
    window = np.empty((rows, vocab_size), "<f4")
    with open(path, "rb", buffering=0) as file:
        index = 0
        while True:
            filled = 0
            view = memoryview(window).cast("B")
            while filled < len(view):
                got = file.readinto(view[filled:])
                if not got:
                    break
                filled += got
            if filled == 0:
                return
            window_done(index, window[: filled // (4 * vocab_size)])
            index += 1


class LlamaPerplexity:
    """llama.cpp scores the second half of each window, special tokens as plain text."""

    def __init__(self, program, threads):
        self.program, self.threads = str(program), threads

    def run(self, model, text, ctx, chunks, cache, base_file, against_base):
        command = [self.program, "-m", model, "-f", text, "-c", ctx, "-b", ctx, "-ub", 512,
                   "--chunks", chunks, "-t", self.threads, "-fa", "on", "-ctk", cache, "-ctv",
                   cache, "--kl-divergence-base", base_file]
        if against_base:
            command.append("--kl-divergence")
        result = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True, check=True)
        return result.stdout

    def compare(self, model, text, ctx, chunks, caches, folder):
        """cache -> change of the perplexity against f16, and the rest as llama.cpp prints it."""
        base_file = Path(folder) / "llama-base"
        base = self.run(model, text, ctx, chunks, "f16", base_file, against_base=False)
        base_ppl = _number(r"Final estimate: PPL = ([\d.]+)", base)
        results = {}
        for cache in caches:
            out = self.run(model, text, ctx, chunks, cache, base_file, against_base=True)
            results[cache] = {
                "base_ppl": base_ppl,
                "ppl_change_percent":
                    round(100 * (_number(r"Mean PPL\(Q\)\s*:\s*([\d.]+)", out) / base_ppl - 1), 5),
                "kl": _number(r"Mean\s+KLD:\s*([-\d.]+)", out),
                "kl_999": _number(r"99\.9%\s+KLD:\s*([-\d.]+)", out),
                "same_top_percent": _number(r"Same top p:\s*([\d.]+)", out),
            }
        base_file.unlink()
        return results


def _number(pattern, text):
    match = re.search(pattern, text)
    if match is None:
        raise ValueError(f"llama-perplexity printed nothing like {pattern}: {text[-400:]}")
    return float(match.group(1))
