#!/usr/bin/env python3
"""pull, list and rm end to end: hub_test.py RUVLLM MODEL [unittest args]."""

import json
import os
import pty
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

from hub_server import COMMIT, Server, cut_after, sha256, slowly, status, without_ranges

RUVLLM = MODEL = ""
TIMEOUT = 120  # of one command; generous: slow machines and sanitizers
TOKEN = "hf_secret"


def gguf_like(size, seed=1):
    return b"GGUF" + random.Random(seed).randbytes(size - 4)


class HubTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="ruvllm_hub_test_")
        self.addCleanup(shutil.rmtree, self.folder)
        self.server = Server()
        self.addCleanup(self.server.close)
        self.environment = {
            "HOME": self.folder,
            "PATH": os.environ["PATH"],
            "HF_ENDPOINT": self.server.address,
            "RUVLLM_OLLAMA_REGISTRY": self.server.address,
            "RUVLLM_PULL_STALL_SECONDS": "30",
            "RUVLLM_PULL_RETRIES": "2",
            "RUVLLM_PULL_BACKOFF_MS": "20",
            "RUVLLM_PULL_PART_BYTES": "65536",
        }
        if "LD_LIBRARY_PATH" in os.environ:
            self.environment["LD_LIBRARY_PATH"] = os.environ["LD_LIBRARY_PATH"]
        self.content = gguf_like(300_000)
        self.server.repository["model-Q4_K_M.gguf"] = self.content
        self.cache = os.path.join(self.folder, ".cache/huggingface/hub/models--org--repo")
        self.store = os.path.join(self.folder, ".local/share/ruvllm/models")

    def start(self, *arguments, environment=None, **options):
        return subprocess.Popen(
            [RUVLLM, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**self.environment, **(environment or {})},
            text=True,
            **options,
        )

    def run_command(self, *arguments, expected=0, **options):
        process = self.start(*arguments, **options)
        out, err = process.communicate(timeout=TIMEOUT)
        self.assertEqual(process.returncode, expected, f"{arguments}: {out}{err}")
        return out, err

    def json_of(self, *arguments, **options):
        return json.loads(self.run_command(*arguments, "--json", **options)[0])

    def pull(self, name="hf:org/repo", **options):
        return self.json_of("pull", name, **options)

    def refused(self, *words, name="hf:org/repo", **options):
        """The pull fails, its error has these words, and nothing is there under a final name."""
        _, err = self.run_command("pull", name, expected=1, **options)
        for word in words:
            self.assertIn(word, err)
        self.assertEqual(self.final_files(), [])
        return err

    def final_files(self):
        found = []
        for root in (self.cache, self.store):
            for place, _, names in os.walk(root):
                if os.path.basename(place) in ("locks", "partial"):
                    continue
                found += [n for n in names if ".incomplete" not in n]
        return found

    def partial_files(self):
        return [
            os.path.join(place, name)
            for root in (self.cache, self.store)
            for place, _, names in os.walk(root)
            for name in names
            if name.endswith(".incomplete")
        ]

    def read(self, path):
        with open(path, "rb") as file:
            return file.read()

    def names(self):
        return [model["name"] for model in self.json_of("list")["models"]]

    def resolve_faults(self, *answers):
        self.server.faults["/resolve/"] = list(answers)


