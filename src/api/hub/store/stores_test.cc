// The three stores on disk, and what happens to blobs that names share.
#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>
#include <unistd.h>

#include "api/hub/store/huggingface_cache.h"
#include "api/hub/store/manifest.h"
#include "api/hub/store/ollama_store.h"
#include "api/hub/store/own_store.h"
#include "api/hub/transfer/files.h"

namespace ruvllm::hub {
namespace {

namespace fs = std::filesystem;

const std::string kCommitA(40, 'a');
const std::string kCommitB(40, 'b');

class StoresTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "stores_test_" + std::to_string(::getpid());
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  static void put(const std::string& path, const std::string& content) {
    fs::create_directories(fs::path(path).parent_path());
    std::ofstream(path) << content;
  }
  static ModelReference reference(const std::string& name) {
    return parse_model_reference(name).value();
  }

  void add(const HuggingFaceCache& cache, const std::string& revision, const std::string& commit,
           const std::string& path, const std::string& blob) {
    put(cache.blob_path("org/repo", blob), "content of " + blob);
    ASSERT_TRUE(cache.add_snapshot("org/repo", revision, commit, {{path, 1, blob}}).has_value());
  }

  std::string folder_;
};

TEST_F(StoresTest, HuggingFaceLayout) {
  const HuggingFaceCache cache(folder_);
  add(cache, "main", kCommitA, "sub/m-Q4_K_M.gguf", "blob1");
  const std::string repo = folder_ + "/models--org--repo";
  EXPECT_EQ(fs::read_symlink(repo + "/snapshots/" + kCommitA + "/sub/m-Q4_K_M.gguf"),
            "../../../blobs/blob1");
  EXPECT_EQ(read_small_file(repo + "/refs/main", 100).value(), kCommitA);
  const auto known = cache.find(reference("hf:org/repo"));
  ASSERT_TRUE(known.has_value());
  EXPECT_EQ(known->model.name, "hf:org/repo:Q4_K_M");
  EXPECT_EQ(known->model.bytes, 16u);
  EXPECT_TRUE(cache.find(reference("hf:org/repo@" + kCommitA.substr(0, 8))).has_value());
  EXPECT_FALSE(cache.find(reference("hf:org/repo@v1")).has_value());
  EXPECT_FALSE(cache.find(reference("hf:org/other")).has_value());
}

TEST_F(StoresTest, RemovingKeepsSharedBlobs) {
  const HuggingFaceCache cache(folder_);
  add(cache, "main", kCommitA, "m-Q4_K_M.gguf", "shared");
  add(cache, "main", kCommitA, "m-Q8_0.gguf", "only");
  add(cache, "v1", kCommitB, "m-Q4_K_M.gguf", "shared");
  EXPECT_EQ(cache.models().size(), 3u);
  EXPECT_EQ(cache.remove(reference("hf:org/repo:Q4_K_M")).value(), 0u);
  EXPECT_TRUE(file_exists(cache.blob_path("org/repo", "shared")));
  EXPECT_TRUE(cache.find(reference("hf:org/repo:Q4_K_M@v1")).has_value());
  EXPECT_EQ(cache.remove(reference("hf:org/repo:Q8_0")).value(), 15u);
  EXPECT_FALSE(file_exists(cache.blob_path("org/repo", "only")));
  EXPECT_FALSE(file_exists(folder_ + "/models--org--repo/refs/main"));
  EXPECT_EQ(cache.remove(reference("hf:org/repo@v1")).value(), 17u);
  EXPECT_FALSE(file_exists(folder_ + "/models--org--repo"));
  EXPECT_TRUE(cache.models().empty());
}

TEST_F(StoresTest, DanglingLinksAreNoModels) {
  const HuggingFaceCache cache(folder_);
  add(cache, "main", kCommitA, "m-Q4_K_M.gguf", "blob1");
  fs::remove(cache.blob_path("org/repo", "blob1"));
  EXPECT_TRUE(cache.models().empty());
  EXPECT_FALSE(cache.find(reference("hf:org/repo")).has_value());
}

TEST_F(StoresTest, OwnStoreSharesBlobsBetweenNames) {
  const OwnStore store(folder_);
  const std::string shared(64, '1');
  const std::string own(64, '2');
  put(store.blob_path(shared), "GGUF");
  put(store.blob_path(own), "template");
  const ModelReference a = reference("ollama:m:a");
  const ModelReference b = reference("https://example.com/x.gguf");
  ASSERT_TRUE(store.add(a, {a.name(), "m.gguf", {{"m.gguf", shared, 4}, {"template.txt", own, 8}}})
                  .has_value());
  ASSERT_TRUE(store.add(b, {b.name(), "x.gguf", {{"x.gguf", shared, 4}}}).has_value());
  EXPECT_EQ(store.models().size(), 2u);
  const auto known = store.find(a);
  ASSERT_TRUE(known.has_value());
  EXPECT_EQ(known->model.bytes, 12u);
  EXPECT_EQ(read_small_file(known->model.path, 10).value(), "GGUF");
  EXPECT_EQ(store.remove(a).value(), 8u);
  EXPECT_TRUE(store.find(b).has_value());
  EXPECT_EQ(store.remove(b).value(), 4u);
  EXPECT_FALSE(store.remove(b).has_value());
}

TEST_F(StoresTest, NothingIsRemovedWhileSomebodyPulls) {
  const HuggingFaceCache cache(folder_);
  add(cache, "main", kCommitA, "m-Q4_K_M.gguf", "blob1");
  const auto lock =
      FileLock::try_lock(cache.use_lock_path("org/repo"), FileLock::Mode::kShared).value();
  EXPECT_EQ(cache.remove(reference("hf:org/repo")).error().code(), ErrorCode::kResourceExhausted);
  EXPECT_TRUE(cache.find(reference("hf:org/repo")).has_value());
}

TEST_F(StoresTest, InstalledOllamaIsRead) {
  const OllamaStore store(folder_);
  const std::string hash(64, '3');
  put(store.blob_path(hash), "GGUF");
  put(folder_ + "/manifests/registry.ollama.ai/library/m/1b",
      R"({"layers":[{"mediaType":"application/vnd.ollama.image.model","digest":"sha256:)" + hash +
          R"(","size":4}]})");
  put(folder_ + "/manifests/registry.ollama.ai/library/m/broken", "{");
  ASSERT_EQ(store.models().size(), 1u);
  EXPECT_EQ(store.models()[0].model.name, "ollama:m:1b");
  EXPECT_FALSE(store.models()[0].model.removable);
  EXPECT_EQ(store.find(reference("m:1b"))->model.path, store.blob_path(hash));
}

