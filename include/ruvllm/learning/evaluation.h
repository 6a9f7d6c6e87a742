// The proof that learning works: a model learns from texts as it does when it serves, beside
// simpler learners and beside controls that must gain nothing (docs/learning.md).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <ruvllm/error.h>
#include <ruvllm/export.h>
#include <ruvllm/tokenizer.h>

namespace ruvllm {

struct EvaluationText {
  std::string name;  // of the domain, in the report
  std::vector<TokenId> tokens;
};

struct LearningEvaluationOptions {
  std::string model_path;  // as EngineOptions::model_path
  uint32_t num_threads = 0;
  std::string cpu_isa = {};
  uint32_t window = 512;  // tokens that attention sees; what is learned is beyond them

  // Of each text, for each seed; places and random numbers differ.
  uint32_t streams = 10;
  uint32_t seeds = 3;
  uint32_t stream_tokens = 2048;
  uint32_t long_tokens = 40000;  // of the one long stream of each text
  uint32_t conversations = 20;   // of 200 tokens, for what was learned of other texts
  uint32_t task_tokens = 12000;  // learned of each text in turn: forgetting
  uint32_t task_test_tokens = 4000;
  uint32_t orders = 3;  // in which the texts come
  // Parts to run, by name; empty: all. Unknown names are refused.
  std::vector<std::string> parts = {};
};

// "streams", "long", "forgetting", "gradients", "safety"; "long" includes new conversations.
RUVLLM_API std::vector<std::string> learning_evaluation_parts();

// step() does a second or so of work and returns false when all is done. Not thread-safe.
class RUVLLM_API LearningEvaluation {
 public:
  static Result<LearningEvaluation> create(const LearningEvaluationOptions& options,
                                           std::vector<EvaluationText> texts);
  LearningEvaluation(LearningEvaluation&&) noexcept;
  LearningEvaluation& operator=(LearningEvaluation&&) noexcept;
  ~LearningEvaluation();

  Result<bool> step();
  double done() const;               // of the current part, 0 to 1
  std::string_view current() const;  // the part's name for people
  // All parts that are done, as a JSON object; docs/learning.md says what its fields mean.
  std::string report_json() const;

 private:
  struct Impl;
  explicit LearningEvaluation(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace ruvllm