class Sources(HubTest):
    def test_hugging_face(self):
        result = self.pull()
        self.assertEqual(result["name"], "hf:org/repo:Q4_K_M")
        self.assertEqual(result["revision"], COMMIT)
        self.assertEqual(result["bytes"], 300_000)
        self.assertEqual(result["bytes_received"], 300_000)
        self.assertEqual(self.read(result["path"]), self.content)
        self.assertEqual(
            os.readlink(result["path"]), "../../blobs/" + sha256(self.content)
        )
        self.assertEqual(self.read(self.cache + "/refs/main").decode(), COMMIT)
        self.assertEqual(self.partial_files(), [])
        # In four ranges, and a second time not at all.
        self.assertEqual(len(self.server.requests_for("/resolve/")), 4)
        self.assertEqual(self.pull()["bytes_received"], 0)
        self.assertEqual(len(self.server.requests_for("/resolve/")), 4)

    def test_hugging_face_in_one_part(self):
        result = self.json_of("pull", "org/repo:Q4_K_M", "--parts", "1")
        self.assertEqual(self.read(result["path"]), self.content)
        self.assertEqual(len(self.server.requests_for("/resolve/")), 1)

    def test_safetensors_come_as_a_folder(self):
        self.server.repository = {
            "config.json": b"{}",
            "tokenizer.json": b"",
            "model-00001-of-00002.safetensors": gguf_like(2000, 2),
            "model-00002-of-00002.safetensors": gguf_like(2000, 3),
            "model.safetensors.index.json": b'{"weight_map": {}}',
            "README.md": b"text",
        }
        result = self.pull()
        self.assertEqual(result["name"], "hf:org/repo")
        self.assertEqual(result["files"], 5)
        for name in ("config.json", "tokenizer.json", "model-00002-of-00002.safetensors"):
            self.assertEqual(
                self.read(os.path.join(result["path"], name)), self.server.repository[name]
            )

    def test_ollama(self):
        self.server.layers = [
            ("application/vnd.ollama.image.license", b"license"),
            ("application/vnd.ollama.image.model", self.content),
            ("application/vnd.ollama.image.template", b"{{ .Prompt }}"),
            ("application/vnd.ollama.image.params", b'{"stop": []}'),
        ]
        result = self.pull("ollama:tiny:1b")
        self.assertEqual(result["name"], "ollama:tiny:1b")
        self.assertEqual(self.read(result["path"]), self.content)
        self.assertIn("/blobs/sha256-" + sha256(self.content), os.path.realpath(result["path"]))
        beside = os.path.dirname(result["path"])
        self.assertEqual(self.read(beside + "/template.txt"), b"{{ .Prompt }}")
        self.assertEqual(self.read(beside + "/params.json"), b'{"stop": []}')

    def test_url(self):
        self.server.files["/a/model.gguf"] = self.content
        result = self.pull(self.server.address + "/a/model.gguf")
        self.assertEqual(self.read(result["path"]), self.content)
        self.assertTrue(result["path"].endswith("/model.gguf"))
        self.assertEqual(self.pull(self.server.address + "/a/model.gguf")["bytes_received"], 0)

    def test_url_with_a_hash(self):
        self.server.files["/model.gguf"] = self.content
        url = self.server.address + "/model.gguf#sha256="
        self.refused("its hash is", sha256(self.content), name=url + "0" * 64)
        self.assertEqual(self.partial_files(), [])
        self.assertEqual(self.pull(url + sha256(self.content))["bytes"], 300_000)

    def test_url_of_unknown_length(self):
        def chunked(handler, content):
            handler.reply(200, b"", {"Transfer-Encoding": "chunked"})
            for begin in range(0, len(content), 50_000):
                chunk = content[begin : begin + 50_000]
                handler.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
            handler.wfile.write(b"0\r\n\r\n")

        self.server.files["/model.gguf"] = self.content
        self.server.faults["/model.gguf"] = [chunked]
        result = self.pull(self.server.address + "/model.gguf")
        self.assertEqual(self.read(result["path"]), self.content)

    def test_url_of_a_page(self):
        self.server.files["/model.gguf"] = b"<!DOCTYPE html><title>Log in</title>"
        self.refused("no GGUF file", "<!DOCTYPE", name=self.server.address + "/model.gguf")

    def test_no_content_twice(self):
        # What Ollama's store and ours hold is linked, not fetched again.
        blobs = os.path.join(self.folder, ".ollama/models/blobs")
        os.makedirs(blobs)
        with open(blobs + "/sha256-" + sha256(self.content), "wb") as file:
            file.write(self.content)
        result = self.pull()
        self.assertEqual(result["bytes_received"], 0)
        self.assertEqual(self.server.requests_for("/resolve/"), [])
        self.assertEqual(os.stat(result["path"]).st_nlink, 2)

    def test_content_elsewhere_is_checked(self):
        blobs = os.path.join(self.folder, ".ollama/models/blobs")
        os.makedirs(blobs)
        with open(blobs + "/sha256-" + sha256(self.content), "wb") as file:
            file.write(bytes(len(self.content)))
        self.assertEqual(self.read(self.pull()["path"]), self.content)


