#!/usr/bin/env python3
"""Kills `ruvllm learn feedback` at random moments and checks what it had acknowledged.

usage: kill_feedback.py RUVLLM MODEL [--kills N] [--seed S]

Each piece of feedback is sent with a key of its own by a process that is killed (SIGKILL) after a
random time, often before it is done. Whatever was reported must be there afterwards, and sending
all keys again must count each once.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time


def send(arguments, environment, number, seconds):
    """Sends feedback `number`; its report, or None if it was killed before it was whole."""
    command = [arguments.ruvllm, "learn", "feedback", "--model", arguments.model, "--user", "ada",
               "--key", f"key-{number}", "--text", f"The mill of number {number} is grey.",
               "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               env=environment)
    try:
        out, error = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        out, error = process.communicate()
    if not out.endswith(b"\n"):
        if process.returncode > 0:
            sys.exit(f"feedback {number} failed: {error.decode()}")
        return None
    return json.loads(out)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("ruvllm")
    parser.add_argument("model")
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    draw = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory(prefix="ruvllm_kill_") as folder:
        environment = {**os.environ, "XDG_DATA_HOME": folder}
        begin = time.monotonic()
        first = send(arguments, environment, 0, None)
        longest = 1.2 * (time.monotonic() - begin)
        acknowledged = {0: first["feedback_id"]}
        num_killed = number = 0
        while num_killed < arguments.kills:
            number += 1
            report = send(arguments, environment, number, draw.uniform(0, longest))
            if report is None:
                num_killed += 1
            else:
                acknowledged[number] = report["feedback_id"]
        for each in range(number + 1):
            report = send(arguments, environment, each, None)
            if each in acknowledged and (report["new"] or
                                         report["feedback_id"] != acknowledged[each]):
                sys.exit(f"feedback {each} was acknowledged and is lost")
        status = json.loads(subprocess.check_output(
            [arguments.ruvllm, "learn", "status", "--json"], env=environment))
        [user] = status["users"]
        if user["feedback"] != number + 1:
            sys.exit(f"{number + 1} pieces of feedback were sent, {user['feedback']} count")
        print(f"{num_killed} kills, {len(acknowledged)} acknowledged, none lost, none twice")


if __name__ == "__main__":
    main()
