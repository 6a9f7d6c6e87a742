// Names that people type, that servers send, and hashes in headers.
#include <string>

#include <gtest/gtest.h>

#include "api/hub/names/digest.h"
#include "api/hub/names/quantization.h"
#include "api/hub/names/reference.h"
#include "api/hub/names/text.h"

namespace ruvllm::hub {
namespace {

ModelReference parsed(const std::string& text) {
  const auto reference = parse_model_reference(text);
  EXPECT_TRUE(reference.has_value()) << text << ": " << reference.error().message();
  return reference.value_or(ModelReference{});
}

TEST(ModelReference, HuggingFaceInAllSpellings) {
  for (const std::string text :
       {"hf:org/repo:Q4_K_M", "org/repo:Q4_K_M", "hf.co/org/repo:Q4_K_M"}) {
    const ModelReference reference = parsed(text);
    EXPECT_EQ(reference.source, ModelSource::kHuggingFace);
    EXPECT_EQ(reference.repository, "org/repo");
    EXPECT_EQ(reference.selector, "Q4_K_M");
    EXPECT_EQ(reference.name(), "hf:org/repo:Q4_K_M");
    EXPECT_EQ(short_name(reference), "org/repo:Q4_K_M");
  }
  const ModelReference revision = parsed("hf:org/repo:sub/file.gguf@refs/pr/1");
  EXPECT_EQ(revision.selector, "sub/file.gguf");
  EXPECT_EQ(revision.revision, "refs/pr/1");
  EXPECT_EQ(revision.name(), "hf:org/repo:sub/file.gguf@refs/pr/1");
  EXPECT_EQ(parsed("hf:gpt2").repository, "gpt2");
  const ModelReference page = parsed("https://huggingface.co/org/repo/resolve/main/a/b.gguf?x=1");
  EXPECT_EQ(page.name(), "hf:org/repo:a/b.gguf");
  EXPECT_EQ(parsed("https://huggingface.co/org/repo/blob/v2/b.gguf").name(),
            "hf:org/repo:b.gguf@v2");
  EXPECT_EQ(parsed("https://huggingface.co/org/repo/").name(), "hf:org/repo");
}

TEST(ModelReference, OllamaAndUrls) {
  const ModelReference library = parsed("qwen2.5:0.5b");
  EXPECT_EQ(library.source, ModelSource::kOllama);
  EXPECT_EQ(library.repository, "library/qwen2.5");
  EXPECT_EQ(library.selector, "0.5b");
  EXPECT_EQ(library.name(), "ollama:qwen2.5:0.5b");
  EXPECT_EQ(parsed("ollama:user/model").name(), "ollama:user/model:latest");
  const std::string hash(64, 'a');
  const ModelReference url = parsed("https://example.com/x.gguf?y=1#sha256=" + hash);
  EXPECT_EQ(url.source, ModelSource::kUrl);
  EXPECT_EQ(url.repository, "https://example.com/x.gguf?y=1");
  EXPECT_EQ(url.sha256, hash);
}

TEST(ModelReference, RefusesWhatCannotBe) {
  for (const std::string text : {"",
                                 "hf:",
                                 "hf:a/b/c",
                                 "hf:../..",
                                 "hf:a/..",
                                 "hf:org/re--po",
                                 "hf:.org/repo",
                                 "hf:org/repo:",
                                 "hf:org/repo@",
                                 "hf:org/repo@../x",
                                 "hf:org/repo:../../etc/passwd",
                                 "hf:org/repo:/etc/passwd",
                                 "ollama:",
                                 "ollama:a/b/c",
                                 "ollama:x:..",
                                 "ollama:x:",
                                 "ollama:../x:y",
                                 "ftp://x/y",
                                 "a b",
                                 "hf:org/repo\n",
                                 "https://x/y#sha256=12",
                                 "https://x/y#md5=1"}) {
    EXPECT_FALSE(parse_model_reference(text).has_value()) << text;
  }
  EXPECT_FALSE(parse_model_reference("hf:org/" + std::string(5000, 'x')).has_value());
}

TEST(Names, Paths) {
  for (const std::string path : {"./x", "/x", "~/x", "../x", "x.gguf", "a/b.gguf", "x/"}) {
    EXPECT_TRUE(looks_like_path(path)) << path;
  }
  for (const std::string name :
       {"org/repo:x.gguf", "hf:org/x.gguf", "qwen2.5:0.5b", "https://x/y.gguf"}) {
    EXPECT_FALSE(looks_like_path(name)) << name;
  }
  for (const std::string good : {"a", "a/b.gguf", "..a", "a..b/c", "\xc3\xa4.gguf"}) {
    EXPECT_TRUE(check_remote_path(good).has_value()) << good;
  }
  for (const std::string bad : {"", "/a", "..", "../a", "a/../b", "a//b", "a/", ".", "a/./b",
                                "a\\b", "a\nb", "a\x7f", "a\x1b[2J"}) {
    EXPECT_FALSE(check_remote_path(bad).has_value()) << bad;
  }
  EXPECT_FALSE(check_remote_path(std::string("a\0b", 3)).has_value());
  EXPECT_FALSE(check_remote_path(std::string(201, 'a')).has_value());
  EXPECT_EQ(encode_url_path("a b/\xc3\xa4+#?%.gguf"), "a%20b/%C3%A4%2B%23%3F%25.gguf");
  EXPECT_EQ(printable("a\x1b[31m\nb"), "a [31m b");
  EXPECT_EQ(printable("a\xff\xc3z\xc2\x9b\xe2\x82"), "a  z    ");
  EXPECT_EQ(printable("\xc3\xa4\xc3\xa4", 3), "\xc3\xa4...");
}

TEST(Names, QuantizationLabels) {
  const std::pair<const char*, const char*> cases[] = {
      {"qwen2.5-0.5b-instruct-q4_k_m.gguf", "Q4_K_M"},
      {"Model.Q8_0.gguf", "Q8_0"},
      {"model-UD-Q4_K_XL.gguf", "UD-Q4_K_XL"},
      {"model-IQ2_XXS.gguf", "IQ2_XXS"},
      {"model-f16.gguf", "F16"},
      {"model_bf16.gguf", "BF16"},
      {"gpt-oss-20b-mxfp4.gguf", "MXFP4"},
      {"Q8_0/model-Q4_0-Q5_K_S.gguf", "Q5_K_S"},
      {"model.gguf", ""},
      {"seq4-model.gguf", ""},
      {"model-Q4_K_M-imat.gguf", "Q4_K_M"},
      {"TQ1_0.gguf", "TQ1_0"},
  };
  for (const auto& [name, label] : cases) EXPECT_EQ(quantization_label(name), label) << name;
}

TEST(Names, Shards) {
  const auto shard = parse_shard_name("a/model-Q4-00002-of-00013.gguf");
  ASSERT_TRUE(shard.has_value());
  EXPECT_EQ(shard->set, "a/model-Q4.gguf");
  EXPECT_EQ(shard->index, 2u);
  EXPECT_EQ(shard->count, 13u);
  for (const std::string name : {"model.gguf", "model-00003-of-00002.gguf", "-00000-of-00002.gguf",
                                 "model-0000a-of-00002.gguf", "-of-.gguf", "00001-of-00002.gguf"}) {
    EXPECT_FALSE(parse_shard_name(name).has_value()) << name;
  }
}

TEST(Digest, OfHeadersAndRegistries) {
  const std::string sha256(64, 'b');
  const std::string sha1(40, 'c');
  for (const std::string& header : {sha256, "\"" + sha256 + "\"", "W/\"" + sha256 + "\""}) {
    EXPECT_EQ(parse_etag(header), (Digest{DigestKind::kSha256, sha256})) << header;
  }
  EXPECT_EQ(parse_etag("\"" + sha1 + "\""), (Digest{DigestKind::kGitSha1, sha1}));
  for (const std::string& header :
       std::initializer_list<std::string>{"", "\"", "\"\"", "abc", std::string(63, 'b'),
                                          std::string(64, 'B'), std::string(64, 'g')}) {
    EXPECT_FALSE(parse_etag(header).has_value()) << header;
  }
  EXPECT_TRUE(parse_registry_digest("sha256:" + sha256).has_value());
  for (const std::string& text : {sha256, "sha512:" + sha256, "sha256:" + sha256 + "/",
                                  "sha256:../" + std::string(61, 'b'), std::string("sha256:")}) {
    EXPECT_FALSE(parse_registry_digest(text).has_value()) << text;
  }
}

TEST(Digest, KnownHashes) {
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  Hasher git(DigestKind::kGitSha1, 6);  // printf 'hello\n' | git hash-object --stdin
  git.update(std::as_bytes(std::span("hello\n", 6)));
  EXPECT_EQ(git.finish_hex(), "ce013625030ba8dba906f756967f9e9ca394464a");
}

}  // namespace
}  // namespace ruvllm::hub