class Names(HubTest):
    def test_pulled_names_work_as_models(self):
        self.server.repository = {"demo-Q8_0.gguf": self.read(MODEL)}
        self.server.layers = [("application/vnd.ollama.image.model", self.read(MODEL))]
        self.pull()
        self.pull("tiny:1b")
        for name in ("hf:org/repo:Q8_0", "org/repo", "ollama:tiny:1b", "tiny:1b"):
            self.assertTrue(self.json_of("show", name)["supported"])
        self.assertIn("ids", self.json_of("tokenize", "-m", "tiny:1b", "Hello"))
        out, _ = self.run_command(
            "run", "-p", "Hello", "-n", "2", environment={"RUVLLM_MODEL": "tiny:1b"}
        )
        self.assertTrue(out)

    def test_unknown_names_are_helped(self):
        self.pull()
        _, err = self.run_command("show", "org/repo:Q8_0", expected=1)
        self.assertIn("hf:org/repo:Q4_K_M", err)
        self.assertIn("ruvllm pull hf:org/repo:Q8_0", err)
        _, err = self.run_command("show", "qwen2.5:0.5b", expected=1)
        self.assertIn("ruvllm pull ollama:qwen2.5:0.5b", err)
        _, err = self.run_command("show", "./none.gguf", expected=1)
        self.assertIn("no such model file", err)

    def test_list_and_rm(self):
        self.server.repository["model-Q8_0.gguf"] = gguf_like(5000, 7)
        self.server.layers = [
            ("application/vnd.ollama.image.model", self.content),
            ("application/vnd.ollama.image.template", b"t"),
        ]
        self.server.files["/same.gguf"] = self.content
        url = self.server.address + "/same.gguf"
        self.pull()
        self.pull("hf:org/repo:Q8_0")
        self.pull("ollama:tiny:1b")
        self.pull(url)
        self.assertEqual(
            self.names(), ["hf:org/repo:Q4_K_M", "hf:org/repo:Q8_0", url, "ollama:tiny:1b"]
        )
        self.assertIn("hf:org/repo:Q8_0", self.run_command("list")[0])
        removed = self.json_of("rm", "hf:org/repo:Q8_0")["removed"]
        self.assertEqual(removed, [{"name": "hf:org/repo:Q8_0", "bytes_freed": 5000}])
        # The URL still refers to the blob that the name from Ollama shared with it.
        self.assertEqual(self.json_of("rm", "tiny:1b")["removed"][0]["bytes_freed"], 1)
        self.assertTrue(os.path.exists(self.store + "/blobs/sha256-" + sha256(self.content)))
        self.assertEqual(self.json_of("rm", url)["removed"][0]["bytes_freed"], 300_000)
        self.run_command("rm", "-f", "hf:org/repo:Q4_K_M")
        self.assertEqual(self.names(), [])
        self.assertEqual(self.final_files(), [])
        self.run_command("rm", "hf:org/repo:Q4_K_M", expected=1)

    def test_rm_asks_on_a_terminal(self):
        self.pull()
        for answer, names in ((b"n\n", ["hf:org/repo:Q4_K_M"]), (b"y\n", [])):
            controller, terminal = pty.openpty()
            os.write(controller, answer)
            result = subprocess.run(
                [RUVLLM, "rm", "org/repo"],
                stdin=terminal,
                stdout=subprocess.PIPE,
                stderr=terminal,
                env=self.environment,
                timeout=TIMEOUT,
                check=False,
            )
            self.assertEqual(result.returncode, 0)
            self.assertIn(b"Remove it", os.read(controller, 4096))
            os.close(controller)
            os.close(terminal)
            self.assertEqual(self.names(), names)

    def test_rm_leaves_an_installed_ollama_alone(self):
        store = os.path.join(self.folder, "ollama")
        os.makedirs(store + "/manifests/registry.ollama.ai/library/tiny")
        os.makedirs(store + "/blobs")
        digest = sha256(self.content)
        layer = {
            "mediaType": "application/vnd.ollama.image.model",
            "digest": "sha256:" + digest,
            "size": len(self.content),
        }
        with open(store + "/manifests/registry.ollama.ai/library/tiny/2b", "w") as file:
            json.dump({"layers": [layer]}, file)
        with open(store + "/blobs/sha256-" + digest, "wb") as file:
            file.write(self.content)
        self.environment["OLLAMA_MODELS"] = store
        self.assertEqual(self.names(), ["ollama:tiny:2b"])
        _, err = self.run_command("rm", "tiny:2b", expected=1)
        self.assertIn("ollama rm", err)
        self.assertEqual(self.names(), ["ollama:tiny:2b"])

    def test_offline(self):
        offline = {"HF_HUB_OFFLINE": "1"}
        self.refused("not here", "HF_HUB_OFFLINE", environment=offline)
        self.assertEqual(self.server.log, [])
        path = self.pull()["path"]
        self.server.log.clear()
        self.assertEqual(self.pull(environment=offline)["path"], path)
        self.assertEqual(self.json_of("pull", "org/repo", "--offline")["path"], path)
        self.assertEqual(self.server.log, [])


