#!/usr/bin/env python3
"""Rewrites the table of docs/quantization.md: size, loss and speed of each type.

quantization_table.py RUVLLM MODEL_F16.gguf TEXT [--tokens N] [--types q4_k_m,q8_0] [--threads N]
"""

import argparse
import json
import pathlib
import subprocess
import tempfile

BEGIN, END = "<!-- table begins -->", "<!-- table ends -->"
# Rows of the optimization guide's table of precisions.
GUIDE = {"f32": "FP32", "f16": "FP16", "q8_0": "Q8", "q4_k_m": "Q4K", "q4_0": "Q4"}
TYPES = (
    "f32 f16 bf16 q8_0 q6_k q5_k_m q5_k_s q5_1 q5_0 q4_k_m q4_k_s q4_1 q4_0 iq4_nl iq4_xs mxfp4 "
    "q3_k_l q3_k_m q3_k_s q2_k"
).split()


def run_json(*arguments):
    result = subprocess.run(
        [*map(str, arguments), "--json"], check=True, stdout=subprocess.PIPE
    )
    return json.loads(result.stdout)


def measure(options, type_name, folder):
    path = folder / f"{type_name}.gguf"
    quantized = run_json(options.ruvllm, "quantize", options.model, path, type_name)
    threads = ("-t", options.threads)
    loss = run_json(
        options.ruvllm, "perplexity", path, "--file", options.text, "--ctx", 512,
        "--tokens", options.tokens, *threads,
    )  # fmt: skip
    bench = run_json(options.ruvllm, "bench", path, "-p", 256, "-n", 32, "-r", 2, *threads)
    path.unlink()
    return {
        "type": type_name,
        "bits": quantized["bits_per_weight"],
        "loss": loss["nll"],
        "prefill": bench["prefill_tok_s"],
        "decode": bench["decode"][0]["tok_s"],
    }


def render(rows):
    base = next((row["loss"] for row in rows if row["type"] in ("f32", "f16")), rows[0]["loss"])
    lines = [
        "| type | guide | bits a weight | loss, nat | against the first row | prefill, tok/s | decode, tok/s |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        lines.append(
            f"| {row['type']} | {GUIDE.get(row['type'], '')} | {row['bits']:.2f} | {row['loss']:.5f} "
            f"| {row['loss'] - base:+.5f} | {row['prefill']:.0f} | {row['decode']:.0f} |"
        )
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("ruvllm", type=pathlib.Path)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("text", type=pathlib.Path)
    parser.add_argument("--tokens", type=int, default=20480)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--types", default=",".join(TYPES))
    parser.add_argument(
        "--page",
        type=pathlib.Path,
        default=pathlib.Path(__file__).resolve().parent.parent / "docs" / "quantization.md",
    )
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for type_name in options.types.split(","):
            rows.append(measure(options, type_name, pathlib.Path(folder)))
            print(rows[-1], flush=True)
    page = options.page.read_text(encoding="utf-8")
    head, rest = page.split(BEGIN)
    tail = rest.split(END)[1]
    options.page.write_text(f"{head}{BEGIN}\n{render(rows)}\n{END}{tail}", encoding="utf-8")


if __name__ == "__main__":
    main()
