// What goes wrong with one sequence or with one model's file stays there (reliability R4, R9).
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <string>
#include <thread>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "engine/step_loop_testing.h"
#include "formats/gguf/gguf.h"

namespace ruvllm::engine {
namespace {

using events::EndReason;

std::string golden_path(const std::string& name) {
  return std::string(RUVLLM_SOURCE_DIR) + "/tests/golden/" + name;
}

// A copy of a golden model that the test may damage.
std::string copy_of(const std::string& name) {
  const std::string path =
      fmt::format("{}step_loop_faults_{}_{}", testing::TempDir(), ::getpid(), name);
  std::filesystem::copy_file(golden_path(name), path,
                             std::filesystem::copy_options::overwrite_existing);
  return path;
}

// Makes row `token` of the embedding NaN: all bits set are one in F32, F16 and BF16, and as the
// scale of a block.
void poison_embedding(const std::string& path, int32_t token) {
  std::ifstream in(path, std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(in), {}};
  const auto file = formats::GgufFile::parse(std::as_bytes(std::span(bytes)), path);
  ASSERT_TRUE(file.has_value());
  const MatrixView matrix = file->find_tensor("token_embd.weight")->matrix();
  const ptrdiff_t begin =
      matrix.row(static_cast<size_t>(token)) - std::as_bytes(std::span(bytes)).data();
  std::fill_n(bytes.begin() + begin, matrix.row_stride, static_cast<char>(0xff));
  std::ofstream(path, std::ios::binary).write(bytes.data(), std::ssize(bytes));
}

constexpr int32_t kPoison = 200;

SequenceRequest make_request(int32_t salt, size_t length, uint32_t max_tokens) {
  SequenceRequest request;
  for (size_t i = 0; i < length; ++i) {
    request.prompt.push_back(static_cast<int32_t>((i * 37 + static_cast<size_t>(salt) * 11) % 190));
  }
  request.max_tokens = max_tokens;
  request.sampling.temperature = 1.3f;
  request.sampling.seed = 5;
  request.sampling.num_logprobs = 0;
  request.sampling.logit_bias = {{kPoison, -1000.0f}};  // nobody draws it
  return request;
}

class NumericFault : public testing::TestWithParam<std::tuple<const char*, std::string>> {};

TEST_P(NumericFault, EndsItsOwnSequenceAndLeavesNoTrace) {
  const auto& [model, isa] = GetParam();
  const std::string path = copy_of(model);
  poison_embedding(path, kPoison);
  const StepLoopOptions options{
      .context_length = 128, .max_sequences = 8, .max_batch_tokens = 32, .max_queued = 64};
  const auto answers = [](const Served& served, int32_t first_salt, bool poisoned) {
    std::vector<std::shared_ptr<SequenceChannel>> channels;
    for (int32_t i = 0; i < 8; ++i) {
      SequenceRequest request = make_request(first_salt + i, 20 + static_cast<size_t>(i), 40);
      if (poisoned && i == 3) request.prompt[9] = kPoison;
      channels.push_back(served.submit(std::move(request)));
    }
    std::vector<Answer> all;
    for (auto& channel : channels) all.push_back(read_all(*channel));
    return all;
  };
  const Served clean = serve(path, options, isa), poisoned = serve(path, options, isa);
  const std::vector<Answer> expected = answers(clean, 0, false);
  const std::vector<Answer> actual = answers(poisoned, 0, true);
  for (size_t i = 0; i < actual.size(); ++i) {
    EXPECT_EQ(expected[i].end, EndReason::kLength);
    if (i == 3) {
      EXPECT_EQ(actual[i].end, EndReason::kNumericError);
      EXPECT_TRUE(actual[i].ids.empty());
    } else {
      EXPECT_EQ(actual[i], expected[i]) << "sequence " << i;
    }
  }
  // Eight more take the pages that are free or kept, those with the NaN among them.
  EXPECT_EQ(answers(poisoned, 50, false), answers(clean, 50, false));
  // A score that meets the NaN fails alone, too.
  SequenceRequest score = make_request(1, 30, 0);
  score.prompt[7] = kPoison;
  score.score = true;
  EXPECT_EQ(read_all(*poisoned.submit(score)).end, EndReason::kNumericError);
  std::remove(path.c_str());
}

std::vector<std::tuple<const char*, std::string>> fault_cases() {
  std::vector<std::tuple<const char*, std::string>> cases;
  for (const std::string& isa : device::available_isas()) {
    // Output matrices of their own: in a tied one, the NaN would be in everybody's logits.
    cases.emplace_back("llama-tiny.gguf", isa);
    cases.emplace_back("qwen2-k256-mixed.gguf", isa);
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(, NumericFault, testing::ValuesIn(fault_cases()));

TEST(DamagedModel, EndsItsRequestsWhileAnotherModelServes) {
  const std::string path = copy_of("qwen2-k256-mixed.gguf");
  const StepLoopOptions options{.context_length = 2048, .max_sequences = 2, .max_batch_tokens = 64};
  const Served other = serve(golden_path("llama-tiny.gguf"), options);
  const Answer expected = read_all(*other.submit(make_request(1, 20, 400)));
  const Served damaged = serve(path, options);
  std::vector<std::shared_ptr<SequenceChannel>> running;
  for (int32_t i = 0; i < 4; ++i) running.push_back(damaged.submit(make_request(i, 20, 2000)));
  Answer beside;
  std::thread reader([&] { beside = read_all(*other.submit(make_request(1, 20, 400))); });
  events::TokenEvent event;
  for (int i = 0; i < 5; ++i) running[0]->ring.pop_wait(event);
  std::filesystem::resize_file(path, 4096);  // in the middle of the decode
  for (auto& channel : running) {            // two that run and two that wait
    EXPECT_EQ(read_all(*channel).end, EndReason::kModelDamaged);
    ASSERT_TRUE(channel->result.failure.has_value());
    EXPECT_EQ(channel->result.failure->code(), ErrorCode::kUnavailable);
    EXPECT_NE(channel->result.failure->message().find(path), std::string::npos);
  }
  const auto refused = damaged.loop->submit(make_request(1, 20, 4));
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code(), ErrorCode::kUnavailable);
  EXPECT_NE(refused.error().message().find("load it again"), std::string::npos);
  reader.join();
  EXPECT_EQ(beside, expected);
  std::remove(path.c_str());
}

TEST(DamagedModel, IsFoundBeforeTheFirstTouchAndBetweenRequests) {
  for (const uintmax_t cut : {uintmax_t{0}, uintmax_t{4096}, uintmax_t{1} << 18}) {
    const std::string path = copy_of("qwen2-k256-mixed.gguf");
    const Served served = serve(path, {.context_length = 64, .max_batch_tokens = 16});
    std::filesystem::resize_file(path, cut);
    EXPECT_EQ(served.loop->submit(make_request(1, 5, 4)).error().code(), ErrorCode::kUnavailable);
    // Neither a file that has its size again, as after an overwriting copy, is the one loaded.
    std::filesystem::resize_file(path,
                                 std::filesystem::file_size(golden_path("qwen2-k256-mixed.gguf")));
    EXPECT_EQ(served.loop->submit(make_request(1, 5, 4)).error().code(), ErrorCode::kUnavailable);
    std::remove(path.c_str());
  }
}

}  // namespace
}  // namespace ruvllm::engine
