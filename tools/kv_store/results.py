"""Names in results, and what is asked of a store."""

PLAIN, OUTLIERS = "plain", "outliers"  # forms of the model
TITLES = {PLAIN: "plain", OUTLIERS: "outliers in keys"}
LIMITED_TAIL = 256
LIMITS = {"q8": 0.05, "k8v4": 0.1, "q4": 0.1, "q2": 0.5}  # per cent of perplexity, at this tail
