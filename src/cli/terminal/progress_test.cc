#include "cli/terminal/progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/terminal/text.h"

namespace ruvllm::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

ProgressState half_done() {
  ProgressState state;
  state.label = "perplexity";
  state.done = 512;
  state.total = 1024;
  state.seconds = 4.0;
  return state;
}

TEST(Progress, RateAndRemainingTime) {
  ProgressState state = half_done();
  state.detail = "ppl 12.5";
  EXPECT_EQ(render_progress_line(state),
            "perplexity   50%  512 of 1024 tokens  128 tok/s  ETA 0:04  ppl 12.5");
  state.unit = ProgressUnit::kBytes;
  state.done = 512 << 20;
  state.total = 1 << 30;
  EXPECT_THAT(render_progress_line(state), HasSubstr("512.0 MiB of 1.0 GiB  128.0 MiB/s"));
}

TEST(Progress, WhatWasThereIsNoPartOfTheRate) {
  ProgressState state = half_done();
  state.already_done = 256;
  EXPECT_THAT(render_progress_line(state), HasSubstr(" 50%  512 of 1024 tokens  64 tok/s"));
  state.unit = ProgressUnit::kBytes;
  state.total = 0;
  EXPECT_EQ(render_progress_line(state), "perplexity  512 B  64 B/s");
}

TEST(Progress, NothingKnownYet) {
  ProgressState state = half_done();
  state.done = 0;
  state.seconds = 0.0;
  EXPECT_THAT(render_progress_line(state), Not(HasSubstr("ETA")));
  state.total = 0;
  EXPECT_THAT(render_progress_line(state), HasSubstr("100%"));
}

TEST(Progress, BarFitsTheTerminal) {
  for (const size_t columns : {size_t{1}, size_t{20}, size_t{60}, size_t{80}, size_t{200}}) {
    EXPECT_LE(display_width(render_progress_bar(half_done(), columns)), columns);
  }
  const std::string bar = render_progress_bar(half_done(), 200);
  EXPECT_THAT(bar, HasSubstr("[" + std::string(20, '#') + std::string(20, '.') + "]"));
}

}  // namespace
}  // namespace ruvllm::cli
