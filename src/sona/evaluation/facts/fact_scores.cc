#include "sona/evaluation/facts/fact_scores.h"

#include <string_view>

namespace ruvllm::sona {
namespace {

Result<std::string> ask(const FactText& text, const AnswerFunction& answer,
                        std::string_view question) {
  RUVLLM_ASSIGN(const std::vector<int32_t> prompt, text.prompt(question));
  RUVLLM_ASSIGN(const std::vector<int32_t> tokens, answer(prompt));
  return text.decode(tokens);
}

bool has_code(std::string_view said, const CodeFact& fact) {
  return said.find(fact.code) != std::string_view::npos;
}

// Says a code of another fact and not that of `own`, which may be null.
bool has_other_code(std::string_view said, const CodeFacts& facts, const CodeFact* own) {
  if (own != nullptr && has_code(said, *own)) return false;
  for (const CodeFact& fact : facts.taught) {
    if (&fact != own && has_code(said, fact)) return true;
  }
  return false;
}

}  // namespace

FactScores& FactScores::operator+=(const FactScores& other) {
  same += other.same;
  unseen += other.unseen;
  confused += other.confused;
  spill += other.spill;
  unchanged += other.unchanged;
  return *this;
}

Result<std::vector<std::string>> general_answers(const FactText& text, const AnswerFunction& base) {
  std::vector<std::string> answers;
  for (const std::string_view question : general_questions()) {
    RUVLLM_ASSIGN(std::string said, ask(text, base, question));
    answers.push_back(std::move(said));
  }
  return answers;
}

Result<FactScores> score_facts(const CodeFacts& facts, const FactText& text,
                               const AnswerFunction& answer,
                               std::span<const std::string> base_answers) {
  FactScores scores;
  const auto ask_about = [&](const CodeFact& fact, std::string_view wording,
                             FactCount& count) -> Status {
    RUVLLM_ASSIGN(const std::string said, ask(text, answer, fact_question(wording, fact.key)));
    count += {has_code(said, fact) ? 1 : 0, 1};
    scores.confused += {has_other_code(said, facts, &fact) ? 1 : 0, 1};
    return {};
  };
  for (const CodeFact& fact : facts.taught) {
    RUVLLM_TRY(ask_about(fact, taught_wordings().front(), scores.same));
    for (const std::string_view wording : unseen_wordings()) {
      RUVLLM_TRY(ask_about(fact, wording, scores.unseen));
    }
  }
  for (const std::string& key : facts.untaught_keys) {
    for (const std::string_view wording : {taught_wordings().front(), unseen_wordings().front()}) {
      RUVLLM_ASSIGN(const std::string said, ask(text, answer, fact_question(wording, key)));
      scores.spill += {has_other_code(said, facts, nullptr) ? 1 : 0, 1};
    }
  }
  RUVLLM_ASSIGN(const std::vector<std::string> now, general_answers(text, answer));
  for (size_t i = 0; i < now.size() && i < base_answers.size(); ++i) {
    scores.unchanged += {now[i] == base_answers[i] ? 1 : 0, 1};
  }
  return scores;
}

}  // namespace ruvllm::sona