class Transfers(HubTest):
    def test_goes_on_after_truncation(self):
        self.resolve_faults(cut_after(10_000), cut_after(10_000), cut_after(20_000), self.good)
        result = self.pull()
        self.assertEqual(self.read(result["path"]), self.content)
        self.assertEqual(result["bytes_received"], 300_000)

    @staticmethod
    def good(handler, content):
        handler.serve(content)

    def test_goes_on_in_the_next_run(self):
        self.resolve_faults(cut_after(100_000), status(404))
        self.run_command("pull", "hf:org/repo", "--parts", "1", expected=1)
        self.assertEqual(len(self.partial_files()), 1)
        self.assertEqual(self.names(), [])
        self.resolve_faults(self.good)
        self.server.log.clear()
        result = self.pull()
        self.assertEqual(result["bytes_received"], 200_000)
        self.assertEqual(self.read(result["path"]), self.content)
        _, headers = self.server.requests_for("/resolve/")[0]
        self.assertEqual(headers["Range"], "bytes=100000-299999")
        self.assertEqual(headers["If-Range"], f'"{sha256(self.content)}"')

    def test_damaged_partial_is_fetched_again(self):
        self.resolve_faults(cut_after(100_000), status(404))
        self.run_command("pull", "hf:org/repo", "--parts", "1", expected=1)
        with open(self.partial_files()[0], "r+b") as file:
            file.write(b"damage")
        self.resolve_faults(self.good)
        out, err = self.run_command("pull", "hf:org/repo")
        self.assertIn("does not match its hash; starting over", err)
        self.assertEqual(self.read(out.splitlines()[-1]), self.content)

    def test_state_of_a_partial_that_is_nonsense(self):
        self.resolve_faults(cut_after(100_000), status(404))
        self.run_command("pull", "hf:org/repo", "--parts", "1", expected=1)
        with open(self.partial_files()[0] + ".json", "w") as file:
            file.write('{"version":1,"size":300000,"validator":"","parts":[[0,300000,1]]}')
        self.resolve_faults(self.good)
        self.assertEqual(self.read(self.pull()["path"]), self.content)

    def test_changed_url_starts_over(self):
        self.server.files["/model.gguf"] = self.content
        url = self.server.address + "/model.gguf"
        # First answer: to the probe.
        self.server.faults["/model.gguf"] = [self.good, cut_after(100_000), status(404)]
        self.run_command("pull", url, "--parts", "1", expected=1)
        self.server.files["/model.gguf"] = changed = gguf_like(300_000, 9)
        self.server.faults.clear()
        self.assertEqual(self.read(self.pull(url)["path"]), changed)

    def test_server_without_ranges(self):
        self.resolve_faults(without_ranges)
        out, err = self.run_command("pull", "hf:org/repo")
        self.assertIn("only the whole file", err)
        self.assertEqual(self.read(out.splitlines()[-1]), self.content)

    def test_server_without_ranges_after_truncation(self):
        self.resolve_faults(cut_after(100_000), without_ranges)
        self.assertEqual(
            self.read(self.json_of("pull", "org/repo", "--parts", "1")["path"]), self.content
        )

    def test_wrong_content(self):
        def lie(handler, content):
            handler.serve(bytes(len(content)))

        self.resolve_faults(lie)
        self.refused("its hash is", sha256(self.content), "nothing is kept")
        self.assertEqual(self.partial_files(), [])

    def test_other_hash_announced(self):
        def other(handler, content):
            handler.reply(302, b"", {"Location": "/x.gguf", "X-Linked-Etag": '"%s"' % ("0" * 64)})

        self.server.files["/x.gguf"] = self.content
        self.resolve_faults(other)
        self.refused("another hash")

    def test_wrong_lengths(self):
        def shorter(handler, content):
            handler.reply(200, content[:1000])

        def longer(handler, content):
            handler.reply(200, content + b"more")

        def endless(handler, content):
            handler.reply(200, content + bytes(1000), {"Transfer-Encoding": "identity"})
            handler.close_connection = True

        def other_total(handler, content):
            handler.reply(206, content[:1000], {"Content-Range": "bytes 0-999/1000"})

        for answer in (shorter, longer, endless, other_total):
            self.resolve_faults(answer)
            self.refused("Q4_K_M.gguf", environment={"RUVLLM_PULL_PART_BYTES": "1000000"})

    def test_promises_more_than_it_sends(self):
        self.resolve_faults(cut_after(0))
        self.refused("Q4_K_M.gguf")

    def test_statuses(self):
        for code, words in (
            (401, ["401", "HF_TOKEN"]),
            (403, ["403", "HF_TOKEN"]),
            (404, ["404", "check the name"]),
            (416, ["416"]),
            (500, ["500", "try again"]),
            (502, ["502"]),
        ):
            self.resolve_faults(status(code))
            self.refused(*words)

    def test_gated(self):
        gated = {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access to model is restricted."}
        self.resolve_faults(status(403, gated))
        self.refused("GatedRepo", "Access to model is restricted.", "set HF_TOKEN")
        self.refused("accept the terms", environment={"HF_TOKEN": TOKEN})

    def test_recovers_from_temporary_failures(self):
        self.resolve_faults(status(500), status(503), status(429, {"Retry-After": "1"}), self.good)
        self.server.faults["/revision/"] = [status(502), self.good]
        _, err = self.run_command("pull", "hf:org/repo", environment={"RUVLLM_PULL_RETRIES": "5"})
        self.assertIn("trying again in 1.0 s", err)

    def test_too_many_requests(self):
        self.resolve_faults(status(429, {"Retry-After": "3600"}))
        self.refused("429", "3600 seconds")

    def test_stall(self):
        self.resolve_faults(slowly(200))
        start = time.monotonic()
        no_patience = {"RUVLLM_PULL_RETRIES": "0", "RUVLLM_PULL_STALL_SECONDS": "1"}
        self.refused("too slow", environment=no_patience)
        self.assertLess(time.monotonic() - start, 100)  # the server is silent for longer

    def test_throttled_server_is_waited_for(self):
        def drip(handler, content):
            begin, end = handler.range_of(content)
            handler.head(206, content, begin, end)
            for at in range(begin, end, 10_000):
                handler.wfile.write(content[at : min(end, at + 10_000)])
                time.sleep(0.02)

        self.resolve_faults(drip)
        self.assertEqual(self.read(self.pull()["path"]), self.content)

    def test_interrupt_leaves_what_can_be_resumed(self):
        # Half of the file comes, the rest never.
        self.resolve_faults(slowly(60, 150_000))
        process = self.start(
            "pull", "hf:org/repo", "--parts", "1", environment={"RUVLLM_PULL_STALL_SECONDS": "60"}
        )
        deadline = time.monotonic() + TIMEOUT
        while not self.received(150_000) and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=TIMEOUT)
        self.assertEqual(process.returncode, 130, err)
        self.assertIn("kept", err)
        self.assertEqual(self.final_files(), [])
        self.resolve_faults(self.good)
        self.assertEqual(self.pull()["bytes_received"], 150_000)

    def received(self, count):
        return any(os.path.getsize(path) >= count for path in self.partial_files())

    def test_two_pulls_at_once(self):
        self.resolve_faults(slowly(1, 20_000), self.good)
        processes = [self.start("pull", "hf:org/repo", "--json") for _ in range(3)]
        results = []
        for process in processes:
            out, err = process.communicate(timeout=TIMEOUT)
            self.assertEqual(process.returncode, 0, err)
            results.append(json.loads(out))
        self.assertEqual(sum(result["bytes_received"] for result in results), 300_000)
        self.assertEqual(self.read(results[0]["path"]), self.content)

    def test_full_disk(self):
        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

        self.refused("cannot write", "file size limit", preexec_fn=limit)
        self.assertEqual(self.read(self.pull()["path"]), self.content)

    def test_too_large_for_the_disk(self):
        self.server.listing = [
            {
                "type": "file",
                "path": "m-Q4_K_M.gguf",
                "size": 1 << 60,
                "oid": "0" * 40,
                "lfs": {"oid": "0" * 64, "size": 1 << 60},
            }
        ]
        self.refused("not enough disk space", "free some space")
        self.assertEqual(self.server.requests_for("/resolve/"), [])


