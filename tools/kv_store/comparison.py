"""How far predictions with a store are from those with a cache in binary16 alone."""

import numpy as np

from kv_store.results import RANGES

BLOCK_ROWS = 64
NUM_RESAMPLES = 4000


def compare_rows(base, rows, targets):
    """[rows] each: change of the loss, Kullback-Leibler divergence, whether the likeliest token is
    the same. base, rows: float32 logits [rows, vocab].

    Differences of logits are taken first, so that float32 is enough however small they are.
    """
    changes, divergences, same = [], [], []
    for at in range(0, len(targets), BLOCK_ROWS):
        b, r = base[at : at + BLOCK_ROWS], rows[at : at + BLOCK_ROWS]
        index = np.arange(len(b))
        top = b.argmax(axis=1)
        same.append(r.argmax(axis=1) == top)
        probability = np.exp(b - b[index, top][:, None])
        probability /= probability.sum(axis=1, keepdims=True)
        difference = b - r
        difference -= difference[index, top][:, None]
        mean = (probability * difference).sum(axis=1)
        changes.append(difference[index, targets[at : at + BLOCK_ROWS]])
        probability *= np.exp(np.negative(difference, out=difference))
        shift = np.log(probability.sum(axis=1))
        changes[-1] = changes[-1] + shift
        divergences.append(np.maximum(mean + shift, 0))
    return np.concatenate(changes), np.concatenate(divergences), np.concatenate(same)


def losses(rows, targets):
    """-log probability of each target, [rows]."""
    out = np.empty(len(targets), "f8")
    for at in range(0, len(targets), BLOCK_ROWS):
        block = rows[at : at + BLOCK_ROWS]
        top = block.max(axis=1)
        total = np.exp(block - top[:, None]).sum(axis=1)
        chosen = block[np.arange(len(block)), targets[at : at + BLOCK_ROWS]]
        out[at : at + BLOCK_ROWS] = np.log(total) + top - chosen
    return out


class TextComparison:
    """Of one text: sums of each window, and single divergences for their quantiles."""

    def __init__(self):
        self.windows = {first: [] for first in RANGES}  # (change, divergence, same, count) each
        self.divergences = {first: [] for first in RANGES}

    def add_window(self, base, rows, targets):
        """Row i predicts the window's token i + 1."""
        change, divergence, same = compare_rows(base, rows, targets)
        for first in RANGES:
            part = slice(first - 1, None)
            if len(change[part]) > 0:
                self.windows[first].append((change[part].sum(dtype="f8"),
                                            divergence[part].sum(dtype="f8"),
                                            same[part].sum(), len(change[part])))
                self.divergences[first].append(divergence[part])


def _percent(changes, counts):
    return 100 * np.expm1(changes / counts)


def summary(texts, first):
    """Of several TextComparisons together: relative change of the perplexity with the 95 % interval
    of a paired bootstrap over windows, each text's drawn among themselves."""
    generator = np.random.default_rng(1)
    drawn = np.zeros((2, NUM_RESAMPLES))
    total = np.zeros(4)
    for text in texts:
        windows = np.array(text.windows[first], "f8").reshape(-1, 4)
        choice = generator.integers(0, len(windows), (NUM_RESAMPLES, len(windows)))
        drawn += windows[choice][:, :, [0, 3]].sum(axis=1).T
        total += windows.sum(axis=0)
    low, high = np.percentile(_percent(*drawn), [2.5, 97.5])
    values = np.concatenate([v for text in texts for v in text.divergences[first]])
    change, divergence, same, count = total
    return {
        "tokens": int(count),
        "ppl_change_percent": round(float(_percent(change, count)), 5),
        "interval": [round(float(low), 5), round(float(high), 5)],
        "kl": float(f"{divergence / count:.4g}"),
        "kl_999": float(f"{np.quantile(values, 0.999):.4g}"),
        "same_top_percent": round(100 * float(same / count), 4),
    }
