// How well a user's facts are known, asked without any of them in the context.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/core/error.h"
#include "sona/evaluation/facts/code_facts.h"

namespace ruvllm::sona {

// The answer to a prompt, greedily, with whatever was learned.
using AnswerFunction = std::function<Result<std::vector<int32_t>>(std::span<const int32_t> prompt)>;

struct FactCount {
  int32_t hits = 0;
  int32_t asked = 0;

  double share() const { return asked > 0 ? static_cast<double>(hits) / asked : 0.0; }
  FactCount& operator+=(const FactCount& other) {
    hits += other.hits;
    asked += other.asked;
    return *this;
  }
};

struct FactScores {
  FactCount same = {};       // the first taught wording, answered with the fact's code
  FactCount unseen = {};     // all unseen wordings, likewise
  FactCount confused = {};   // of both: answered with another taught key's code
  FactCount spill = {};      // untaught keys, a taught and an unseen wording: with any taught code
  FactCount unchanged = {};  // general questions: answered as by the base

  FactScores& operator+=(const FactScores& other);
};

// The base's answers to general_questions(), for score_facts().
Result<std::vector<std::string>> general_answers(const FactText& text, const AnswerFunction& base);
Result<FactScores> score_facts(const CodeFacts& facts, const FactText& text,
                               const AnswerFunction& answer,
                               std::span<const std::string> base_answers);

}  // namespace ruvllm::sona
