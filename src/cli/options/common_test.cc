#include "cli/options/common.h"

#include <optional>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/options/test_flags.h"

namespace ruvllm::cli {
namespace {

std::optional<CommonFlags> parse(const std::vector<std::string>& arguments,
                                 CommonSet set = CommonSet::kAll) {
  return parse_flags<CommonFlags>(
      [set](CommandParser& command, CommonFlags& flags) { add_common_flags(command, flags, set); },
      arguments);
}

TEST(CommonFlags, UnsetUnlessGiven) {
  const CommonFlags flags = parse({}).value();
  EXPECT_FALSE(flags.model || flags.threads || flags.ctx || flags.device || flags.cpu_isa ||
               flags.weights || flags.packed_mib || flags.kv_store || flags.kv_tail ||
               flags.kv_mib);
  EXPECT_FALSE(flags.json);
}

TEST(CommonFlags, AllForms) {
  const CommonFlags flags = parse({"-m",
                                   "a.gguf",
                                   "-t",
                                   "3",
                                   "--ctx=64",
                                   "--device",
                                   "cuda",
                                   "--cpu-isa",
                                   "generic",
                                   "--weights",
                                   "mapped",
                                   "--packed-mib",
                                   "7",
                                   "--kv-store",
                                   "q4",
                                   "--kv-tail",
                                   "64",
                                   "--json",
                                   "--config",
                                   "c.toml",
                                   "--prefill-batch",
                                   "2",
                                   "--decode-batch",
                                   "5",
                                   "--lora-batch",
                                   "9",
                                   "--batch-for-memory",
                                   "auto",
                                   "--max-step-ms",
                                   "25"})
                                .value();
  EXPECT_EQ(flags.model, "a.gguf");
  EXPECT_EQ(flags.threads, 3u);
  EXPECT_EQ(flags.ctx, 64u);
  EXPECT_EQ(flags.device, "cuda");
  EXPECT_EQ(flags.cpu_isa, "generic");
  EXPECT_EQ(flags.weights, "mapped");
  EXPECT_EQ(flags.packed_mib, 7u);
  EXPECT_EQ(flags.kv_store, "q4");
  EXPECT_EQ(flags.kv_tail, 64u);
  EXPECT_EQ(flags.prefill_batch, 2u);
  EXPECT_EQ(flags.decode_batch, 5u);
  EXPECT_EQ(flags.lora_batch, 9u);
  EXPECT_EQ(flags.batch_for_memory, "auto");
  EXPECT_EQ(flags.max_step_ms, 25u);
  EXPECT_EQ(flags.config_path, "c.toml");
  EXPECT_TRUE(flags.json);
}

TEST(CommonFlags, RefusesNonsense) {
  EXPECT_FALSE(parse({"--threads", "-1"}));
  EXPECT_FALSE(parse({"--threads", "two"}));
  EXPECT_FALSE(parse({"--threads", "4294967296"}));
  EXPECT_FALSE(parse({"--device", "tpu"}));
  EXPECT_FALSE(parse({"--weights", "folded"}));
  EXPECT_FALSE(parse({"--kv-store", "q5"}));
  EXPECT_FALSE(parse({"--model", "x"}, CommonSet::kOutputOnly));
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
  settings.weights = "packed";
  settings.packed_mib = 300;
  settings.kv_store = "document-qa";
  settings.speculate = "lookup";
  settings.draft = "small.gguf";
  settings.cache_dir = "kept";
  settings.cache_mib = 9;
  const auto from_settings = merge_settings({}, settings);
  EXPECT_EQ(from_settings->model, "file.gguf");
  EXPECT_EQ(from_settings->threads, 2u);
  EXPECT_EQ(from_settings->ctx, 128u);
  EXPECT_EQ(from_settings->device, DeviceType::Metal);
  EXPECT_EQ(from_settings->cpu_isa, "avx2");
  EXPECT_EQ(from_settings->weights, WeightForm::kPacked);
  EXPECT_EQ(from_settings->packed_mib, 300u);
  EXPECT_EQ(from_settings->kv_cache.store_precision, Precision::Q4);
  EXPECT_EQ(from_settings->kv_cache.tail_length, 512u);
  EXPECT_EQ(from_settings->speculate, Speculation::kLookup);
  EXPECT_EQ(from_settings->draft, "small.gguf");
  EXPECT_EQ(from_settings->cache_dir, "kept");
  EXPECT_EQ(from_settings->cache_mib, 9u);

  const auto from_flags = merge_settings(
      parse({"-m", "f.gguf", "-t", "0", "--ctx", "9", "--device", "cpu", "--cpu-isa", "generic"})
          .value(),
      settings);
  EXPECT_EQ(from_flags->model, "f.gguf");
  EXPECT_EQ(from_flags->threads, 0u);
  EXPECT_EQ(from_flags->ctx, 9u);
  EXPECT_EQ(from_flags->device, DeviceType::Cpu);
  EXPECT_EQ(from_flags->cpu_isa, "generic");

  EXPECT_EQ(defaults->max_step_ms, 0u);
  settings.max_step_ms = 40;
  EXPECT_EQ(merge_settings({}, settings)->max_step_ms, 40u);
  EXPECT_EQ(merge_settings(parse({"--max-step-ms", "25"}).value(), settings)->max_step_ms, 25u);

  settings.decode_batch = 6;
  settings.lora_batch = 9;
  settings.batch_for_memory = "7.5";
  const auto batched =
      merge_settings(parse({"--lora-batch", "3", "--prefill-batch", "2"}).value(), settings);
  EXPECT_EQ(batched->batch, (BatchConfig{2, 6, 3}));
  EXPECT_EQ(batched->batch_memory_gb, 7.5);
  EXPECT_EQ(
      merge_settings(parse({"--batch-for-memory", "auto"}).value(), settings)->batch_memory_gb,
      0.0);
  EXPECT_FALSE(merge_settings(parse({"--batch-for-memory", "much"}).value(), settings));
  settings.batch_for_memory.reset();

  settings.speculate = "perhaps";
  EXPECT_FALSE(merge_settings({}, settings));
  settings.speculate = "off";

  settings.weights = "folded";
  EXPECT_FALSE(merge_settings({}, settings));
  EXPECT_EQ(merge_settings(parse({"--weights", "mapped"}).value(), settings)->weights,
            WeightForm::kMapped);
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
