// Model files with one thing wrong each, through the public interface: an error that names the file
// and the key or tensor, never a crash (reliability R2, R3, R7).
#include <cctype>
#include <cstdio>
#include <cstring>
#include <functional>
#include <limits>
#include <optional>
#include <ostream>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "formats/gguf/gguf.h"
#include "formats/gguf/gguf_writer.h"
#include <ruvllm/engine.h>
#include <ruvllm/inspect.h>

namespace ruvllm {
namespace {

using formats::GgufFile;
using formats::GgufTensor;
using formats::GgufWriter;
using Dims = std::vector<uint64_t>;

// What differs from the golden model: a key left out and perhaps written anew, a tensor left out or
// of another shape (zeros then) or with another first value.
struct Change {
  std::string key = {};
  std::function<void(GgufWriter&, const std::string& key)> write = {};
  std::string tensor = {};
  bool drop_tensor = false;
  Dims dims = {};
  std::optional<float> first_value = {};
  std::string model = "qwen2-tiny";
};

struct BadModel {
  std::string name;
  Change change;
  std::string expected;  // in the message, beside the file
  bool may_load = false;
  bool or_tensor = false;  // a number may be found wrong by the tensors that contradict it
};

void PrintTo(const BadModel& model, std::ostream* out) { *out << model.name; }

GgufFile open_golden(const std::string& name) {
  return GgufFile::open(fmt::format("{}/tests/golden/{}.gguf", RUVLLM_SOURCE_DIR, name)).value();
}

const GgufFile& golden() {
  static const GgufFile file = open_golden("qwen2-tiny");
  return file;
}

std::vector<std::byte> tensor_data(const GgufTensor& tensor, const Change& change) {
  std::vector<std::byte> data(tensor.data.begin(), tensor.data.end());
  if (tensor.name != change.tensor) return data;
  if (!change.dims.empty()) {
    uint64_t count = 1;
    for (const uint64_t dim : change.dims) count *= dim;
    data.assign(count * sizeof(float), std::byte{0});
  }
  if (change.first_value) std::memcpy(data.data(), &*change.first_value, sizeof(float));
  return data;
}

void write_model(const std::string& path, const Change& change) {
  const GgufFile source = open_golden(change.model);
  GgufWriter writer(path);
  for (const formats::GgufEntry& entry : source.entries()) {
    if (entry.key == change.key) continue;
    ASSERT_TRUE(writer.copy_entry(source, entry.key).has_value());
  }
  if (change.write) change.write(writer, change.key);
  std::vector<const GgufTensor*> kept;
  for (const GgufTensor& tensor : source.tensors()) {
    const bool changed = tensor.name == change.tensor;
    if (changed && change.drop_tensor) continue;
    ASSERT_EQ(tensor.dtype, DType::kF32);
    const Dims dims = changed && !change.dims.empty()
                          ? change.dims
                          : Dims(tensor.dims, tensor.dims + tensor.num_dims);
    writer.declare_tensor(tensor.name, tensor.dtype, dims);
    kept.push_back(&tensor);
  }
  ASSERT_TRUE(writer.begin_tensors().has_value());
  for (const GgufTensor* tensor : kept) {
    ASSERT_TRUE(writer.write_tensor_data(tensor_data(*tensor, change)).has_value());
  }
  ASSERT_TRUE(writer.finish().has_value());
}

class BadModelTest : public testing::TestWithParam<BadModel> {
 protected:
  BadModelTest() : path_(fmt::format("{}bad_model_{}.gguf", testing::TempDir(), ::getpid())) {}
  ~BadModelTest() override { std::remove(path_.c_str()); }