class Redirects(HubTest):
    def setUp(self):
        super().setUp()
        self.other = Server()
        self.addCleanup(self.other.close)
        self.environment["HF_TOKEN"] = TOKEN

    def test_token_goes_to_its_own_host_only(self):
        self.other.files["/elsewhere"] = self.content
        self.resolve_faults(status(302, {"Location": self.other.address + "/elsewhere"}))
        self.assertEqual(self.read(self.pull()["path"]), self.content)
        for _, headers in self.server.log:
            self.assertEqual(headers["Authorization"], "Bearer " + TOKEN)
        self.assertTrue(self.other.log)
        for _, headers in self.other.log:
            self.assertNotIn("Authorization", headers)
            self.assertNotIn(TOKEN, json.dumps(headers))

    def test_token_goes_along_on_the_same_host(self):
        self.server.files["/elsewhere"] = self.content
        self.resolve_faults(status(307, {"Location": "/elsewhere"}))
        self.pull()
        for _, headers in self.server.requests_for("/elsewhere"):
            self.assertEqual(headers["Authorization"], "Bearer " + TOKEN)

    def test_loop(self):
        self.resolve_faults(status(302, {"Location": "/org/repo/resolve/loop"}))
        self.refused("redirects in a row")

    def test_to_what_is_not_allowed(self):
        for location in ("http://example.invalid/x", "file:///etc/passwd", "ftp://a.invalid/"):
            self.resolve_faults(status(302, {"Location": location}))
            self.refused("redirects to what is not allowed")
        self.resolve_faults(status(302))
        self.refused("redirects to nowhere")

    def test_list_that_goes_on_elsewhere(self):
        def elsewhere(handler, content):
            link = f'<{self.other.address}/api/models/org/repo/tree/x>; rel="next"'
            handler.reply(200, content, {"Link": link})

        self.server.faults["/tree/"] = [elsewhere]
        self.refused("another server")
        self.assertEqual(self.other.log, [])

    def test_list_in_pages(self):
        def first(handler, _content):
            link = f'<{self.server.address}{handler.path}&cursor=2>; rel="next"'
            handler.reply(200, b"[]", {"Link": link})

        self.server.faults["/tree/"] = [first, Transfers.good]
        self.assertEqual(self.read(self.pull()["path"]), self.content)

    def test_token_from_the_login_file(self):
        del self.environment["HF_TOKEN"]
        os.makedirs(os.path.join(self.folder, ".cache/huggingface"))
        with open(os.path.join(self.folder, ".cache/huggingface/token"), "w") as file:
            file.write(TOKEN + "\n")
        self.pull()
        self.assertEqual(self.server.log[0][1]["Authorization"], "Bearer " + TOKEN)


