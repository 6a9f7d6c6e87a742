#!/usr/bin/env python3
"""Compares our chat templates with Python's jinja2 (as transformers sets it up) and @huggingface/jinja.

usage: compare.py --renderer build/release/bin/render_templates [--node-path DIR] [--show N] [--update FILE]
                  TEMPLATE.jinja|MODEL.gguf|DIR ...

Renders every template over the conversations of conversations.py and counts equal outputs, errors of both
and differences, against each oracle. jinja2 is the truth: transformers renders with it. DIR of --node-path
holds @huggingface/jinja (npm install @huggingface/jinja). Ends with 1 if anything differs from jinja2 with
our two deliberate deviations (see environment()).
--update writes the outcomes of jinja2 for a reduced set of the cases, as
tests/data/jinja_cases_chat.json is made of tests/data/chat_templates.
"""
import argparse
import datetime
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import jinja2
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment, SandboxedEnvironment

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "golden"))
from conversations import REDUCED, cases  # noqa: E402

CLOCK = 1753000000


class Generation(Extension):
    """{% generation %}, which marks the assistant's tokens for training and prints its body."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_body"), [], [], body).set_lineno(line)

    def _body(self, caller):
        return caller()


def environment(base=ImmutableSandboxedEnvironment):
    """The environment in which transformers renders chat templates. With SandboxedEnvironment it has our two
    deliberate deviations: append() and the like work, and `safe` makes nothing else be escaped."""
    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators,
                          sort_keys=sort_keys)

    now = datetime.datetime.fromtimestamp(CLOCK, datetime.timezone.utc).replace(tzinfo=None)
    env = base(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])
    env.filters["tojson"] = tojson
    if base is SandboxedEnvironment:
        env.filters["safe"] = str
    env.globals.update(raise_exception=raise_exception, strftime_now=now.strftime)
    return env


def render_with_jinja2(env, items):
    compiled = {}
    for item in items:
        source = item["template"]
        try:
            if source not in compiled:
                compiled[source] = None
                compiled[source] = env.from_string(source)
            if compiled[source] is None:
                raise ValueError("does not parse")
            # A fresh copy: templates may change lists and dictionaries.
            values = json.loads(json.dumps(item["variables"]))
            del values["strftime_now"]
            yield {"text": compiled[source].render(**values)}
        except Exception as error:  # whatever a template may raise
            yield {"error": f"{type(error).__name__}: {error}"}


def render_with_command(command, items, **environ):
    lines = "".join(json.dumps(item) + "\n" for item in items)
    output = subprocess.run(command, input=lines, capture_output=True, text=True, check=True,
                            env={**os.environ, **environ}).stdout
    return [json.loads(line) for line in output.split("\n") if line]


def read_templates(paths):
    """Name -> source of every template in the files."""
    found = {}
    for path in map(Path, paths):
        if path.is_dir():
            found.update(read_templates(sorted(path.glob("*.jinja")) + sorted(path.glob("*.gguf"))))
        elif path.suffix == ".gguf":
            from gguf_reader import read_metadata  # wants numpy
            metadata = read_metadata(path)
            found.update({f"{path.name}:{key}": value for key, value in metadata.items()
                          if key.startswith("tokenizer.chat_template") and isinstance(value, str)})
        else:
            found[path.name] = path.read_text(encoding="utf-8")
    return found


def verdict(ours, theirs):
    if "text" in ours and "text" in theirs:
        return "equal" if ours["text"] == theirs["text"] else "different"
    if "error" in ours and "error" in theirs:
        return "both errors"
    return "only theirs fails" if "error" in theirs else "only ours fails"


def describe(ours, theirs):
    if "error" in ours or "error" in theirs:
        return f"ours: {ours.get('error', 'renders')}\n  theirs: {theirs.get('error', 'renders')}"
    a, b = ours["text"], theirs["text"]
    at = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
    return f"at {at}: ours {a[max(0, at - 40):at + 60]!r}\n  theirs {b[max(0, at - 40):at + 60]!r}"


def report(name, items, ours, theirs, show):
    """Counts of the verdicts; prints the first differences."""
    counts = dict.fromkeys(("equal", "both errors", "different", "only ours fails", "only theirs fails"), 0)
    by_template = {}
    for item, mine, other in zip(items, ours, theirs, strict=True):
        kind = verdict(mine, other)
        counts[kind] += 1
        if kind not in ("equal", "both errors"):
            by_template[item["name"]] = by_template.get(item["name"], 0) + 1
            if show > 0:
                print(f"{item['name']} | {item['case']} | {kind}\n  {describe(mine, other)}")
                show -= 1
    print(f"against {name}: {len(items)} cases: " + ", ".join(f"{n} {kind}" for kind, n in counts.items()))
    for template, count in sorted(by_template.items(), key=lambda pair: -pair[1]):
        print(f"  {count:5} {template}")
    return len(items) - counts["equal"] - counts["both errors"]


def write_cases(path, items, outcomes):
    """The reduced set of cases, one a line; templates and inputs by name."""
    rows, inputs = [], {}
    for item, outcome in zip(items, outcomes, strict=True):
        if item["case"] not in REDUCED:
            continue
        inputs[item["case"]] = item["variables"]
        expected = {"expected": outcome["text"]} if "text" in outcome else {"error": True}
        rows.append({"template": item["name"], "input": item["case"], **expected})

    def lines(values):
        return ",\n".join(json.dumps(value, ensure_ascii=False) for value in values)

    named = ({"name": name, "variables": values} for name, values in inputs.items())
    Path(path).write_text(
        f'{{"reference": "jinja2 {jinja2.__version__} as transformers sets it up, by tools/templates/compare.py",\n'
        f'"inputs": [\n{lines(named)}\n],\n"cases": [\n{lines(rows)}\n]}}\n', encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--renderer", required=True)
    parser.add_argument("--node-path")
    parser.add_argument("--show", type=int, default=10)
    parser.add_argument("--update")
    parser.add_argument("templates", nargs="+")
    options = parser.parse_args()
    templates = read_templates(options.templates)
    items = [{"name": name, "case": case, "template": source, "variables": {**values, "strftime_now": CLOCK}}
             for name, source in templates.items() for case, values in cases()]
    begin = time.monotonic()
    ours = render_with_command([options.renderer], items)
    print(f"{len(templates)} templates; ours took {time.monotonic() - begin:.2f} s")
    strict = list(render_with_jinja2(environment(), items))
    report(f"jinja2 {jinja2.__version__} as transformers has it", items, ours, strict, 0)
    truth = list(render_with_jinja2(environment(SandboxedEnvironment), items))
    differences = report("jinja2 with the deliberate deviations", items, ours, truth, options.show)
    if options.node_path:
        script = str(Path(__file__).with_name("oracle.js"))
        node = render_with_command(["node", script], items, NODE_PATH=options.node_path, TZ="UTC")
        report("@huggingface/jinja", items, ours, node, 0)
        report("jinja2, of @huggingface/jinja itself", items, node, truth, 0)
    if options.update:
        write_cases(options.update, items, strict)
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