  const std::string path_;
};

EngineOptions options_for(const std::string& path, uint32_t context_length) {
  EngineOptions options;
  options.model_path = path;
  options.num_threads = 1;
  options.context_length = context_length;
  return options;
}

Status answer_once(Engine& engine) {
  GenerationRequest request;
  request.prompt = {1, 2, 3};
  request.max_tokens = 2;
  RUVLLM_ASSIGN(Generation generation, engine.submit(std::move(request)));
  for (;;) {
    RUVLLM_ASSIGN(const auto event, generation.next());
    if (!event) return {};
  }
}

TEST_P(BadModelTest, IsRefusedByName) {
  const BadModel& bad = GetParam();
  ASSERT_NO_FATAL_FAILURE(write_model(path_, bad.change));
  // Shows what it can: never a crash.
  if (const auto summary = inspect_model(path_); !summary) {
    EXPECT_NE(summary.error().message().find(path_), std::string::npos);
  }
  const auto engine = Engine::create(options_for(path_, 0));
  if (bad.may_load && engine) {
    // Runs, or says why not.
    if (const Status answer = answer_once(**engine); !answer) {
      EXPECT_FALSE(answer.error().message().empty());
    }
    return;
  }
  ASSERT_FALSE(engine.has_value());
  const std::string& message = engine.error().message();
  EXPECT_NE(message.find(path_), std::string::npos) << message;
  const bool names_tensor = bad.or_tensor && message.find("tensor 'blk.") != std::string::npos;
  EXPECT_TRUE(names_tensor || message.find(bad.expected) != std::string::npos) << message;
}

using Write = void (*)(GgufWriter&, const std::string&);
struct NamedValue {
  const char* name;
  Write write;
};

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

constexpr NamedValue kValues[] = {
    {"Zero", [](GgufWriter& w, const std::string& k) { w.add_uint32(k, 0); }},
    {"One", [](GgufWriter& w, const std::string& k) { w.add_uint32(k, 1); }},
    {"MinusOne", [](GgufWriter& w, const std::string& k) { w.add_int32(k, -1); }},
    {"Odd", [](GgufWriter& w, const std::string& k) { w.add_uint32(k, 7); }},
    {"Max32", [](GgufWriter& w, const std::string& k) { w.add_uint32(k, UINT32_MAX); }},
    {"Max64", [](GgufWriter& w, const std::string& k) { w.add_uint64(k, UINT64_MAX); }},
    {"Float", [](GgufWriter& w, const std::string& k) { w.add_float32(k, 2.5f); }},
    {"FloatZero", [](GgufWriter& w, const std::string& k) { w.add_float32(k, 0.0f); }},
    {"Negative", [](GgufWriter& w, const std::string& k) { w.add_float32(k, -1.0f); }},
    {"Tiny", [](GgufWriter& w, const std::string& k) { w.add_float32(k, 1e-45f); }},
    {"Huge", [](GgufWriter& w, const std::string& k) { w.add_float32(k, 3e38f); }},
    {"Nan", [](GgufWriter& w, const std::string& k) { w.add_float32(k, kNan); }},
    {"Bool", [](GgufWriter& w, const std::string& k) { w.add_bool(k, true); }},
    {"String", [](GgufWriter& w, const std::string& k) { w.add_string(k, "4"); }},
    {"Array",
     [](GgufWriter& w, const std::string& k) { w.add_int32_array(k, std::vector<int32_t>{4}); }},
    {"Strings", [](GgufWriter& w,
                   const std::string& k) { w.add_string_array(k, std::vector<std::string>{"a"}); }},
};

std::string test_name(std::string_view key, std::string_view what) {
  std::string name;
  for (const char c : key) name += std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
  return fmt::format("{}_{}", name, what);
}

// Every key that the model's numbers come from: missing, and with every kind of value.
std::vector<BadModel> key_cases() {
  struct Key {
    const char* name;
    const char* field;  // what the message calls it
    bool required;
    std::set<std::string_view> good;  // values with which the model may run
  };
  const Key keys[] = {
      {"general.architecture", "architecture", true, {}},
      {"qwen2.block_count", "block_count", true, {"One"}},
      {"qwen2.embedding_length", "embedding_length", true, {}},
      {"qwen2.feed_forward_length", "feed_forward_length", true, {}},
      {"qwen2.context_length", "context_length", true, {"One", "Odd"}},
      {"qwen2.attention.head_count", "attention.head_count", true, {}},
      {"qwen2.attention.head_count_kv", "attention.head_count_kv", false, {}},
      {"qwen2.attention.key_length", "attention.key_length", false, {}},
      {"qwen2.attention.value_length", "attention.value_length", false, {}},
      {"qwen2.rope.dimension_count", "rope.dimension_count", false, {}},
      {"qwen2.rope.freq_base", "rope.freq_base", false, {"Float", "Tiny"}},
      {"qwen2.rope.scaling.type", "rope.scaling.type", false, {}},
      {"qwen2.rope.scaling.factor", "rope.scaling.factor", false, {"Float", "FloatZero", "Tiny"}},
      {"qwen2.rope.scaling.attn_factor", "rope.scaling.attn_factor", false, {"Float", "Tiny"}},
      {"qwen2.rope.scaling.original_context_length",
       "original_context_length",
       false,
       {"One", "Odd"}},
      {"qwen2.attention.scale", "attention.scale", false, {"Float", "FloatZero", "Tiny"}},
      {"qwen2.attn_logit_softcapping",
       "attn_logit_softcapping",
       false,
       {"Float", "FloatZero", "Tiny"}},
      {"qwen2.final_logit_softcapping",
       "final_logit_softcapping",
       false,
       {"Float", "FloatZero", "Tiny"}},
      {"qwen2.residual_scale", "residual_scale", false, {"Float", "FloatZero", "Tiny"}},
      {"qwen2.logit_scale", "logit_scale", false, {"Float", "FloatZero", "Tiny"}},
      {"qwen2.attention.layer_norm_rms_epsilon",
       "attention.layer_norm_rms_epsilon",
       true,
       {"Float", "Tiny"}},
      {"tokenizer.ggml.model", "tokenizer.ggml.model", true, {}},
      {"tokenizer.ggml.tokens", "tokenizer.ggml.token", true, {}},
      {"tokenizer.ggml.token_type", "tokenizer.ggml.token_type", false, {}},
      {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eos_token_id", false, {"Zero", "One", "Odd"}},
      {"tokenizer.ggml.bos_token_id", "tokenizer.ggml.bos_token_id", false, {"Zero", "One", "Odd"}},
      {"tokenizer.ggml.add_bos_token", "tokenizer.ggml.add_bos_token", false, {"Bool"}},
  };
  std::vector<BadModel> cases;
  for (const Key& key : keys) {
    if (key.required)
      cases.push_back({test_name(key.name, "Missing"), {.key = key.name}, key.name});
    for (const NamedValue& value : kValues) {
      cases.push_back({test_name(key.name, value.name),
                       {.key = key.name, .write = value.write},
                       key.field,
                       key.good.contains(value.name),
                       true});
    }
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Keys, BadModelTest, testing::ValuesIn(key_cases()),
                         [](const auto& bad) { return bad.param.name; });

template <uint32_t kValue>
void write_integer(GgufWriter& writer, const std::string& key) {
  writer.add_uint32(key, kValue);
}

// What is wrong though its type is right.
std::vector<BadModel> value_cases() {
  const auto text = [](const char* value) {
    return [value](GgufWriter& w, const std::string& k) { w.add_string(k, value); };
  };
  const auto strings = [](std::vector<std::string> values) {
    return [values = std::move(values)](GgufWriter& w, const std::string& k) {
      w.add_string_array(k, values);
    };
  };
  const std::string heads = "qwen2.attention.head_count", merges = "tokenizer.ggml.merges";
  const std::string kv_heads = heads + "_kv", model = "tokenizer.ggml.model";
  return {
      {"UnknownArchitecture", {"general.architecture", text("mamba")}, "'mamba' is not supported"},
      {"ArchitectureOfControlBytes", {"general.architecture", text("\x1b[2J")}, "not supported"},
      {"HeadsDoNotDivide", {heads, write_integer<3>}, "multiple of 2 KV heads"},
      {"MoreKvHeadsThanHeads", {kv_heads, write_integer<8>}, "8 KV heads"},
      {"OddHeadDim", {"qwen2.attention.key_length", write_integer<15>}, "expected a multiple of 8"},
      {"OddRopeDim", {"qwen2.rope.dimension_count", write_integer<7>}, "rope.dimension_count"},
      {"WideRopeDim", {"qwen2.rope.dimension_count", write_integer<32>}, "rope.dimension_count"},
      {"UnknownRopeScaling",
       {"qwen2.rope.scaling.type", text("dynamic")},
       "rope.scaling.type 'dynamic'"},
      {"ManyLayers", {"qwen2.block_count", write_integer<4>}, "blk.3.attn_norm.weight"},
      {"WideEmbedding", {"qwen2.embedding_length", write_integer<1u << 20>}, "head dimension"},
      {"NoTokens", {"tokenizer.ggml.tokens", strings({})}, "tokenizer.ggml.tokens"},
      {"OneToken", {"tokenizer.ggml.tokens", strings({"a"})}, "tokenizer.ggml.token_type"},
      {"BosOutOfRange", {"tokenizer.ggml.bos_token_id", write_integer<283>}, "bos_token_id is 283"},
      {"UnknownTokenizer", {model, text("unigram")}, "tokenizer.ggml.model"},
      {"UnknownPattern", {"tokenizer.ggml.pre", text("klingon")}, "tokenizer.ggml.pre"},
      {"MergeOfOnePart", {merges, strings({"ab"})}, "tokenizer.ggml.merges[0]"},
      {"MergeOfUnknownParts", {merges, strings({"xq zz"})}, "tokenizer.ggml.merges[0]"},
      {"MergesOfWrongType", {merges, write_integer<1>}, "tokenizer.ggml.merges"},
      {"TemplateOfWrongType",
       {"tokenizer.chat_template", write_integer<1>},
       "tokenizer.chat_template"},
  };
}

INSTANTIATE_TEST_SUITE_P(Values, BadModelTest, testing::ValuesIn(value_cases()),
                         [](const auto& bad) { return bad.param.name; });

// Experts: numbers that contradict each other or the tensors, and what is not computed.
std::vector<BadModel> expert_cases() {
  std::vector<BadModel> cases;
  const auto add_key = [&](const char* name, const char* key, Write write, const char* expected) {
    Change change{.key = fmt::format("qwen3moe.{}", key), .write = write};
    change.model = "hf/qwen3-moe";
    cases.push_back({name, std::move(change), expected});
  };
  add_key("NoExperts", "expert_count", write_integer<0>, "expert_count");
  add_key("FewerExperts", "expert_count", write_integer<4>, "'blk.0.ffn_gate_inp.weight'");
  add_key("TooManyExperts", "expert_count", write_integer<1025>, "expert_count");
  add_key("NoneUsed", "expert_used_count", write_integer<0>, "expert_used_count");
  add_key("MoreUsedThanThereAre", "expert_used_count", write_integer<9>, "expert_used_count");
  add_key("UsedOfWrongType", "expert_used_count", kValues[6].write, "expert_used_count");
  add_key("NarrowExperts", "expert_feed_forward_length", write_integer<16>,
          "'blk.0.ffn_gate_exps.weight' is [8, 32, 32]; expected [8, 16, 32]");
  add_key("UnknownGating", "expert_gating_func", write_integer<9>, "expert_gating_func 9");
  add_key("SharedExperts", "expert_shared_count", write_integer<1>, "expert_shared_count is 1");
  add_key("DenseLayers", "leading_dense_block_count", write_integer<1>,
          "leading_dense_block_count");
  add_key("GroupsOfExperts", "expert_group_count", write_integer<2>, "expert_group_count is 2");
  add_key("NegativeScale", "expert_weights_scale", kValues[8].write, "expert_weights_scale");
  const auto add_tensor = [&](const char* name, const char* tensor, Dims dims) {
    Change change{.tensor = tensor, .drop_tensor = dims.empty(), .dims = std::move(dims)};
    change.model = "hf/qwen3-moe";
    cases.push_back({name, std::move(change), fmt::format("'{}'", tensor)});
  };
  add_tensor("NoRouter", "blk.0.ffn_gate_inp.weight", {});
  add_tensor("NoDown", "blk.1.ffn_down_exps.weight", {});
  add_tensor("FlatGate", "blk.0.ffn_gate_exps.weight", {32, 256});
  add_tensor("OneExpertLess", "blk.0.ffn_up_exps.weight", {32, 32, 7});
  add_tensor("FourDimensions", "blk.0.ffn_up_exps.weight", {32, 32, 4, 2});
  cases.push_back({"ExpertsWhereNoneBelong",
                   {.key = "qwen2.expert_count", .write = write_integer<4>},
                   "experts are not supported"});
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Experts, BadModelTest, testing::ValuesIn(expert_cases()),
                         [](const auto& bad) { return bad.param.name; });

// Every tensor: missing, narrower, shorter, of three dimensions; vectors not finite.
std::vector<BadModel> tensor_cases() {
  std::vector<BadModel> cases;
  for (const GgufTensor& tensor : golden().tensors()) {
    const std::string name(tensor.name);
    const auto add = [&](const char* what, Change change) {
      change.tensor = name;
      cases.push_back({test_name(name, what), std::move(change), fmt::format("'{}'", name)});
    };
    const uint64_t cols = tensor.dims[0], rows = tensor.dims[1];
    add("Missing", {.drop_tensor = true});
    if (tensor.num_dims == 1) {
      add("Short", {.dims = {cols - 1}});
      add("Scalar", {.dims = {1}});
      add("Matrix", {.dims = {cols, 2}});
      for (const float value : {kNan, std::numeric_limits<float>::infinity()}) {
        add(value > 0.0f ? "Infinite" : "NotANumber", {.first_value = value});
      }
      continue;
    }
    add("Narrow", {.dims = {cols - 1, rows}});
    add("Cube", {.dims = {cols, rows / 2, 2}});
    add("Vector", {.dims = {cols * rows}});
    if (name == "token_embd.weight") {
      cases.push_back({"VocabularyLargerThanTheEmbedding",
                       {.tensor = name, .dims = {cols, rows - 1}},
                       "283 tokens"});
    } else {
      add("Turned", {.dims = {rows + 8, cols}});
      add("Tall", {.dims = {cols, rows + 1}});
    }
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Tensors, BadModelTest, testing::ValuesIn(tensor_cases()),
                         [](const auto& bad) { return bad.param.name; });

// Only what renders it needs the template.
TEST(BadTemplate, IsAnErrorWhenUsed) {
  const std::string path = fmt::format("{}bad_template_{}.gguf", testing::TempDir(), ::getpid());
  for (const char* source :
       {"{% for %}", "{{ 1 / 0 }}", "{% for i in range(99999999) %}x{% endfor %}",
        "{{ raise_exception('no') }}", "{%"}) {
    ASSERT_NO_FATAL_FAILURE(write_model(
        path, {.key = "tokenizer.chat_template",
               .write = [&](GgufWriter& w, const std::string& k) { w.add_string(k, source); }}));
    const auto engine = Engine::create(options_for(path, 0));
    ASSERT_TRUE(engine.has_value()) << engine.error().message();
    const std::vector<ChatMessage> messages = {{"user", "hello"}};
    const auto ids = (*engine)->encode_chat(messages, true);
    ASSERT_FALSE(ids.has_value()) << source;
    EXPECT_NE(ids.error().message().find("chat template"), std::string::npos);
    EXPECT_TRUE(answer_once(**engine).has_value());
  }
  std::remove(path.c_str());
}

// ---- Numbers of the caller.

std::string golden_path() { return golden().path(); }

TEST(EngineLimits, OptionsOutOfRangeAreErrors) {
  using Set = void (*)(EngineOptions&);
  struct Case {
    Set set;
    const char* expected;  // nullptr: works
  };
  const Case cases[] = {
      {[](EngineOptions& o) { o.context_length = 0; }, nullptr},
      {[](EngineOptions& o) { o.context_length = 1; },
       nullptr},  // nothing fits, but nothing breaks
      {[](EngineOptions& o) { o.context_length = UINT32_MAX; }, "4294967295"},
      {[](EngineOptions& o) { o.max_sequences = 0; }, nullptr},  // chosen by what fits
      {[](EngineOptions& o) { o.max_sequences = 1025; }, "max_sequences"},
      {[](EngineOptions& o) { o.max_sequences = UINT32_MAX; }, "max_sequences"},
      {[](EngineOptions& o) { o.max_sequences = 1024, o.max_batch_tokens = 1024; }, nullptr},
      {[](EngineOptions& o) { o.max_batch_tokens = 0; }, "max_batch_tokens"},
      {[](EngineOptions& o) { o.max_batch_tokens = 1; }, nullptr},
      {[](EngineOptions& o) { o.max_batch_tokens = 8193; }, "max_batch_tokens"},
      {[](EngineOptions& o) { o.num_threads = 257; }, "257 threads"},
      {[](EngineOptions& o) { o.num_threads = 100'000; }, "100000 threads"},
      {[](EngineOptions& o) { o.num_threads = UINT32_MAX; }, "threads"},
      {[](EngineOptions& o) { o.cpu_isa = "mmx"; }, "'mmx'"},
      {[](EngineOptions& o) { o.device = DeviceType::Metal; }, "CPU"},
      {[](EngineOptions& o) { o.model_path.clear(); }, "cannot open"},
  };
  for (const Case& c : cases) {
    EngineOptions options = options_for(golden_path(), 0);
    c.set(options);
    const auto engine = Engine::create(options);
    const size_t idx = static_cast<size_t>(&c - cases);
    ASSERT_EQ(engine.has_value(), c.expected == nullptr) << "case " << idx;
    if (engine) {
      (void)answer_once(**engine);
    } else {
      EXPECT_NE(engine.error().message().find(c.expected), std::string::npos)
          << engine.error().message();
    }
  }
}

TEST(EngineLimits, RequestsAtAndBeyondTheirLimits) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  constexpr int32_t kMin = INT32_MIN, kMax = INT32_MAX;
  using Set = std::function<void(GenerationRequest&)>;
  std::vector<std::pair<Set, bool>> cases;
  const auto add = [&](auto SamplingParams::* field, std::initializer_list<double> good,
                       std::initializer_list<double> bad) {
    for (const bool valid : {true, false}) {
      for (const double value : valid ? good : bad) {
        cases.emplace_back(
            [=](GenerationRequest& request) {
              auto& target = request.sampling.*field;
              target = static_cast<std::remove_reference_t<decltype(target)>>(value);
            },
            valid);
      }
    }
  };
  add(&SamplingParams::temperature, {0, 1e-30, 100}, {-1e-6, 100.1, kNan, kInfinity, -kInfinity});
  add(&SamplingParams::top_k, {0, 1, 282, 283, 284, kMax}, {-1, kMin});
  add(&SamplingParams::top_p, {0, 1e-30, 1}, {-0.1, 1.001, kNan, kInfinity});
  add(&SamplingParams::min_p, {0, 1e-30, 1}, {-0.1, 1.001, kNan, kInfinity});
  add(&SamplingParams::repetition_penalty, {0.01, 1, 100}, {0, -1, 100.1, kNan, kInfinity});
  add(&SamplingParams::frequency_penalty, {-100, 100}, {-100.1, 100.1, kNan, -kInfinity});
  add(&SamplingParams::presence_penalty, {-100, 100}, {-100.1, 100.1, kNan, kInfinity});
  add(&SamplingParams::penalty_last_n, {-1, 0, 1, kMax}, {-2, kMin});
  add(&SamplingParams::num_logprobs, {-1, 0, 20}, {-2, 21, kMax, kMin});
  for (const uint64_t seed : {uint64_t{0}, UINT64_MAX}) {
    cases.emplace_back([=](GenerationRequest& request) { request.sampling.seed = seed; }, true);
  }
  for (const uint32_t count : {0u, 1u, 2u, UINT32_MAX}) {
    cases.emplace_back([=](GenerationRequest& request) { request.max_tokens = count; }, true);
  }
  for (const auto& [id, bias, valid] :
       std::vector<std::tuple<int32_t, float, bool>>{{0, 1000.0f, true},
                                                     {282, -1000.0f, true},
                                                     {283, 0.0f, false},
                                                     {-1, 0.0f, false},
                                                     {kMax, 0.0f, false},
                                                     {0, 1000.5f, false},
                                                     {0, kNan, false},
                                                     {0, -kInfinity, false}}) {
    cases.emplace_back(
        [=](GenerationRequest& request) { request.sampling.logit_bias = {{id, bias}, {id, bias}}; },
        valid);
  }
  for (const auto& [prompt, valid] : std::vector<std::pair<std::vector<TokenId>, bool>>{
           {{}, false},
           {{0}, true},
           {{282}, true},
           {{283}, false},
           {{-1}, false},
           {{kMin}, false},
           {std::vector<TokenId>(15, 1), true},
           {std::vector<TokenId>(16, 1), false},
           {std::vector<TokenId>(1'000'000, 1), false}}) {
    cases.emplace_back([=](GenerationRequest& request) { request.prompt = prompt; }, valid);
  }
  for (const auto& [stops, valid] : std::vector<std::pair<std::vector<std::string>, bool>>{
           {{""}, false},
           {{std::string(256, 'x')}, true},
           {{std::string(257, 'x')}, false},
           {std::vector<std::string>(16, "x"), true},
           {std::vector<std::string>(17, "x"), false}}) {
    cases.emplace_back([=](GenerationRequest& request) { request.stop = stops; }, valid);
  }
  const auto engine = Engine::create(options_for(golden_path(), 16));
  ASSERT_TRUE(engine.has_value()) << engine.error().message();
  for (size_t i = 0; i < cases.size(); ++i) {
    GenerationRequest request;
    request.prompt = {1, 2, 3};
    cases[i].first(request);
    auto generation = (*engine)->submit(std::move(request));
    ASSERT_EQ(generation.has_value(), cases[i].second) << "case " << i;
    if (!generation) {
      EXPECT_EQ(generation.error().code(), ErrorCode::kInvalidArgument) << "case " << i;
      continue;
    }
    for (;;) {
      const auto event = generation->next();
      ASSERT_TRUE(event.has_value()) << "case " << i << ": " << event.error().message();
      if (!*event) break;
    }
  }
}

TEST(EngineLimits, ScoresAndBenchmarksThatDoNotFitAreErrors) {
  const auto engine = Engine::create(options_for(golden_path(), 64));
  ASSERT_TRUE(engine.has_value()) << engine.error().message();
  for (const uint32_t window : {0u, 1u, 65u, UINT32_MAX}) {
    EXPECT_FALSE(
        (*engine)->score({1, 2, 3}, {.context_length = window, .logits_path = {}}).has_value())
        << window;
  }
  EXPECT_FALSE((*engine)->score({1}, {.context_length = 64, .logits_path = {}}).has_value());
  EXPECT_FALSE((*engine)->score({}, {.context_length = 64, .logits_path = {}}).has_value());
  auto foreign = (*engine)->score({1, 283}, {.context_length = 64, .logits_path = {}});
  ASSERT_TRUE(foreign.has_value());
  EXPECT_FALSE(foreign->step().has_value());
  const BenchOptions bad[] = {
      {.prompt_tokens = 64},
      {.prompt_tokens = UINT32_MAX},
      {.prompt_tokens = 8, .generated_tokens = UINT32_MAX},
      {.prompt_tokens = 8, .generated_tokens = 8, .batch_sizes = {0}},
      {.prompt_tokens = 8, .generated_tokens = 8, .batch_sizes = {1, 2}},
      {.prompt_tokens = 8, .generated_tokens = 8, .depth = UINT32_MAX},
  };
  for (const BenchOptions& options : bad) {
    const auto report = (*engine)->benchmark(options);
    ASSERT_FALSE(report.has_value());
    EXPECT_EQ(report.error().code(), ErrorCode::kInvalidArgument);
  }
}

}  // namespace
}  // namespace ruvllm
