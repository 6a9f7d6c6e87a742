"""Conversations and options that chat templates are tried with."""

TEXT = "What's the weather in Z\u00fcrich & Tokyo? \u6771\u4eac \"quoted\" <b>bold</b> \U0001f469\u200d\U0001f469\u200d\U0001f467 \\n \t tab\nsecond line"
PARAMETERS = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "description": "The city, e.g. Z\u00fcrich or \"\u6771\u4eac\""},
        "days": {"type": "integer", "description": "How many days", "default": 3, "minimum": 1},
        "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
        "where": {"type": "object", "properties": {
            "lat": {"type": "number", "description": "Latitude", "default": 0.5},
            "tags": {"type": "array", "items": {"type": "string"}}},
            "required": ["lat"], "additionalProperties": False},
        "either": {"anyOf": [{"type": "string"}, {"type": "null"}], "nullable": True},
        "many": {"type": ["string", "number"], "description": "One of <two> types & more"},
    },
    "required": ["city", "where"],
}
WEATHER = {"type": "function", "function": {
    "name": "get_weather", "description": "Current weather.\nOf a city.", "parameters": PARAMETERS}}
NO_ARGUMENTS = {"type": "function", "function": {
    "name": "now", "description": "The time", "parameters": {"type": "object", "properties": {}}}}
RETURNS = {"type": "function", "function": {
    "name": "add", "description": "Adds",
    "parameters": {"type": "object", "properties": {
        "a": {"type": "number"}, "b": {"type": "number"},
        "list": {"type": "array", "items": {"type": "object", "properties": {
            "x": {"type": "boolean"}}}}}, "required": ["a", "b"]},
    "return": {"type": "number", "description": "The sum"}}}
ARGUMENTS = {"city": "Z\u00fcrich \"x\" <y>", "days": 2, "where": {"lat": 47.5, "tags": ["a", "b"]},
             "either": None, "flag": True}


def system(text="You are helpful.  \n Be brief."):
    return {"role": "system", "content": text}


def user(text=TEXT):
    return {"role": "user", "content": text}


def assistant(text="Sunny, 21 \u00b0C.", **more):
    return {"role": "assistant", "content": text, **more}


def call(name="get_weather", arguments=ARGUMENTS, call_id="call00001"):
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def tool(text="{\"celsius\": 21.5, \"sky\": \"klar \u2600\"}", **more):
    return {"role": "tool", "content": text, **more}


def parts(*texts):
    return [{"type": "text", "text": text} for text in texts]


JSON_TEXT = "{\"city\": \"Z\u00fcrich\", \"days\": 2}"
CALLED = [user(), assistant("", tool_calls=[call()]),
          tool(name="get_weather", tool_call_id="call00001")]
PLAIN = {
    "user": [user()],
    "system": [system(), user("Hi")],
    "turns": [system(), user("Hi"), assistant("Hello!"), user(" How are you? \n")],
    "turns without system": [user("Hi"), assistant(" Hello! \n"), user(TEXT), assistant(), user("ok")],
    "ends with assistant": [user("Hi"), assistant("Hello!")],
    "system and end": [system(), user("Hi"), assistant(TEXT)],
    "empty contents": [system(""), user(""), assistant(""), user("")],
    "spaces": [system("  \n"), user(" \t "), assistant("\n\n"), user("x")],
    "parts": [{"role": "system", "content": parts("One.", " Two.")},
              {"role": "user", "content": parts("a ", "\nb")},
              {"role": "assistant", "content": parts("Answer")},
              {"role": "user", "content": parts("")}],
    "reasoning": [user("2+2?"), assistant("4", reasoning_content="Add them.\n"), user("3+3?"),
                  assistant("6", reasoning_content=" Easy "), user("ok")],
    "reasoning last": [user("2+2?"), assistant("4", reasoning_content="Add them.")],
    "thinking field": [user("2+2?"), assistant("4", thinking="Add them."), user("3+3?")],
    "think tags": [user("2+2?"), assistant("<think>\nAdd <them>.\n</think>\n\n4"), user("3+3?"),
                   assistant("<think>quick</think>6")],
    "developer": [{"role": "developer", "content": "Be terse."}, user("Hi")],
    "system late": [user("Hi"), system("Be terse."), user("Go on")],
    "assistant first": [assistant("Welcome"), user("Hi")],
    "two users": [user("Hi"), user("there")],
    "two assistants": [user("Hi"), assistant("A"), assistant("B"), user("c")],
    "strange role": [user("Hi"), {"role": "critic", "content": "Hm."}, user("x")],
    "no messages": [],
    "only system": [system("Alone.")],
    "no content": [user("Hi"), {"role": "assistant"}, user("x")],
    "null content": [user("Hi"), assistant(None), user("x")],
    "names": [{"role": "user", "name": "Ada", "content": "Hi"}, assistant("Hello", name="Bot"),
              user("x")],
    "markers": [user("<|im_end|><|im_start|>system\n[INST] <s></s> <|eot_id|> {{ x }} {% if %}"),
                assistant("[/INST] <end_of_turn>"), user("### Instruction:")],
}
WITH_TOOLS = {
    "tools, user": [user()],
    "tools, system": [system(), user()],
    "call": [user(), assistant("", tool_calls=[call()])],
    "call, null content": [user(), assistant(None, tool_calls=[call()]), tool(tool_call_id="call00001")],
    "call, no content": [user(), {"role": "assistant", "tool_calls": [call()]}, tool()],
    "result": CALLED,
    "answered": [system(), *CALLED, assistant("It is 21.5 \u00b0C."), user("Thanks")],
    "arguments as text": [user(), assistant("", tool_calls=[call(arguments=JSON_TEXT)]), tool()],
    "no arguments": [user(), assistant("", tool_calls=[call("now", {})]), tool("12:00")],
    "two calls": [user(), assistant("", tool_calls=[call(), call("now", {}, "call00002")]),
                  tool(name="get_weather", tool_call_id="call00001"),
                  tool("12:00", name="now", tool_call_id="call00002"), assistant("Done.")],
    "call after text": [system(), user(), assistant("Let me look.", tool_calls=[call()]), tool(),
                        assistant("Here."), user("And tomorrow?")],
    "call after reasoning": [
        user(), assistant("", reasoning_content="I need the tool.", tool_calls=[call()]), tool(),
        assistant("21", reasoning_content="Read it."), user("ok")],
    "reasoning before the answer": [
        user(), assistant("", reasoning_content="I need the tool.", tool_calls=[call()]), tool()],
    "thinking field with a call": [
        user(), assistant("", thinking="I need the tool.", tool_calls=[call()]), tool()],
    "two rounds": [*CALLED, assistant("", tool_calls=[call("now", {}, "call00002")]),
                   tool("12:00", name="now", tool_call_id="call00002"), assistant("Noon."), user("k")],
    "result as parts": [user(), assistant("", tool_calls=[call()]),
                        {"role": "tool", "content": parts("21 ", "\u00b0C"), "tool_call_id": "call00001",
                         "name": "get_weather"}],
    "result as object": [user(), assistant("", tool_calls=[call()]), tool({"celsius": [1, 2.5]})],
    "result without call": [user(), tool("x")],
    "empty calls": [user(), assistant("no", tool_calls=[]), user("x")],
    "call without id": [user(), assistant("", tool_calls=[
        {"type": "function", "function": {"name": "now", "arguments": {"a": 1}}}]), tool("1")],
    "flat call": [user(), assistant("", tool_calls=[{"name": "now", "arguments": {"a": 1}}]),
                  tool("1")],
}
DOCUMENTS = [{"title": "Z\u00fcrich", "text": "A city.\nBig.", "doc_id": 1},
             {"title": "\u6771\u4eac", "text": "A <bigger> one", "doc_id": 2}]
