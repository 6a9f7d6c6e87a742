"""Tables of docs/kv-store.md from results."""

from kv_store.results import LIMITED_TAIL, LIMITS, OUTLIERS, PLAIN


def _change(values):
    return "{:+.3f} % ({:+.3f} to {:+.3f})".format(values["ppl_change_percent"], *values["interval"])


def _cells(row, first):
    if row is None:
        return "| | | | "
    values = row["all"][first]
    worst = max(text[first]["ppl_change_percent"] for text in row["texts"].values())
    return (f"| {_change(values)}, worst {worst:+.3f} | {values['kl']:.6f}, {values['kl_999']:.4f} "
            f"| {values['same_top_percent']:.2f} % ")


def loss_table(rows, first="512"):
    """A line for each store and tail; rows of all reports together."""
    found = {(row["variant"], row["store"], row["tail"]): row for row in rows
             if row["store"] != "f16"}
    lines = ["| store | tail | perplexity | KL, 99.9 % | same top-1 "
             "| outliers: perplexity | KL, 99.9 % | same top-1 |", "|---|---|---|---|---|---|---|---|"]
    for store, tail in dict.fromkeys((store, tail) for _, store, tail in found):
        lines.append(f"| {store} | {tail} {_cells(found.get((PLAIN, store, tail)), first)}"
                     f"{_cells(found.get((OUTLIERS, store, tail)), first)}|")
    return lines


def text_table(rows, tail=LIMITED_TAIL, first="512"):
    """Change of the perplexity, a column for each text."""
    shown = [row for row in rows if row["store"] != "f16" and row["tail"] == tail]
    names = list(shown[0]["texts"])
    lines = ["| store, tail " + str(tail) + " | limit | " + " | ".join(names) + " |",
             "|---|---|" + "---|" * len(names)]
    for row in shown:
        limit = LIMITS.get(row["store"]) if tail == LIMITED_TAIL else None
        cells = [f"{row['texts'][name][first]['ppl_change_percent']:+.3f} %" for name in names]
        label = row["store"] if row["variant"] == PLAIN else f"{row['store']}, {row['variant']}"
        lines.append(f"| {label} | {f'{limit:+g} %' if limit else ''} | {' | '.join(cells)} |")
    return lines


def llama_table(report):
    """llama.cpp's caches, mean over texts and the worst."""
    lines = ["| cache | form | perplexity, worst text | KL | same top-1 |", "|---|---|---|---|---|"]
    for variant in (PLAIN, OUTLIERS):
        texts = report.get(variant, {})
        for cache in next(iter(texts.values()), {}):
            found = [text[cache] for text in texts.values()]
            mean = {key: sum(values[key] for values in found) / len(found) for key in found[0]}
            worst = max(values["ppl_change_percent"] for values in found)
            lines.append(f"| {cache} | {variant} | {mean['ppl_change_percent']:+.3f} %, {worst:+.3f} "
                         f"| {mean['kl']:.4f} | {mean['same_top_percent']:.2f} % |")
    return lines


def recall_table(report):
    """Shares of recalled codes in per cent by where they lie, with the numbers of questions."""
    bins = report["bins"]
    lines = ["| store | tail | all | lost, won | "
             + " | ".join(f"to {end}" for end in bins[1:]) + " |",
             "|---|---|---|---|" + "---|" * (len(bins) - 1),
             f"| questions | | {sum(report['questions'])} | | "
             + " | ".join(map(str, report["questions"])) + " |"]
    for row in report["results"]:
        cells = ["" if share is None else f"{share:.0f}" for share in row["recalled_percent"]]
        against_base = ["", ""]
        if row["store"] != "f16":
            against_base = [str(row["tail"]), f"{row['lost']}, {row['won']}"]
        lines.append(f"| {row['store']} | {against_base[0]} | {row['all_percent']:.1f} | "
                     f"{against_base[1]} | {' | '.join(cells)} |")
    return lines
