"""The two prompts of every golden model, and the rows of activations that are kept."""

SHORT = "the cat sat on a mat"
LONG = ("Once, the sea rose; a fisherman and 3 cats went on board. \"Where to?\" "
        "she asked in the caf\u00e9, 7 oranges")

TEXTS = [SHORT, LONG]

# Pages of a paged cache hold 32 tokens: keep the rows around the page borders.
_BORDERS = [0, 1, 31, 32, 63, 64]


def kept_rows(num_tokens):
    """All rows of a short prompt, the borders of pages and the last row of a long one."""
    if num_tokens <= 16:
        return list(range(num_tokens))
    return [row for row in _BORDERS if row < num_tokens - 1] + [num_tokens - 1]
