"""Tables of docs/learning.md from the results of `ruvllm learn eval`."""

import re

TITLES = {"ours": "**as served**", "unigram_cache": "unigram cache", "neural_cache": "neural cache",
          "bias_only": "bias only", "shuffled_order": "control: targets in another order",
          "shuffled_labels": "control: other tokens as targets",
          "random_labels": "control: random targets",
          "random_direction": "control: states that are noise",
          "constant_gradient": "control: the reference's constant gradient",
          "swapped_user": "control: another user's adapter"}


def _signed(value, digits=3):
    return "n/a" if value is None else f"{value:+.{digits}f}".replace("-", "\u2212")


def _table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def _arms(entry):
    return {arm["arm"]: arm for arm in entry["arms"]}


def streams(results):
    """An arm a row, a text a column, with the interval over streams."""
    domains = results["streams"]["domains"]
    every = {arm["arm"]: arm for arm in results["streams"]["all"]}
    rows = []
    for name in every:
        cells = [_arms(domain)[name] for domain in domains] + [every[name]]
        rows.append([TITLES.get(name, name)] + [
            f'{_signed(cell["delta_nll"])} ({_signed(cell["ci"][0])} to {_signed(cell["ci"][1])})'
            for cell in cells])
    head = ["learner"] + [f'{domain["domain"]} ({domain["base_nll"]:.3f})' for domain in domains]
    return _table(head + ["all"], rows)


def speed(results):
    """Of what is served: gain with time, and tokens improved."""
    rows = []
    for domain in results["streams"]["domains"]:
        ours = _arms(domain)["ours"]
        half = ours["tokens_to_half"]
        after = [_signed(ours["after"][count]) for count in sorted(ours["after"], key=int)]
        rows.append([domain["domain"]] + after +
                    [str(half) if half else "n/a", f'{100 * ours["share_improved"]:.0f} %'])
    after = sorted(_arms(results["streams"]["domains"][0])["ours"]["after"], key=int)
    return _table(["text"] + [f"after {count} tokens" for count in after] +
                  ["tokens to half the gain", "tokens improved"], rows)


def long_runs(results):
    names = [arm["arm"] for arm in results["long"][0]["arms"]]
    rows = []
    for run in results["long"]:
        arms = _arms(run)
        rows.append([run["domain"], f'{run["tokens"]:,}', f'{run["base_nll"]:.3f}'] +
                    [_signed(arms[name]["delta_nll"]) for name in names])
    return _table(["text", "tokens", "base"] + [TITLES.get(name, name) for name in names], rows)


def long_progress(results):
    most = sorted(max((_arms(run)["ours"]["after"] for run in results["long"]), key=len), key=int)
    rows = [[run["domain"]] + [_signed(_arms(run)["ours"]["after"].get(count)) for count in most]
            for run in results["long"]]
    return _table(["text"] + [f"after {int(count):,}" for count in most], rows)


def conversations(results):
    pairs = results["conversations"]["pairs"]
    spoken = list(dict.fromkeys(pair["spoken"] for pair in pairs))
    rows = []
    for taught in dict.fromkeys(pair["taught"] for pair in pairs):
        of = {pair["spoken"]: pair for pair in pairs if pair["taught"] == taught}
        rows.append([taught] + [f'{_signed(of[name]["delta_nll_by_expert"][1], 2)} \u2192 '
                                f'{_signed(of[name]["delta_nll"], 4)}' for name in spoken])
    return _table(["taught"] + [f"then {name}" for name in spoken], rows)


def forgetting(results):
    methods = results["forgetting"]["methods"]
    naive = next(method for method in methods if method["method"] == "naive")
    rows = []
    for method in methods:
        share = method["forgetting"] / naive["forgetting"] if naive["forgetting"] > 0 else None
        gain = method["gain"] / naive["gain"] if naive["gain"] < 0 else None
        rows.append([method["method"].replace("_", " "), _signed(method["gain"]),
                     _signed(method["forgetting"]), _signed(method["final"]),
                     _signed(method["worst"]),
                     "n/a" if gain is None else f"{100 * gain:.0f} %",
                     "n/a" if share is None else f"{100 * share:.1f} %".replace("-", "\u2212")])
    return _table(["method", "gain when learned", "forgetting", "at the end", "worst text",
                   "of naive's gain", "of naive's forgetting"], rows)


def together(results):
    entries = results["forgetting"]["together"]
    names = list(entries[0]["delta_nll"])
    return _table(["one head for all"] + names,
                  [[entry["method"].replace("_", " ")] +
                   [_signed(entry["delta_nll"][name]) for name in names] for entry in entries])


def loss_matrix(results, method="naive"):
    """R of the first order."""
    order = results["forgetting"]["orders"][0]
    matrix = next(entry for entry in results["forgetting"]["methods"]
                  if entry["method"] == method)["matrices"][0]
    rows = [[f"after {name}"] + [_signed(value) for value in row] + [""] * (len(order) - len(row))
            for name, row in zip(order, matrix)]
    return _table([method.replace("_", " ")] + order, rows)


def gradients(results):
    def spread(values):
        return f'{values["mean"]:.4f} / {values["p10"]:.4f}'
    rows = [[text["domain"], spread(text["mass"]), spread(text["cosine_rows"]),
             spread(text["cosine_hidden"])] for text in results["gradients"]]
    return _table(["text", "probability held by the 32 (mean / 10th percentile)",
                   "cosine, fast head's gradient", "cosine, gradient at the hidden state"], rows)


def safety(results):
    rows = [[stream["stream"].replace("_", " "), _signed(stream["delta_nll"], 4),
             f'{stream["worst_lead"]:.3f}', f'{stream["bound"]:.3f}', str(stream["restarts"])]
            for stream in results["safety"]]
    return _table(["stream", "nat/token", "worst lead over the base, nat", "bound, nat",
                   "restarts of the fast head"], rows)


MAKERS = {"streams": streams, "speed": speed, "long": long_runs, "long-progress": long_progress,
          "conversations": conversations, "forgetting": forgetting, "together": together,
          "matrix-naive": loss_matrix,
          "matrix-ewc": lambda results: loss_matrix(results, "ewc_3"),
          "matrix-slots": lambda results: loss_matrix(results, "slots"),
          "gradients": gradients, "safety": safety}
NEEDS = {"speed": "streams", "long-progress": "long", "together": "forgetting",
         "matrix-naive": "forgetting", "matrix-ewc": "forgetting", "matrix-slots": "forgetting"}

# Under which table each picture of pictures.py stands.
PICTURES = {"streams": "streams", "long-progress": "long", "forgetting": "forgetting"}


def fill(page, results):
    """The page with every table whose part was run."""
    def replace(match):
        name = match.group(1)
        if NEEDS.get(name, name) not in results:
            return match.group(0)
        picture = f"\n\n![{name}](learning/{PICTURES[name]}.svg)" if name in PICTURES else ""
        return f"<!-- table {name} -->\n{MAKERS[name](results)}{picture}\n<!-- end -->"
    return re.sub(r"<!-- table ([a-z-]+) -->\n.*?<!-- end -->", replace, page, flags=re.S)