@unittest.skipUnless(shutil.which("openssl"), "needs openssl")
class Certificates(HubTest):
    """HTTPS with a certificate that only this test knows."""

    def make_certificate(self, name, host="IP:127.0.0.1"):
        paths = [os.path.join(self.folder, f"{name}.{kind}") for kind in ("crt", "key")]
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-days", "2", "-subj", f"/CN={name}", "-addext", f"subjectAltName={host}",
             "-out", paths[0], "-keyout", paths[1]],
            check=True, capture_output=True,
        )  # fmt: skip
        return paths

    def serve(self, certificate):
        server = Server(certificate)
        self.addCleanup(server.close)
        server.repository = self.server.repository
        self.environment["HF_ENDPOINT"] = server.address
        return server

    def test_unknown_authority(self):
        server = self.serve(self.make_certificate("own"))
        err = self.refused("certificate", "SSL_CERT_FILE")
        self.assertEqual(err.count("\n"), 1, err)  # no second try
        self.assertEqual(server.log, [])
        other = self.make_certificate("other")[0]
        self.refused("certificate", other, environment={"SSL_CERT_FILE": other})
        self.refused("SSL_CERT_FILE", environment={"SSL_CERT_FILE": self.folder + "/none"})
        self.assertEqual(server.log, [])

    def test_authority_in_a_file(self):
        certificate = self.make_certificate("own")
        server = self.serve(certificate)
        result = self.pull(environment={"SSL_CERT_FILE": certificate[0]})
        self.assertEqual(self.read(result["path"]), self.content)
        self.assertEqual(len(server.requests_for("/resolve/")), 4)

    def test_certificate_of_another_host(self):
        certificate = self.make_certificate("own", "DNS:host.example")
        server = self.serve(certificate)
        self.refused("127.0.0.1", environment={"SSL_CERT_FILE": certificate[0]})
        self.assertEqual(server.log, [])


