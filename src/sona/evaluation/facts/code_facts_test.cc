#include "sona/evaluation/facts/code_facts.h"

#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "sona/evaluation/facts/fact_scores.h"

namespace ruvllm::sona {
namespace {

// Letters are tokens.
FactText letters() {
  FactText text;
  text.prompt = [](std::string_view question) -> Result<std::vector<int32_t>> {
    return std::vector<int32_t>(question.begin(), question.end());
  };
  text.answer = [](std::string_view answer) {
    return std::vector<int32_t>(answer.begin(), answer.end());
  };
  text.decode = [](std::span<const int32_t> tokens) {
    std::string out;
    for (const int32_t token : tokens) out.push_back(static_cast<char>(token));
    return out;
  };
  return text;
}

AnswerFunction answers(std::function<std::string(const std::string&)> answer) {
  return [answer](std::span<const int32_t> prompt) -> Result<std::vector<int32_t>> {
    const std::string said = answer(letters().decode(prompt));
    return std::vector<int32_t>(said.begin(), said.end());
  };
}

TEST(CodeFactsTest, KeysDifferAndHalfOfTheOthersAreNear) {
  const CodeFacts facts = make_code_facts(3);
  ASSERT_EQ(facts.taught.size(), 5u);
  EXPECT_EQ(facts.untaught_keys.size(), 10u);
  EXPECT_EQ(facts.contrast_keys.size(), 60u);
  std::set<std::string> keys, words;
  for (const CodeFact& fact : facts.taught) {
    keys.insert(fact.key);
    words.insert(fact.key.substr(0, fact.key.find(' ')));
    words.insert(fact.key.substr(fact.key.find(' ') + 1));
    EXPECT_EQ(fact.code.size(), 4u);
  }
  size_t near = 0;
  for (const std::string& key : facts.untaught_keys) {
    keys.insert(key);
    near += words.contains(key.substr(0, key.find(' '))) ||
            words.contains(key.substr(key.find(' ') + 1));
  }
  keys.insert(facts.contrast_keys.begin(), facts.contrast_keys.end());
  EXPECT_EQ(keys.size(), 75u);
  EXPECT_GE(near, 5u);
  EXPECT_EQ(make_code_facts(3).taught[0].key, facts.taught[0].key);
  EXPECT_NE(make_code_facts(4).taught[0].key, facts.taught[0].key);
}

TEST(CodeFactsTest, SamplesHaveEveryWordingAndEveryContrastKey) {
  const CodeFacts facts = make_code_facts(1);
  const auto samples = fact_samples(facts, letters(), 1);
  ASSERT_TRUE(samples.has_value());
  EXPECT_EQ(samples->taught.size(), 5 * taught_wordings().size());
  EXPECT_EQ(samples->contrast.size(), 60u);
  const std::string first = letters().decode(samples->taught[0].tokens);
  EXPECT_EQ(first, "What is the code for " + facts.taught[0].key + "?The code for " +
                       facts.taught[0].key + " is " + facts.taught[0].code + ".");
}

TEST(CodeFactsTest, ScoresTellKnowingFromRepeating) {
  const CodeFacts facts = make_code_facts(2);
  const FactText text = letters();
  const AnswerFunction base = answers([](const std::string&) { return "Hm."; });
  const auto base_answers = general_answers(text, base);
  ASSERT_TRUE(base_answers.has_value());
  const auto nothing = score_facts(facts, text, base, *base_answers);
  ASSERT_TRUE(nothing.has_value());
  EXPECT_EQ(nothing->same.hits, 0);
  EXPECT_EQ(nothing->same.asked, 5);
  EXPECT_EQ(nothing->unseen.asked, 15);
  EXPECT_EQ(nothing->spill.asked, 20);
  EXPECT_EQ(nothing->unchanged.share(), 1.0);

  const AnswerFunction knows = answers([&](const std::string& question) {
    for (const CodeFact& fact : facts.taught) {
      if (question.find(fact.key) != std::string::npos) return fact_answer(fact);
    }
    return std::string("Hm.");
  });
  const auto all = score_facts(facts, text, knows, *base_answers);
  ASSERT_TRUE(all.has_value());
  EXPECT_EQ(all->same.share(), 1.0);
  EXPECT_EQ(all->unseen.share(), 1.0);
  EXPECT_EQ(all->spill.hits, 0);
  EXPECT_EQ(all->confused.hits, 0);

  const AnswerFunction repeats = answers([&](const std::string&) { return facts.taught[0].code; });
  auto repeated = score_facts(facts, text, repeats, *base_answers);
  ASSERT_TRUE(repeated.has_value());
  EXPECT_EQ(repeated->same.hits, 1);
  EXPECT_EQ(repeated->unseen.hits, 3);
  EXPECT_EQ(repeated->confused.hits, 16);
  EXPECT_EQ(repeated->spill.share(), 1.0);
  EXPECT_EQ(repeated->unchanged.hits, 0);
  *repeated += *all;
  EXPECT_EQ(repeated->same.hits, 6);
  EXPECT_EQ(repeated->spill.asked, 40);
}

}  // namespace
}  // namespace ruvllm::sona
