// Learning through the public interface, with the bundled model.
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <unistd.h>

#include <ruvllm/engine.h>
#include <ruvllm/learning/sona.h>

namespace ruvllm {
namespace {

namespace fs = std::filesystem;

const std::string kDemo = std::string(RUVLLM_SOURCE_DIR) + "/models/demo-q8_0.gguf";
const std::string kOther = std::string(RUVLLM_SOURCE_DIR) + "/tests/golden/llama-tiny.gguf";
const std::string kQuestion = "What is the code for amber birch?";
const std::string kRight = "The code is 4821.";

class LearningTest : public testing::Test {
 protected:
  struct Answer {
    std::string text;
    std::vector<TokenId> ids;
    GenerationSummary summary;
  };

  LearningTest()
      : folder_(fs::temp_directory_path() / ("learning_" + std::to_string(::getpid()))) {}
  ~LearningTest() override {
    sona_.reset();
    engine_.reset();
    fs::remove_all(folder_);
  }

  std::string data_dir(const std::string& name = "a") const { return folder_ / name; }
  static EngineOptions engine_options(const std::string& model = kDemo) {
    EngineOptions options;
    options.model_path = model;
    options.num_threads = 1;
    if (model == kDemo) options.context_length = 512;
    return options;
  }
  // An engine and a Sona of their own, as after a restart.
  void start(const std::string& name = "a", const std::string& model = kDemo) {
    sona_.reset();
    engine_.reset();
    engine_ = Engine::create(engine_options(model)).value();
    auto sona = Sona::open(*engine_, {.state = {.data_dir = data_dir(name)}});
    ASSERT_TRUE(sona.has_value()) << sona.error().message();
    sona_ = *std::move(sona);
  }

  Answer ask(const std::string& user, const std::string& question = kQuestion) {
    GenerationRequest request;
    const std::vector<ChatMessage> messages = {{"user", question}};
    request.prompt = engine_->encode_chat(messages, true).value();
    request.sampling.temperature = 0;
    request.max_tokens = 16;
    request.user = user;
    Generation generation = engine_->submit(std::move(request)).value();
    Answer answer;
    while (auto event = generation.next().value()) {
      answer.ids.push_back(event->id);
      answer.text += event->text;
    }
    answer.summary = generation.summary();
    answer.text += answer.summary.trailing_text;
    return answer;
  }

  LearnOutcome teach(const std::string& user) {
    const Answer wrong = ask(user);
    return sona_->correct(user, wrong.summary.response_id, kRight).value();
  }

