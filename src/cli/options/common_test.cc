#include "cli/options/common.h"

#include <algorithm>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ruvllm::cli {
namespace {

CommonFlags parse(std::vector<std::string> arguments, CommonSet set = CommonSet::kAll) {
  CLI::App app;
  CommonFlags flags;
  add_common_flags(app, flags, set);
  std::ranges::reverse(arguments);
  app.parse(arguments);
  return flags;
}

TEST(CommonFlags, UnsetUnlessGiven) {
  const CommonFlags flags = parse({});
  EXPECT_FALSE(flags.model || flags.threads || flags.ctx || flags.device || flags.cpu_isa);
  EXPECT_FALSE(flags.json);
}

TEST(CommonFlags, AllForms) {
  const CommonFlags flags = parse({"-m", "a.gguf", "-t", "3", "--ctx=64", "--device", "cuda",
                                   "--cpu-isa", "generic", "--json", "--config", "c.toml"});
  EXPECT_EQ(flags.model, "a.gguf");
  EXPECT_EQ(flags.threads, 3u);
  EXPECT_EQ(flags.ctx, 64u);
  EXPECT_EQ(flags.device, "cuda");
  EXPECT_EQ(flags.cpu_isa, "generic");
  EXPECT_EQ(flags.config_path, "c.toml");
  EXPECT_TRUE(flags.json);
}

TEST(CommonFlags, RefusesNonsense) {
  EXPECT_THROW(parse({"--threads", "-1"}), CLI::ParseError);
  EXPECT_THROW(parse({"--threads", "two"}), CLI::ParseError);
  EXPECT_THROW(parse({"--threads", "4294967296"}), CLI::ParseError);
  EXPECT_THROW(parse({"--device", "tpu"}), CLI::ParseError);
  EXPECT_THROW(parse({"--model", "x"}, CommonSet::kOutputOnly), CLI::ParseError);
}

TEST(MergeSettings, FlagThenSettingThenDefault) {
  Settings settings;
  const auto defaults = merge_settings({}, settings);
  ASSERT_TRUE(defaults);
  EXPECT_EQ(defaults->model, "");
  EXPECT_EQ(defaults->threads, 0u);
  EXPECT_EQ(defaults->device, DeviceType::Cpu);

  settings.model = "file.gguf";
  settings.threads = 2;
  settings.ctx = 128;
  settings.device = "metal";
  settings.cpu_isa = "avx2";
  const auto from_settings = merge_settings({}, settings);
  EXPECT_EQ(from_settings->model, "file.gguf");
  EXPECT_EQ(from_settings->threads, 2u);
  EXPECT_EQ(from_settings->ctx, 128u);
  EXPECT_EQ(from_settings->device, DeviceType::Metal);
  EXPECT_EQ(from_settings->cpu_isa, "avx2");

  const auto from_flags = merge_settings(
      parse({"-m", "f.gguf", "-t", "0", "--ctx", "9", "--device", "cpu", "--cpu-isa", "generic"}),
      settings);
  EXPECT_EQ(from_flags->model, "f.gguf");
  EXPECT_EQ(from_flags->threads, 0u);
  EXPECT_EQ(from_flags->ctx, 9u);
  EXPECT_EQ(from_flags->device, DeviceType::Cpu);
  EXPECT_EQ(from_flags->cpu_isa, "generic");
}

TEST(MergeSettings, UnknownDeviceOfTheEnvironmentIsAnError) {
  Settings settings;
  settings.device = "tpu";
  const auto options = merge_settings({}, settings);
  ASSERT_FALSE(options);
  EXPECT_THAT(options.error().message(), ::testing::HasSubstr("'tpu'"));
}

}  // namespace
}  // namespace ruvllm::cli
