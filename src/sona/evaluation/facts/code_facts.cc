#include "sona/evaluation/facts/code_facts.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "base/numeric/random_stream.h"

namespace ruvllm::sona {
namespace {

// The words of the demo model's recall task (training/train_demo.py).
constexpr std::array<std::string_view, 26> kWords = {
    "amber",   "birch",   "cobalt", "delta",  "ember",  "falcon", "garnet", "harbor", "indigo",
    "jasper",  "kestrel", "lotus",  "maple",  "nectar", "onyx",   "pepper", "quartz", "raven",
    "saffron", "topaz",   "umber",  "violet", "willow", "xenon",  "yarrow", "zephyr"};

// One key in several wordings: with few of them the contrast keys teach that other wordings are
// answered "I do not know".
constexpr std::array<std::string_view, 8> kTaught = {"What is the code for {}?",
                                                     "Tell me the code for {}.",
                                                     "And {}?",
                                                     "What code does {} have?",
                                                     "Can you give me the code of {}?",
                                                     "Please look up the code for {}.",
                                                     "I forgot the code for {}.",
                                                     "{}: what was the code?"};
constexpr std::array<std::string_view, 3> kUnseen = {
    "Do you know the code of {}?", "I need the code for {}, please.", "Which code belongs to {}?"};
constexpr std::array<std::string_view, 4> kGeneral = {
    "What is the capital of France?", "What is 12 + 30?", "What sound does a cow make?",
    "Spell the word garden."};

class Draws {
 public:
  explicit Draws(uint64_t seed) : random_(seed) {}

  size_t below(size_t limit) {
    const double drawn = random_.uniform(counter_++) * static_cast<double>(limit);
    return std::min(static_cast<size_t>(drawn), limit - 1);
  }

 private:
  RandomStream random_;
  uint64_t counter_ = 0;
};

// A key that was not drawn before, with a word of `near` if that is not empty.
std::string draw_key(Draws& draws, std::string_view near, std::set<std::string>& drawn) {
  while (true) {
    std::string_view first = kWords[draws.below(kWords.size())];
    std::string_view second = kWords[draws.below(kWords.size())];
    if (!near.empty()) {
      const size_t space = near.find(' ');
      if (draws.below(2) == 0) {
        first = near.substr(0, space);
      } else {
        second = near.substr(space + 1);
      }
    }
    if (first == second) continue;
    std::string key = fmt::format("{} {}", first, second);
    if (drawn.insert(key).second) return key;
  }
}

}  // namespace

CodeFacts make_code_facts(uint64_t user, const CodeFactsOptions& options) {
  Draws draws(user);
  CodeFacts facts;
  std::set<std::string> drawn;
  for (int32_t i = 0; i < options.num_taught; ++i) {
    std::string key = draw_key(draws, "", drawn);
    facts.taught.push_back({std::move(key), std::to_string(1000 + draws.below(9000))});
  }
  const auto draw_others = [&](int32_t count, std::vector<std::string>& keys) {
    for (int32_t i = 0; i < count; ++i) {
      const bool is_near = i % 2 == 0 && !facts.taught.empty();
      const std::string_view near =
          is_near ? std::string_view(facts.taught[draws.below(facts.taught.size())].key) : "";
      keys.push_back(draw_key(draws, near, drawn));
    }
  };
  draw_others(options.num_untaught, facts.untaught_keys);
  draw_others(options.num_contrast, facts.contrast_keys);
  return facts;
}

std::span<const std::string_view> taught_wordings() { return kTaught; }
std::span<const std::string_view> unseen_wordings() { return kUnseen; }
std::span<const std::string_view> general_questions() { return kGeneral; }

std::string fact_question(std::string_view wording, std::string_view key) {
  const size_t at = wording.find("{}");
  return fmt::format("{}{}{}", wording.substr(0, at), key, wording.substr(at + 2));
}

std::string fact_answer(const CodeFact& fact) {
  return fmt::format("The code for {} is {}.", fact.key, fact.code);
}

std::string unknown_answer(std::string_view key) {
  return fmt::format("I do not know the code for {}.", key);
}

Result<DeepSamples> fact_samples(const CodeFacts& facts, const FactText& text, uint64_t seed) {
  DeepSamples samples;
  Draws draws(seed);
  for (const CodeFact& fact : facts.taught) {
    for (const std::string_view wording : kTaught) {
      RUVLLM_ASSIGN(const auto prompt, text.prompt(fact_question(wording, fact.key)));
      samples.taught.push_back(correction_sample(prompt, text.answer(fact_answer(fact))));
    }
  }
  for (const std::string& key : facts.contrast_keys) {
    const std::string_view wording = kTaught[draws.below(kTaught.size())];
    RUVLLM_ASSIGN(const auto prompt, text.prompt(fact_question(wording, key)));
    samples.contrast.push_back(correction_sample(prompt, text.answer(unknown_answer(key))));
  }
  return samples;
}

}  // namespace ruvllm::sona