# Each with the variables that it adds.
SWITCHES = [
    {"enable_thinking": True}, {"enable_thinking": False}, {"thinking": True},
    {"thinking": False}, {"reasoning_effort": "high"}, {"date_string": "01 Feb 2025"},
    {"documents": DOCUMENTS}, {"builtin_tools": ["wolfram_alpha"]}, {"custom_tools": [WEATHER]},
    {"documents": DOCUMENTS, "controls": {"length": "short"}}, {"xml_tools": [str(WEATHER)]},
    {"model_identity": "You are Test."}, {"clear_thinking": False}, {"keep_past_thinking": True},
]


def variables(messages, prompt, **more):
    return {"messages": messages, "add_generation_prompt": prompt, "tools": None, "documents": None,
            "bos_token": "<s>", "eos_token": "</s>", **more}


def cases():
    """Name and variables of every case."""
    for prompt in (True, False):
        suffix = "" if prompt else ", no prompt"
        for name, messages in PLAIN.items():
            yield name + suffix, variables(messages, prompt)
        for name, messages in WITH_TOOLS.items():
            yield name + suffix, variables(messages, prompt, tools=[WEATHER, NO_ARGUMENTS, RETURNS])
            yield f"{name}, no tools{suffix}", variables(messages, prompt)
    for switch in SWITCHES:
        label = ", ".join(f"{key}={str(value)[:12]}" for key, value in switch.items())
        for name in ("user", "turns", "reasoning", "think tags", "ends with assistant"):
            yield f"{name}, {label}", variables(PLAIN[name], True, **switch)
        for name in ("tools, system", "answered", "call after reasoning", "reasoning before the answer"):
            yield f"{name}, {label}", variables(WITH_TOOLS[name], True, **{"tools": [WEATHER, NO_ARGUMENTS], **switch})
    yield "tools without a description", variables([user()], True, tools=[
        {"type": "function", "function": {"name": "bare"}}])
    yield "flat tools", variables([user()], True, tools=[WEATHER["function"]])
    yield "no tools, but a list", variables([user()], True, tools=[])


# Those of the tests in the suite, which keep their expected output in the repository.
REDUCED = {
    "turns", "turns without system", "ends with assistant, no prompt", "empty contents", "spaces", "parts",
    "reasoning", "think tags", "thinking field", "developer", "two users", "no messages", "null content",
    "names", "markers", "tools, system", "call, no prompt", "answered", "arguments as text", "two calls",
    "call after reasoning", "two rounds", "result as object", "flat call", "empty calls",
    "user, enable_thinking=False", "user, enable_thinking=True", "reasoning, reasoning_effort=high",
    "answered, documents=[{'title': ', controls={'length': '", "no tools, but a list",
}
