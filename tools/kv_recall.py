#!/usr/bin/env python3
"""How well a model recalls codes told further back, by depth, with each store of keys and values.

  kv_recall.py RUVLLM MODEL.gguf --json FILE [options]      measures
  kv_recall.py --report FILE [--plots FOLDER]               tables and plots of results

Conversations tell codes ("The code for amber birch is 4821.") and then ask for some of them, in the
form that the demo model was trained on: one long one to see how far back a code may lie, and short
ones one after the other, so that the question stands at any depth of the context. A code counts as recalled if all its digits are
the likeliest tokens, each behind the right ones before it: exactly then greedy decoding writes it,
which is checked on some windows. Needs python3-numpy.
"""

import argparse
import datetime
import json
import sys
from pathlib import Path

from kv_store import tables
from kv_store.plots import draw_recall
from kv_store.results import write


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+", help="RUVLLM MODEL, or results")
    parser.add_argument("--ctx", type=int, default=2048)
    parser.add_argument("--windows", type=int, default=40, help="of each kind (%(default)s)")
    parser.add_argument("--stores", default="q8,k8v4,q4,q3,q2")
    parser.add_argument("--tails", default="256,64")
    parser.add_argument("--check", type=int, default=4,
                        help="windows whose first answer is also generated (%(default)s)")
    parser.add_argument("--jobs", type=int, default=1, help="stores at a time (%(default)s)")
    parser.add_argument("--threads", type=int, default=0, help="of each job; 0: all")
    parser.add_argument("--json", type=Path, help="write results here")
    parser.add_argument("--report", action="store_true", help="the file holds results")
    parser.add_argument("--plots", type=Path, help="write recall-KIND.svg into this folder")
    options = parser.parse_args()
    if len(options.files) != (1 if options.report else 2):
        parser.error("a program and a model are needed")
    return options


def measure(options):
    from kv_store import recall  # reports do without numpy
    program, model = options.files
    settings = recall.Settings(program, model, options.ctx, options.threads)
    pairs = [("f16", 0)] + [(store, int(tail)) for tail in options.tails.split(",")
                            for store in options.stores.split(",")]
    report = {"model": model.name, "ctx": options.ctx, "date": datetime.date.today().isoformat(),
              **recall.measure(settings, pairs, options)}
    if options.json is not None:
        write(options.json, report)
    return report


def main():
    options = parse_options()
    report = (json.loads(options.files[0].read_text(encoding="utf-8")) if options.report
              else measure(options))
    for kind in ("distance", "position"):
        found = report[kind]
        print("\n".join([*tables.recall_table(found), ""]))
        if options.plots is not None:
            path = options.plots / f"recall-{kind}.svg"
            path.write_text(draw_recall(found, kind, report["model"]), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