TEST(Manifest, RefusesWhatIsNone) {
  const std::string layer = R"("mediaType":"application/vnd.ollama.image.model","size":4)";
  for (const std::string& text :
       {std::string(""), std::string("[]"), std::string("{}"), std::string(R"({"layers":{}})"),
        std::string(R"({"layers":[1]})"), R"({"layers":[{)" + layer + "}]}",
        R"({"layers":[{)" + layer + R"(,"digest":"sha256:../../../etc/passwd"}]})",
        R"({"layers":[{"mediaType":"x","size":-4,"digest":"sha256:)" + std::string(64, 'a') +
            "\"}]}"}) {
    EXPECT_FALSE(parse_ollama_manifest(text, "m").has_value()) << text;
  }
  const std::string hash(64, 'a');
  const OwnManifest good{"ollama:m:a", "x", {{"x", hash, 1}}};
  EXPECT_EQ(parse_own_manifest(format_own_manifest(good), "m")->name, "ollama:m:a");
  for (const OwnManifest& bad :
       {OwnManifest{"n", "y", {{"x", hash, 1}}}, OwnManifest{"n", "../x", {{"../x", hash, 1}}},
        OwnManifest{"n", "x", {{"x", "../" + hash, 1}}}}) {
    EXPECT_FALSE(parse_own_manifest(format_own_manifest(bad), "m").has_value());
  }
  EXPECT_EQ(ollama_layer_file("application/vnd.ollama.image.template"), "template.txt");
  EXPECT_EQ(ollama_layer_file("application/vnd.ollama.image.tensor"), "");
}

}  // namespace
}  // namespace ruvllm::hub
