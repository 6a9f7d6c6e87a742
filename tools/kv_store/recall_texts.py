"""Windows that ask for codes told further back, in the form that the demo model was trained on:
"The code for amber birch is 4821." and, later, "What is the code for amber birch?".
"""

import random
from dataclasses import dataclass

WORDS = (
    "amber birch cobalt delta ember falcon garnet harbor indigo jasper kestrel lotus maple nectar "
    "onyx pepper quartz raven saffron topaz umber violet willow xenon yarrow zephyr"
).split()
SEPARATOR = "<|endoftext|>"
CODE_DIGITS = 4


@dataclass
class Plan:
    """Of a window: conversations that follow each other, each tells codes and then asks for some."""

    conversations: int
    codes: int
    questions: int


@dataclass
class Question:
    answer: int  # token of the window that is the first digit of the answer
    distance: int  # tokens back to the first digit of the code when it was told


@dataclass
class Window:
    text: str
    first_prompt: str  # the text before the first answer
    ids: list[int]
    questions: list[Question]


def _conversation(generator, keys, codes, num_questions):
    """Text, its part before the first answer, the codes that are asked for."""
    facts = " ".join(f"The code for {key} is {code}." for key, code in zip(keys, codes, strict=True))
    asked = generator.sample(range(len(keys)), num_questions)
    text, first_prompt = "", None
    for i in asked:
        question = f"And {keys[i]}?" if text else f"{facts}\nWhat is the code for {keys[i]}?"
        text += f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"
        text += f"The code for {keys[i]} is "
        first_prompt = first_prompt or text
        text += f"{codes[i]}.<|im_end|>\n"
    return text, first_prompt, [codes[i] for i in asked]


def _document(generator, plan):
    """Conversations of a window; no key and no code is told twice in it."""
    count = plan.conversations * plan.codes
    keys = generator.sample([f"{a} {b}" for a in WORDS for b in WORDS if a != b], count)
    codes = [str(code) for code in generator.sample(range(1000, 10000), count)]
    made = [_conversation(generator, keys[at : at + plan.codes], codes[at : at + plan.codes],
                          plan.questions) for at in range(0, count, plan.codes)]
    return SEPARATOR.join(text for text, *_ in made), made[0][1], [c for *_, cs in made for c in cs]


def _find(ids, part):
    return [i for i in range(len(ids) - len(part) + 1) if ids[i : i + len(part)] == part]


def make_windows(tokenize, ctx, plan, num_windows, seed=1):
    """tokenize: text -> ids. Windows that have more than ctx tokens are left out."""
    generator = random.Random(seed)
    digits = dict(zip("0123456789", tokenize("0 1 2 3 4 5 6 7 8 9")[::2], strict=True))
    separator = tokenize(SEPARATOR)
    documents = [_document(generator, plan) for _ in range(num_windows)]
    # One call for all: no document has two separators in a row.
    ids_of, begin = [], 0
    joined = tokenize((2 * SEPARATOR).join(text for text, *_ in documents))
    for end in [*_find(joined, 2 * separator), len(joined)]:
        ids_of.append(joined[begin:end])
        begin = end + 2
    windows = []
    for (text, first_prompt, codes), ids in zip(documents, ids_of, strict=True):
        if len(ids) > ctx:
            continue
        questions = []
        for code in codes:
            told, answer = _find(ids, [digits[digit] for digit in code])
            questions.append(Question(answer, answer - told))
        windows.append(Window(text + SEPARATOR * (ctx - len(ids)), first_prompt, ids, questions))
    return windows