class HostileServers(HubTest):
    def test_file_names(self):
        for path in ("../../evil.gguf", "/evil.gguf", "a/../../evil.gguf", "a\nb.gguf", "a\\b"):
            self.server.repository = {path: self.content}
            self.refused("it is not used")
        self.assertEqual([n for n in os.listdir(self.folder) if "evil" in n], [])

    def test_answers_that_are_no_json(self):
        for body in (b"", b"<html>", b"{", b"[1, 2", b"\xff\xfe", b"null", b"[]", b'{"sha": 3}',
                     b'{"sha": "../../x"}', b"[" * 100_000):
            self.server.faults["/revision/"] = [status(200, body=body)]
            self.refused("org/repo@main")
        self.server.faults.clear()
        for body in (b"", b"{}", b"[[]]", b'[{"type": "file"}]', b"[" * 100_000,
                     b'[{"type": "file", "path": "a.gguf", "size": -1, "oid": ""}]',
                     b'[{"type": "file", "path": "a.gguf", "size": 1, "oid": "../x"}]'):
            self.server.faults["/tree/"] = [status(200, body=body)]
            self.refused("org/repo")

    def test_huge_answer(self):
        self.server.faults["/tree/"] = [status(200, body=b" " * (17 << 20))]
        self.refused("larger than 16 MiB")

    def test_manifests(self):
        digest = "sha256:" + "0" * 64
        model = "application/vnd.ollama.image.model"
        for layers in (
            {},
            [{"mediaType": model, "digest": "sha256:../x", "size": 1}],
            [{"mediaType": model, "digest": digest, "size": -1}],
            [{"mediaType": "application/vnd.ollama.image.license", "digest": digest, "size": 1}],
        ):
            body = json.dumps({"layers": layers}).encode()
            self.server.faults["/manifests/"] = [status(200, body=body)]
            self.refused("tiny:1b", name="ollama:tiny:1b")
        # Sizes that would wrap where the total is counted.
        layers = [{"mediaType": model, "digest": digest, "size": 1 << 63},
                  {"mediaType": "application/vnd.ollama.image.license",
                   "digest": "sha256:" + "1" * 64, "size": 1 << 63}]
        body = json.dumps({"layers": layers}).encode()
        self.server.faults["/manifests/"] = [status(200, body=body)]
        self.refused("more than 2^64 bytes", name="ollama:tiny:1b")
        self.server.faults.clear()
        self.refused("404", name="ollama:none:1b")

    def test_long_header(self):
        self.resolve_faults(status(200, {f"X-{i}": "x" * 8000 for i in range(20)}))
        self.refused("Q4_K_M.gguf")

    def test_server_that_is_not_there(self):
        self.server.close()
        self.refused("check the network")

    def test_usage(self):
        for name in ("", "hf:", "hf:../x", "ftp://x/y", "http://example.invalid/x.gguf"):
            self.run_command("pull", name, expected=1)
        self.run_command("pull", expected=2)
        self.run_command("pull", "x", "--parts", "0", expected=2)
        self.run_command("list", environment={"HF_ENDPOINT": "http://example.invalid"}, expected=1)
        self.assertEqual(self.server.log, [])


if __name__ == "__main__":
    RUVLLM, MODEL = sys.argv[1:3]
    unittest.main(argv=sys.argv[:1] + sys.argv[3:])