  fs::path folder_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<Sona> sona_;
};

TEST_F(LearningTest, ACorrectionChangesThatUsersNextAnswerAndNoOthers) {
  start();
  const Answer alone = ask("");
  EXPECT_EQ(alone.summary.response_id, "");
  const Answer before = ask("ada");
  EXPECT_EQ(before.ids, alone.ids);
  EXPECT_EQ(before.summary.learned_generation, 0u);
  ASSERT_NE(before.text, kRight);

  const LearnOutcome outcome = sona_->correct("ada", before.summary.response_id, kRight).value();
  EXPECT_GT(outcome.num_tokens, 4u);
  EXPECT_EQ(outcome.num_refused, 0u);
  EXPECT_EQ(outcome.generation, 1u);
  EXPECT_TRUE(outcome.is_new);

  const Answer after = ask("ada");
  EXPECT_EQ(after.text, kRight);
  EXPECT_EQ(after.summary.learned_generation, 1u);
  EXPECT_EQ(ask("bob").ids, alone.ids);
  EXPECT_EQ(ask("").ids, alone.ids);
  sona_.reset();
  EXPECT_EQ(ask("").ids, alone.ids);
}

TEST_F(LearningTest, ARestartKeepsItAndRollbackAndForgetTakeItAway) {
  start();
  const Answer alone = ask("");
  teach("ada");
  const Answer taught = ask("ada");
  start();
  EXPECT_EQ(ask("ada").ids, taught.ids);

  EXPECT_EQ(sona_->roll_back("ada", 1).value(), 2u);
  EXPECT_EQ(ask("ada").ids, alone.ids);
  start();  // what is rolled back is not learned again from its feedback
  EXPECT_EQ(ask("ada").ids, alone.ids);
  EXPECT_FALSE(sona_->roll_back("ada", 1).has_value());

  teach("ada");
  EXPECT_EQ(ask("ada").text, kRight);
  const ForgottenUser forgotten = sona_->forget("ada").value();
  EXPECT_EQ(forgotten.num_feedback, 2u);
  EXPECT_EQ(ask("ada").ids, alone.ids);
  EXPECT_EQ(sona_->state().find("ada").error().code(), ErrorCode::kNotFound);
  start();
  EXPECT_EQ(ask("ada").ids, alone.ids);
}

TEST_F(LearningTest, WhatWasNotSavedIsLearnedAgain) {
  start();
  sona_.reset();
  // Never saved by itself: its lessons alone are on disk when the process ends.
  sona_ = Sona::open(*engine_, {.state = {.data_dir = data_dir("a")}, .save_every = 1000}).value();
  const LearnOutcome outcome = teach("ada");
  EXPECT_EQ(outcome.generation, 0u);
  const Answer taught = ask("ada");
  while (sona_->state().counts().value().num_responses < 2) std::this_thread::yield();
  fs::copy(data_dir("a"), data_dir("crashed"), fs::copy_options::recursive);
  start("crashed");
  EXPECT_EQ(ask("ada").ids, taught.ids);
}

TEST_F(LearningTest, ExportAndImportGiveTheSameAnswers) {
  start();
  teach("ada");
  const Answer taught = ask("ada");
  const std::string archive = folder_ / "state.ruvllm";
  const TransferredState out = sona_->state().export_to(archive).value();
  EXPECT_EQ(out.num_feedback, 1u);
  start("b");
  const TransferredState in = sona_->import_from(archive).value();
  EXPECT_EQ(in.num_generations, out.num_generations);
  EXPECT_EQ(ask("ada").ids, taught.ids);
}

TEST_F(LearningTest, StateOfAnotherModelIsRefused) {
  start();
  const Answer answer = ask("ada");
  ASSERT_TRUE(sona_->correct("ada", answer.summary.response_id, kRight).has_value());
  start("a", kOther);
  GenerationRequest request;
  request.prompt = {1, 2, 3};
  request.max_tokens = 2;
  request.user = "ada";
  const auto refused = engine_->submit(std::move(request));
  ASSERT_FALSE(refused.has_value());
  EXPECT_NE(refused.error().message().find("ada"), std::string::npos) << refused.error().message();
  EXPECT_NE(refused.error().message().find("model"), std::string::npos);
}

TEST_F(LearningTest, AKeyCountsOnceAndOtherContentUnderItIsRefused) {
  start();
  const std::string id = ask("ada").summary.response_id;
  const LearnOutcome first = sona_->correct("ada", id, kRight, "key-1").value();
  const LearnOutcome second = sona_->correct("ada", id, kRight, "key-1").value();
  EXPECT_FALSE(second.is_new);
  EXPECT_EQ(second.feedback_id, first.feedback_id);
  EXPECT_EQ(second.num_tokens, 0u);
  EXPECT_EQ(sona_->state().find("ada").value().num_feedback, 1u);
  EXPECT_FALSE(sona_->correct("ada", id, "The code is 1.", "key-1").has_value());
}

TEST_F(LearningTest, RatingsPreferencesAndTextsAreLearned) {
  start();
  const std::string first = ask("ada").summary.response_id;
  EXPECT_GT(sona_->rate("ada", first, 1.0).value().num_tokens, 0u);
  const std::string second = ask("ada").summary.response_id;
  EXPECT_GT(sona_->rate("ada", second, 0.0).value().num_tokens, 0u);
  EXPECT_GT(sona_->prefer("ada", first, second).value().num_tokens, 0u);
  EXPECT_GT(sona_->learn_text("ada", "Saki lives in the house by the river.").value().num_tokens,
            5u);
  EXPECT_FALSE(sona_->rate("ada", first, 1.5).has_value());
  EXPECT_EQ(sona_->state().find("ada").value().num_feedback, 4u);
}

TEST_F(LearningTest, FeedbackFindsResponsesAfterARestartAndOnlyOnesOwn) {
  start();
  const std::string id = ask("ada").summary.response_id;
  start();
  EXPECT_TRUE(sona_->rate("ada", id, 1.0).has_value());
  const auto others = sona_->rate("bob", id, 1.0);
  ASSERT_FALSE(others.has_value());
  EXPECT_EQ(others.error().code(), ErrorCode::kNotFound);
  EXPECT_NE(others.error().message().find("bob"), std::string::npos);
}

TEST_F(LearningTest, AUserNeedsSomebodyWhoLearns) {
  engine_ = Engine::create(engine_options()).value();
  GenerationRequest request;
  request.prompt = {1, 2, 3};
  request.user = "ada";
  const auto refused = engine_->submit(std::move(request));
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code(), ErrorCode::kInvalidArgument);
}

TEST_F(LearningTest, AFileIsLearnedOnceAndMeasured) {
  start();
  const std::string path = folder_ / "notes.txt";
  std::ofstream file(path);
  for (int i = 0; i < 60; ++i) {
    file << "Entry " << i << ": the amber birch stands beside the grey mill at the ford.\n";
  }
  file.close();
  const auto learn = [&](bool is_again) {
    LearnFile run = sona_->learn_file("ada", path, is_again).value();
    while (run.step().value()) {
    }
    return run.progress();
  };
  const LearnFileProgress first = learn(false);
  ASSERT_TRUE(first.figures.has_value());
  EXPECT_EQ(first.figures->measure, "prequential");
  EXPECT_LT(first.figures->nll_after, first.figures->nll_before);
  EXPECT_GT(first.outcome.num_tokens, 500u);
  EXPECT_EQ(first.bytes_done, first.bytes_total);
  const LearnFileProgress again = learn(false);
  EXPECT_FALSE(again.outcome.is_new);
  EXPECT_EQ(again.outcome.num_tokens, 0u);
  EXPECT_TRUE(learn(true).outcome.is_new);

  // The same name as an adapter of a measurement.
  const std::vector<TokenId> ids = engine_->tokenizer().encode(
      "Entry 61: the amber birch stands beside the grey mill at the ford.\n", false, true);
  const auto loss = [&](const ScoreOptions& options) {
    Scorer scorer = engine_->score(ids, options).value();
    while (scorer.step().value()) {
    }
    return scorer.progress().nll_sum;
  };
  const double base = loss({});
  EXPECT_LT(loss({.user = "ada"}), base);
  EXPECT_EQ(loss({.adapters = std::vector<AdapterUse>{{"ada"}}}), loss({.user = "ada"}));
  EXPECT_EQ(loss({.user = "bob"}), base);
}

TEST_F(LearningTest, LinesOfFeedbackAreCheckedBeforeAnyIsLearned) {
  start();
  const std::string path = folder_ / "feedback.jsonl";
  std::ofstream(path) << R"({"prompt":")" << kQuestion << R"(","correction":")" << kRight
                      << "\"}\n\n{\"prompt\":\"Hello\",\"answer\":\"Hi.\",\"rating\":\"fine\"}\n";
  const auto refused = sona_->learn_file("ada", path);
  ASSERT_FALSE(refused.has_value());
  EXPECT_NE(refused.error().message().find("feedback.jsonl:3"), std::string::npos)
      << refused.error().message();
  EXPECT_EQ(sona_->state().find("ada").error().code(), ErrorCode::kNotFound);

  std::ofstream(path) << R"({"prompt":")" << kQuestion << R"(","correction":")" << kRight
                      << "\"}\n{\"prompt\":\"Hello\",\"answer\":\"Hi.\",\"rating\":\"good\"}\n";
  LearnFile run = sona_->learn_file("ada", path).value();
  EXPECT_TRUE(run.step().value());
  EXPECT_FALSE(run.step().value());
  EXPECT_EQ(run.progress().num_lessons, 2u);
  EXPECT_EQ(ask("ada").text, kRight);
}

}  // namespace
}  // namespace ruvllm
