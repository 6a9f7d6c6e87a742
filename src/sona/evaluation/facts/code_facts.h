// Facts that a user teaches by correction, in the form that the demo model knows from its recall
// task: codes of two-word keys. What is taught, what must be answered alike in other wordings, and
// what must not change.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/error.h"
#include "sona/deep/loop/deep_samples.h"

namespace ruvllm::sona {

struct CodeFact {
  std::string key;   // "amber birch"
  std::string code;  // four digits
};

struct CodeFactsOptions {
  int32_t num_taught = 5;
  int32_t num_contrast = 60;  // keys that are answered "I do not know" in training
  int32_t num_untaught = 10;  // keys that nothing was ever said about
};

// All of one user. Keys are different; half of those for contrast, and half of the untaught ones,
// share a word with a taught key.
struct CodeFacts {
  std::vector<CodeFact> taught;
  std::vector<std::string> contrast_keys;
  std::vector<std::string> untaught_keys;
};

CodeFacts make_code_facts(uint64_t user, const CodeFactsOptions& options = {});

// With "{}" for the key.
std::span<const std::string_view> taught_wordings();
std::span<const std::string_view> unseen_wordings();
std::span<const std::string_view> general_questions();  // that have nothing to do with codes
std::string fact_question(std::string_view wording, std::string_view key);
std::string fact_answer(const CodeFact& fact);
std::string unknown_answer(std::string_view key);

// How texts become a model's tokens.
struct FactText {
  // A conversation of this question, up to where its answer begins.
  std::function<Result<std::vector<int32_t>>(std::string_view question)> prompt;
  std::function<std::vector<int32_t>(std::string_view answer)> answer;  // with what ends a turn
  std::function<std::string(std::span<const int32_t>)> decode;
};

// Every fact in all taught wordings, and every contrast key in one of them.
Result<DeepSamples> fact_samples(const CodeFacts& facts, const FactText& text, uint64_t seed);

}  // namespace ruvllm::sona
