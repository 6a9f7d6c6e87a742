#!/usr/bin/env python3
"""What a quantized store of keys and values costs: the tables and the plot of docs/kv-store.md.

  kv_store_table.py RUVLLM MODEL.gguf TEXT... --json FILE [options]     measures
  kv_store_table.py --report FILE... [--json FILE] [--plot FILE.svg]    results of several runs as one

For each store and tail, against a cache in binary16 alone: change of the perplexity in per cent with
its 95 % interval (paired bootstrap over windows), Kullback-Leibler divergence of the predictions,
and how often the most likely token is the same. The same once more for a copy of the model with
outliers: keys times 16 on two rotary pairs of each head, queries divided by it, which leaves the
function as it was. With --llama-perplexity also llama.cpp's caches in q8_0 and q4_0, same file.

Needs python3-numpy. The model is one of architecture qwen2 with keys and queries in F32 or Q8_0. A
process of each of --jobs keeps the logits of one text in memory.
"""

import argparse
import datetime
import json
import sys
from pathlib import Path

from kv_store import tables
from kv_store.plots import draw_losses
from kv_store.results import OUTLIERS, PLAIN, RANGES, write


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+", help="RUVLLM MODEL TEXT..., or results")
    parser.add_argument("--ctx", type=int, default=2048)
    parser.add_argument("--tokens", type=int, default=65536, help="of each text (%(default)s)")
    parser.add_argument("--stores", default="q8,k8v4,q4,q3,q2")
    parser.add_argument("--tails", default="256,64,0")
    parser.add_argument("--variants", default=f"{PLAIN},{OUTLIERS}")
    parser.add_argument("--jobs", type=int, default=1, help="texts at a time (%(default)s)")
    parser.add_argument("--threads", type=int, default=0, help="of each job; 0: all")
    parser.add_argument("--llama-perplexity", type=Path)
    parser.add_argument("--llama-tokens", type=int, default=32768)
    parser.add_argument("--json", type=Path, help="write results here")
    parser.add_argument("--report", action="store_true", help="the files are results")
    parser.add_argument("--plot", type=Path, help="write a picture here")
    options = parser.parse_args()
    if not options.report and len(options.files) < 3:
        parser.error("a program, a model and a text are needed")
    if options.ctx <= RANGES[-1] + 1:
        parser.error(f"--ctx {options.ctx}: windows of more than {RANGES[-1] + 1} tokens are needed")
    return options


def measure(options):
    from kv_store import loss  # reports do without numpy
    program, model, *texts = options.files
    settings = loss.Settings(program, options.llama_perplexity, options.ctx, options.tokens,
                             options.llama_tokens, options.stores.split(",") if options.stores else [],
                             [int(tail) for tail in options.tails.split(",")], options.threads)
    report = {"model": model.name, "date": datetime.date.today().isoformat(),
              **loss.measure(settings, model, texts, options.variants.split(","), options.jobs)}
    return report


def joined(reports):
    """Results of runs that differ in stores, tails or forms of the model."""
    whole = {key: reports[0][key] for key in ("model", "date", "ctx")}
    whole["results"] = [row for report in reports for row in report["results"]
                        if row["store"] != "f16"]
    for report in reports:
        whole |= {key: report[key] for key in ("llama_cpp",) if key in report}
    return whole


def main():
    options = parse_options()
    report = (joined([json.loads(path.read_text(encoding="utf-8")) for path in options.files])
              if options.report else measure(options))
    if options.json is not None:
        write(options.json, report)
    rows = report["results"]
    compared = [row for row in rows if row["store"] != "f16"]
    if compared:
        print("\n".join([*tables.loss_table(rows), ""]))
        for tail in dict.fromkeys(row["tail"] for row in compared):
            print("\n".join([*tables.text_table(rows, tail), ""]))
    if "llama_cpp" in report:
        print("\n".join([*tables.llama_table(report["llama_cpp"]), ""]))
    if options.plot is not None:
        subtitle = (f"{report['model']}, windows of {report['ctx']:,} tokens, positions from 512 on")
        options.plot.write_text(draw_losses(compared, subtitle), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
