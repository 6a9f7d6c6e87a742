#!/usr/bin/env python3
"""Rewrites the table of docs/quantization.md: size, loss and speed of each type.

quantization_table.py RUVLLM MODEL_F16.gguf TEXT [--tokens N] [--types q4_k_m,q8_0] [--threads N]

The rows of the optimization guide's Precision come first. Losses do not depend on what else the
machine does. Speeds are given as multiples of F16's, both benchmarked in turns, and the median of
the turns is taken: a machine that is shared then distorts them little.
"""

import argparse
import datetime
import json
import pathlib
import statistics
import subprocess
import tempfile
import textwrap

BEGIN, END = "<!-- table begins -->", "<!-- table ends -->"
GUIDE = {"f32": "FP32", "f16": "FP16", "q8_0": "Q8", "q4_k_m": "Q4K", "q4_0": "Q4"}
OTHERS = (
    "bf16 q6_k q5_k_m q5_k_s q5_1 q5_0 q4_k_s q4_1 iq4_nl iq4_xs mxfp4 q3_k_l q3_k_m q3_k_s q2_k"
).split()
BASE = "f16"


def run_json(*arguments):
    result = subprocess.run(
        [*map(str, arguments), "--json"],
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    return json.loads(result.stdout)


def speeds(options, path):
    bench = run_json(
        options.ruvllm, "bench", path, "-p", 256, "-n", 32, "-r", 1, "-t", options.threads
    )  # fmt: skip
    return bench["prefill_tok_s"], bench["decode"][0]["tok_s"]


def speeds_in_turns(options, path, base_path):
    """Medians of (prefill, decode) of a type over F16's."""
    ratios = []
    for _ in range(options.turns):
        base, own = speeds(options, base_path), speeds(options, path)
        ratios.append([mine / theirs for mine, theirs in zip(own, base)])
    return [statistics.median(column) for column in zip(*ratios)]


def measure(options, type_name, folder):
    path, base_path = folder / f"{type_name}.gguf", folder / f"{BASE}.gguf"
    quantized = run_json(options.ruvllm, "quantize", options.model, path, type_name)
    loss = run_json(
        options.ruvllm, "perplexity", path, "--file", options.text, "--ctx", 512,
        "--tokens", options.tokens, "-t", options.threads,
    )  # fmt: skip
    ratios = [1.0, 1.0]
    if type_name != BASE:
        if options.turns > 0:
            ratios = speeds_in_turns(options, path, base_path)
        path.unlink()
    return {
        "type": type_name,
        "bits": quantized["bits_per_weight"],
        "loss": loss["nll"],
        "speeds": ratios,
    }


def order(type_name):
    guide = list(GUIDE)
    return guide.index(type_name) if type_name in guide else len(guide)


def render(options, rows):
    """Rows in the order of the guide, then the others."""
    base_loss = next(row["loss"] for row in rows if row["type"] == BASE)
    text = (
        f"{options.model.name}, first {options.tokens:,} tokens of {options.text.name}, windows of "
        f"512; {datetime.date.today():%B %Y}."
    )
    head = ["precision", "type", "bits a weight", "loss, nat", "against F16"]
    if options.turns > 0:
        threads = f"{options.threads} thread{'s' if options.threads > 1 else ''}"
        text += (
            f" Speeds as multiples of F16's with {threads}, 256 tokens of prompt and 32 of answer, "
            f"the median of {options.turns} turns."
        )
        head += ["prefill over F16", "decode over F16"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in sorted(rows, key=lambda row: order(row["type"])):
        cells = [GUIDE.get(row["type"], ""), row["type"], f"{row['bits']:.2f}"]
        cells += [f"{row['loss']:.5f}", f"{row['loss'] - base_loss:+.5f}"]
        if options.turns > 0:
            cells += [f"{ratio:.2f}" for ratio in row["speeds"]]
        lines.append("| " + " | ".join(cells) + " |")
    return textwrap.fill(text, 140) + "\n\n" + "\n".join(lines)


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("ruvllm", type=pathlib.Path)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("text", type=pathlib.Path)
    parser.add_argument("--tokens", type=int, default=20480)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--turns", type=int, default=3, help="0: no speeds")
    parser.add_argument("--types", default=",".join([*GUIDE, *OTHERS]))
    parser.add_argument(
        "--page",
        type=pathlib.Path,
        default=pathlib.Path(__file__).resolve().parent.parent / "docs" / "quantization.md",
    )
    return parser.parse_args()


def main():
    options = parse_options()
    names = [BASE] + [name for name in options.types.split(",") if name != BASE]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for type_name in names:
            rows.append(measure(options, type_name, pathlib.Path(folder)))
            print(rows[-1], flush=True)
    page = options.page.read_text(encoding="utf-8")
    head, rest = page.split(BEGIN)
    tail = rest.split(END)[1]
    text = f"{head}{BEGIN}\n{render(options, rows)}\n{END}{tail}"
    options.page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
