"""Pictures of the losses and of the recall by depth."""

import math

from kv_store.results import LIMITED_TAIL, LIMITS, TITLES
from svg import INK, LINE, circle, document, line, polyline, text

COLOURS = {"f16": "#1f2328", "q8": "#2f7d6d", "k8v4": "#3b6fb5", "q4": "#8a5aa8", "q3": "#c08a1e",
           "q2": "#b4552d"}
MARGIN, TOP = 16, 64


def _ticks(low, high, most=7):
    """Round places between low and high."""
    step = 10 ** math.floor(math.log10((high - low) / most))
    step *= next(factor for factor in (1, 2, 5, 10) if (high - low) / (step * factor) <= most)
    first = math.ceil(low / step)
    return [i * step for i in range(first, math.floor(high / step) + 1)]


def _loss_row(y, row, first, place):
    """The interval, all texts together as a disc and each text as a mark."""
    colour = COLOURS[row["store"]]
    together = row["all"][first]
    marks = [line(place(v[first]["ppl_change_percent"]), y - 5,
                  place(v[first]["ppl_change_percent"]), y + 5, colour)
             for v in row["texts"].values()]
    x = place(together["ppl_change_percent"])
    label = f'{row["store"]}, {TITLES[row["variant"]]}'
    return [text(168, y + 4, label, anchor="end"), *marks,
            line(place(together["interval"][0]), y, place(together["interval"][1]), y, colour, 3),
            circle(x, y, 4.5, colour)]


def draw_losses(rows, subtitle, first="512"):
    """A panel for each tail; a line for each store with and without outliers."""
    left, width, step = 180, 560, 20
    y = 24.0
    body = [text(MARGIN, y, "Perplexity against a cache in binary16, per cent", 15, weight="bold"),
            text(MARGIN, y + 20, subtitle),
            text(MARGIN, y + 36, "disc: all texts, bar: 95 % interval, marks: single texts, dashed: "
                                 "limit of the store")]
    y += 44
    for tail in sorted({row["tail"] for row in rows}, reverse=True):
        panel = [row for row in rows if row["tail"] == tail]
        values = [v[first]["ppl_change_percent"] for row in panel for v in row["texts"].values()]
        values += [value for row in panel for value in row["all"][first]["interval"]]
        limits = LIMITS if tail == LIMITED_TAIL else {}
        low, high = min(0.0, *values), max([0.0, *values, *limits.values()])
        low, high = low - 0.05 * (high - low), high + 0.05 * (high - low)

        def place(value, low=low, high=high):
            return left + width * (value - low) / (high - low)

        y += 30
        body.append(text(MARGIN, y, f"tail of {tail} tokens", 13, weight="bold"))
        top, y = y + 8, y + 20
        bottom = top + step * len(panel) + 6
        for tick in _ticks(low, high):
            x = place(tick)
            body += [line(x, top, x, bottom, INK if abs(tick) < 1e-9 else LINE),
                     text(x, bottom + 12, f"{tick:+.4g}" if abs(tick) > 1e-9 else "0", 10, "middle")]
        for row in panel:
            if row["store"] in limits:
                x = place(limits[row["store"]])
                body.append(line(x, y - 8, x, y + 8, COLOURS[row["store"]], 2, "3 2"))
            body += _loss_row(y, row, first, place)
            y += step
        y = bottom + 14
    return document(left + width + 30, y + 16, body)


RECALL_TITLES = {
    "distance": "Codes recalled, per cent, by how many tokens back they were told",
    "position": "Codes told up to 240 tokens back, recalled, per cent, by the question's position",
}


def draw_recall(report, kind, model):
    """A panel for each tail: share of codes recalled, a line for each store."""
    rows, bins = report["results"], report["bins"]
    left, width, height, gap = 60, 620, 190, 62
    tails = sorted({row["tail"] for row in rows if row["store"] != "f16"}, reverse=True)
    base = next(row for row in rows if row["store"] == "f16")
    deepest = bins[-1]
    body = [text(MARGIN, 24, RECALL_TITLES[kind], 15, weight="bold"),
            text(MARGIN, 44, f"{model}, {sum(report['questions']):,} questions, at least "
                             f"{min(report['questions'])} at each point")]
    y = TOP
    for tail in tails:
        body.append(text(MARGIN, y + 12, f"tail of {tail} tokens", 13, weight="bold"))
        top = y + 22
        for share in (0, 25, 50, 75, 100):
            at = top + height * (1 - share / 100)
            body += [line(left, at, left + width, at), text(left - 8, at + 4, f"{share}", 10, "end")]
        for depth in range(0, deepest + 1, 256):
            x = left + width * depth / deepest
            body += [line(x, top + height, x, top + height + 4, INK),
                     text(x, top + height + 16, f"{depth}", 10, "middle")]
        if kind == "distance":  # what lies further back is read from the store
            x = left + width * tail / deepest
            body += [line(x, top, x, top + height, INK, 1, "3 3"), text(x + 4, top + height - 6, "from here on the store", 10)]
        shown = [base] + [row for row in rows if row["tail"] == tail and row["store"] != "f16"]
        for i, row in enumerate(shown):
            points = [(left + width * (begin + end) / 2 / deepest, top + height * (1 - share / 100))
                      for begin, end, share in zip(bins, bins[1:], row["recalled_percent"])
                      if share is not None]
            colour, at = COLOURS[row["store"]], top + 14 + 18 * i
            body += [polyline(points, colour, 3 if row["store"] == "f16" else 1.5),
                     line(left + width + 14, at, left + width + 34, at, colour, 3),
                     text(left + width + 40, at + 4, row["store"])]
        y = top + height + gap - 22
    return document(left + width + 100, y, body)
