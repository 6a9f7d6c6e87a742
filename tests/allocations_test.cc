// Once warm, serving a request allocates nothing on the engine's threads: not to admit it, not in
// prefill, not in decode, not at its end. Every malloc of the process is counted, whichever library
// calls it; those of the thread that submits and reads are its own affair.
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <ruvllm/engine.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define RUVLLM_SANITIZER_ALLOCATOR 1
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define RUVLLM_SANITIZER_ALLOCATOR 1
#endif
#if defined(RUVLLM_SANITIZER_ALLOCATOR)
#include <sanitizer/allocator_interface.h>
#endif

namespace {

std::atomic<bool> counting{false};
std::atomic<uint64_t> allocations{0};
thread_local bool is_submitter = false;

void count_one() {
  if (counting.load(std::memory_order_relaxed) && !is_submitter) ++allocations;
}

}  // namespace

#if defined(RUVLLM_SANITIZER_ALLOCATOR)
namespace {
void on_malloc(const volatile void* /*block*/, size_t /*size*/) { count_one(); }
void on_free(const volatile void* /*block*/) {}
const int hooks_installed = __sanitizer_install_malloc_and_free_hooks(on_malloc, on_free);
}  // namespace
#else
// The program's own definitions come before those of the C library, for all libraries; what they
// call is the C library's second name for the same. operator new ends up in malloc.
extern "C" {
void* __libc_malloc(size_t size);
void* __libc_calloc(size_t count, size_t size);
void* __libc_realloc(void* block, size_t size);
void* __libc_memalign(size_t alignment, size_t size);

#define RUVLLM_HOOK __attribute__((visibility("default"), used)) void*
RUVLLM_HOOK malloc(size_t size) {
  count_one();
  return __libc_malloc(size);
}
RUVLLM_HOOK calloc(size_t count, size_t size) {
  count_one();
  return __libc_calloc(count, size);
}
RUVLLM_HOOK realloc(void* block, size_t size) {
  count_one();
  return __libc_realloc(block, size);
}
RUVLLM_HOOK memalign(size_t alignment, size_t size) {
  count_one();
  return __libc_memalign(alignment, size);
}
RUVLLM_HOOK aligned_alloc(size_t alignment, size_t size) {
  count_one();
  return __libc_memalign(alignment, size);
}
#undef RUVLLM_HOOK
__attribute__((visibility("default"), used)) int posix_memalign(void** block, size_t alignment,
                                                                size_t size) {
  count_one();
  *block = __libc_memalign(alignment, size);
  return *block != nullptr ? 0 : ENOMEM;
}
}
#endif

namespace ruvllm {
namespace {

const std::string kGolden = std::string(RUVLLM_SOURCE_DIR) + "/tests/golden/";

class AllocationsTest : public testing::Test {
 protected:
  void SetUp() override { is_submitter = true; }

  void start(const std::string& model, std::vector<AdapterSource> adapters = {}) {
    EngineOptions options;
    options.model_path = kGolden + model;
    options.num_threads = 2;
    options.context_length = 256;
    options.max_sequences = 4;
    options.max_batch_tokens = 32;  // prompts take several steps
    options.weights = WeightForm::kPacked;
    options.adapters = std::move(adapters);
    auto created = Engine::create(options);
    ASSERT_TRUE(created.has_value()) << created.error().message();
    engine_ = std::move(*created);
  }

  // Prompts of 100 tokens and 40 tokens of answer for each of `batch` requests that run together.
  void serve(uint32_t batch) {
    std::vector<Generation> running;
    for (uint32_t i = 0; i < batch; ++i) {
      GenerationRequest request;
      for (int32_t t = 0; t < 100; ++t) request.prompt.push_back((t * 31 + ++salt_) % 200);
      request.max_tokens = 40;
      request.ignore_end = true;
      request.sampling.seed = 5;
      request.sampling.repetition_penalty = 1.1f;
      request.sampling.num_logprobs = static_cast<int32_t>(i % 2) * 3;
      running.push_back(engine_->submit(std::move(request)).value());
    }
    for (Generation& generation : running) {
      while (generation.next().value()) {
      }
      EXPECT_EQ(generation.summary().completion_tokens, 40u);
    }
  }

  uint64_t allocations_in(uint32_t batch) {
    for (int i = 0; i < 3; ++i) serve(batch);  // the kept prefixes change places too
    allocations = 0;
    counting = true;
    for (int i = 0; i < 3; ++i) serve(batch);
    counting = false;
    return allocations;
  }

  std::unique_ptr<Engine> engine_;
  int32_t salt_ = 0;
};

TEST_F(AllocationsTest, NoneForOneSequenceOrSeveral) {
  start("llama-k256-q4_k_m.gguf");
  EXPECT_EQ(allocations_in(1), 0u);
  EXPECT_EQ(allocations_in(4), 0u);
  EXPECT_EQ(allocations_in(9), 0u);  // more than run at once
}

TEST_F(AllocationsTest, NoneWithAdapters) {
  const std::string lora = kGolden + "hf/llama-lora";
  start("hf/llama.gguf", {{"lora", lora}, {"again", lora, 0.5f}});
  EXPECT_EQ(allocations_in(1), 0u);
  EXPECT_EQ(allocations_in(4), 0u);
}

TEST_F(AllocationsTest, NoneInAMixtureOfExperts) {
  start("hf/mixtral.gguf");
  EXPECT_EQ(allocations_in(3), 0u);
}

// An embedding is made on the engine thread, and is counted.
TEST_F(AllocationsTest, TheCountSeesWhatTheEngineAllocates) {
  start("llama-tiny.gguf");
  const auto embed = [&] { return engine_->embed_tokens({{1, 2, 3}}, EmbeddingOptions{}); };
  ASSERT_TRUE(embed().has_value());
  allocations = 0;
  counting = true;
  const bool embedded = embed().has_value();
  counting = false;
  EXPECT_TRUE(embedded);
  EXPECT_GE(allocations, 1u);
}

TEST_F(AllocationsTest, TheCountSeesEveryFunctionOnOtherThreadsOnly) {
  const auto allocate = [] {
    void* volatile blocks[] = {std::malloc(10),          std::calloc(2, 8),
                               std::realloc(nullptr, 7), std::aligned_alloc(64, 64),
                               ::operator new(5),        ::operator new(64, std::align_val_t{64})};
    ::operator delete(blocks[5], std::align_val_t{64});
    ::operator delete(blocks[4]);
    for (int i = 0; i < 4; ++i) std::free(blocks[i]);
  };
  uint64_t elsewhere = 0;
  std::thread other([&] {
    allocations = 0;
    counting = true;
    allocate();
    counting = false;
    elsewhere = allocations;
  });
  other.join();
#if defined(RUVLLM_SANITIZER_ALLOCATOR)
  EXPECT_GE(elsewhere, 4u);  // ThreadSanitizer does not report every aligned block
#else
  EXPECT_EQ(elsewhere, 6u);
#endif
  allocations = 0;
  counting = true;
  allocate();
  counting = false;
  EXPECT_EQ(allocations, 0u);
}

}  // namespace
}  // namespace ruvllm
