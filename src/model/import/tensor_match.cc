#include "model/import/tensor_match.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <optional>
#include <tuple>
#include <utility>

#include <fmt/format.h>

#include "formats/gguf/types.h"

namespace ruvllm::model {
namespace {

using formats::SafeTensor;
using formats::SafetensorsSet;
using formats::SafeType;

constexpr uint64_t kMxfp4Block = 32;
constexpr std::string_view kRemedy = "the file is damaged or of another model family";

// A name with its numbers taken out: "model.layers.3.x" -> "model.layers.{}.x", 3.
struct Pattern {
  std::string text;
  std::array<uint32_t, 2> numbers{};
  size_t num_numbers = 0;
};

std::optional<Pattern> pattern_of(std::string_view name) {
  Pattern pattern;
  while (true) {
    const size_t dot = name.find('.');
    const std::string_view part = name.substr(0, dot);
    uint32_t number = 0;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), number);
    if (!part.empty() && error == std::errc() && end == part.data() + part.size()) {
      if (pattern.num_numbers == pattern.numbers.size()) return std::nullopt;
      pattern.numbers[pattern.num_numbers++] = number;
      pattern.text += "{}";
    } else {
      pattern.text += part;
    }
    if (dot == std::string_view::npos) return pattern;
    pattern.text += '.';
    name.remove_prefix(dot + 1);
  }
}

void replace_suffix(std::string& name, std::string_view from, std::string_view to) {
  if (name.ends_with(from)) name.replace(name.size() - from.size(), from.size(), to);
}

// The name as the rules have it: wrappers around the language model taken off.
std::string canonical_name(const Family& family, std::string_view name) {
  std::string out(name);
  constexpr std::string_view kWrapper = "language_model.";
  if (const size_t at = out.find(kWrapper); at != std::string::npos) {
    out.erase(at, kWrapper.size());
  }
  if (family.has_decoder_names) {
    if (!out.starts_with("model.") && !out.starts_with("lm_head.")) out.insert(0, "model.");
    return out;
  }
  if (out.starts_with("bert.")) out.erase(0, 5);
  replace_suffix(out, ".gamma", ".weight");
  replace_suffix(out, ".beta", ".bias");
  return out;
}

// Parts of multimodal models that see or hear.
bool is_of_other_senses(std::string_view name) {
  constexpr std::string_view kParts[] = {"vision_tower.", "vision_model.", "multi_modal_projector.",
                                         "visual.", "audio_tower."};
  return std::ranges::any_of(
      kParts, [name](std::string_view part) { return name.find(part) != std::string_view::npos; });
}

std::string fill(std::string_view pattern, uint32_t layer) {
  std::string out(pattern);
  if (const size_t at = out.find("{}"); at != std::string::npos) {
    out.replace(at, 2, fmt::format("{}", layer));
  }
  return out;
}

std::string up_name(std::string name) {
  const size_t at = name.find("gate");
  return name.replace(at, 4, "up");
}

class Matcher {
 public:
  Matcher(const Family& family, const HfConfig& config, const SafetensorsSet& weights)
      : family_(family), config_(config), weights_(weights) {}

  Result<std::vector<TensorPlan>> match();

 private:
  // Where a plan stands in the file.
  using Order = std::tuple<int, uint32_t, size_t, int>;
  struct Slot {
    Order order;
    TensorPlan plan;
    std::map<uint32_t, const SafeTensor*> experts;  // kExpert
  };
  struct NumberedRule {
    TensorRule rule;
    size_t idx;
  };

  Status read_counts();
  void collect_rules();
  Status add(const SafeTensor& tensor);
  Status place(const SafeTensor& tensor, const NumberedRule& numbered, const Pattern& pattern);
  Result<TensorPlan*> new_plan(const SafeTensor& tensor, std::string name, Order order);
  Status split_gate_up(const SafeTensor& tensor, const NumberedRule& numbered, std::string name,
                       uint32_t layer);
  Status place_mxfp4(const SafeTensor& tensor, TensorPlan& plan, uint64_t step, uint64_t first);
  Status place_transposed(const SafeTensor& tensor, TensorPlan& plan) const;
  Status set_heads(const SafeTensor& tensor, TensorPlan& plan, bool keys) const;
  Status stack_experts();
  Status check_complete() const;

  template <typename... Args>
  std::unexpected<Error> refuse(const SafeTensor& tensor, fmt::format_string<Args...> reason,
                                Args&&... args) const {
    return fail(ErrorCode::kCorrupt, "{}: tensor {} {}; {}", weights_.path_of(tensor),
                formats::quoted(tensor.name), fmt::format(reason, std::forward<Args>(args)...),
                kRemedy);
  }

  const Family& family_;
  const HfConfig& config_;
  const SafetensorsSet& weights_;
  uint32_t num_layers_ = 0;
  std::map<std::string, NumberedRule, std::less<>> rules_;
  std::map<std::string, Slot> slots_;  // by GGUF name
};

Status Matcher::read_counts() {
  const std::string_view key = config_.has("n_layer") ? "n_layer" : "num_hidden_layers";
  RUVLLM_ASSIGN(num_layers_, config_.integer(key));
  constexpr uint32_t kMaxLayers = 1024;
  if (num_layers_ > 0 && num_layers_ <= kMaxLayers) return {};
  return config_.refuse(key, fmt::format("is {}, not 1 to {}", num_layers_, kMaxLayers));
}

void Matcher::collect_rules() {
  size_t idx = 0;
  const std::span<const TensorRule> common =
      family_.has_decoder_names ? decoder_rules() : std::span<const TensorRule>();
  for (const std::span<const TensorRule> rules : {common, family_.own_rules}) {
    for (const TensorRule& rule : rules) {
      const auto [at, fresh] = rules_.try_emplace(std::string(rule.hf), NumberedRule{rule, idx});
      if (!fresh) at->second.rule = rule;
      ++idx;
    }
  }
}

Status Matcher::set_heads(const SafeTensor& tensor, TensorPlan& plan, bool keys) const {
  RUVLLM_ASSIGN(uint32_t heads, config_.integer("num_attention_heads"));
  if (keys) {
    RUVLLM_ASSIGN(heads, config_.integer_or("num_key_value_heads", heads));
  }
  const uint64_t rows = tensor.shape.front();
  if (heads == 0 || rows % heads != 0 || rows / heads % 2 != 0) {
    return refuse(tensor, "of shape {} has no whole, even number of rows for each of {} heads",
                  formats::shape_text(tensor.shape), heads);
  }
  plan.walk.head_dim = rows / heads;
  return {};
}

// A plan for the tensor as it is: one part, rows in order.
Result<TensorPlan*> Matcher::new_plan(const SafeTensor& tensor, std::string name, Order order) {
  if (tensor.data.empty() || tensor.shape.size() > 4) {
    return refuse(tensor, "has the shape {}", formats::shape_text(tensor.shape));
  }
  if (tensor.type > SafeType::kBF16 && tensor.type != SafeType::kU8) {
    return fail(ErrorCode::kUnsupported,
                "{}: tensor {} is of type {}; supported are: F64, F32, F16, BF16; use the model's "
                "unquantized weights",
                weights_.path_of(tensor), formats::quoted(tensor.name),
                formats::safe_type_name(tensor.type));
  }
  const auto [at, fresh] = slots_.try_emplace(name);
  if (!fresh) {
    return refuse(tensor, "and tensor {} both are GGUF's {}",
                  formats::quoted(at->second.plan.source), name);
  }
  at->second.order = order;
  TensorPlan& plan = at->second.plan;
  plan.name = std::move(name);
  plan.source = tensor.name;
  plan.source_type = tensor.type;
  plan.dims.assign(tensor.shape.rbegin(), tensor.shape.rend());
  if (plan.dims.empty()) plan.dims = {1};
  plan.row_width = plan.dims.front();
  plan.parts = {tensor.data.data()};
  plan.rows_per_part = plan.num_rows();
  return &plan;
}

// [experts, blocks of nibbles] of "<name>_blocks" with the scales of "<name>_scales".
Status Matcher::place_mxfp4(const SafeTensor& tensor, TensorPlan& plan, uint64_t step,
                            uint64_t first) {
  std::string scales_name = tensor.name;
  replace_suffix(scales_name, "_blocks", "_scales");
  const SafeTensor* scales = weights_.find(scales_name);
  const auto& shape = tensor.shape;
  if (scales == nullptr) return refuse(tensor, "has no {} beside it", formats::quoted(scales_name));
  if (tensor.type != SafeType::kU8 || scales->type != SafeType::kU8 || shape.size() != 4 ||
      shape[3] != kMxfp4Block / 2 || shape[1] % step != 0 ||
      !std::ranges::equal(scales->shape, std::span(shape).first(3))) {
    return refuse(tensor, "of shape {} and {} of shape {} are not MXFP4 blocks and scales",
                  formats::shape_text(shape), formats::quoted(scales_name),
                  formats::shape_text(scales->shape));
  }
  plan.change = ValueChange::kMxfp4;
  plan.dims = {shape[2] * kMxfp4Block, shape[1] / step, shape[0]};
  plan.row_width = plan.dims.front();
  plan.rows_per_part = shape[1] / step;
  plan.walk = {.first = first, .step = step, .head_dim = 0};
  plan.parts.clear();
  for (uint64_t expert = 0; expert < shape[0]; ++expert) {
    const uint64_t blocks = expert * shape[1] * shape[2];
    plan.parts.push_back(tensor.data.data() + blocks * (kMxfp4Block / 2));
    plan.scales.push_back(scales->data.data() + blocks);
  }
  return {};
}

// One tensor that holds gate and up.
Status Matcher::split_gate_up(const SafeTensor& tensor, const NumberedRule& numbered,
                              std::string name, uint32_t layer) {
  const TensorChange change = numbered.rule.change;
  const size_t num_dims = change == TensorChange::kMxfp4GateUp  ? 4
                          : change == TensorChange::kGateUpBias ? 2
                                                                : 3;
  // The dimension that holds both.
  const size_t both = change == TensorChange::kGateUpAlternate ? 2 : 1;
  if (tensor.shape.size() != num_dims || tensor.shape[both] % 2 != 0) {
    return refuse(tensor, "has the shape {}", formats::shape_text(tensor.shape));
  }
  const uint64_t experts = tensor.shape[0], half = tensor.shape[both] / 2;
  for (const int is_up : {0, 1}) {
    const Order order{1, layer, numbered.idx, is_up};
    RUVLLM_ASSIGN(TensorPlan * plan, new_plan(tensor, is_up == 1 ? up_name(name) : name, order));
    const uint64_t first = static_cast<uint64_t>(is_up);
    if (change == TensorChange::kMxfp4GateUp) {
      RUVLLM_TRY(place_mxfp4(tensor, *plan, 2, first));
      continue;
    }
    const size_t expert_bytes = tensor.data.size() / experts;
    plan->parts.clear();
    for (uint64_t expert = 0; expert < experts; ++expert) {
      plan->parts.push_back(tensor.data.data() + expert * expert_bytes);
    }
    plan->rows_per_part = half;
    if (change == TensorChange::kGateUpHalves) {
      plan->dims = {tensor.shape[2], half, experts};
      plan->row_width = tensor.shape[2];
      plan->walk.first = first * half;
    } else if (change == TensorChange::kGateUpAlternate) {
      plan->dims = {tensor.shape[1], half, experts};
      plan->row_width = tensor.shape[1];
      plan->part_rows = 2 * half;
      plan->walk = {.first = first, .step = 2, .head_dim = 0};
      plan->change = ValueChange::kTranspose;
    } else {
      plan->dims = {half, experts};
      plan->row_width = 1;
      plan->walk = {.first = first, .step = 2, .head_dim = 0};
    }
  }
  return {};
}

// [experts, in, out]: columns become rows.
Status Matcher::place_transposed(const SafeTensor& tensor, TensorPlan& plan) const {
  if (tensor.shape.size() != 3) {
    return refuse(tensor, "has the shape {}", formats::shape_text(tensor.shape));
  }
  const uint64_t experts = tensor.shape[0];
  plan.dims = {tensor.shape[1], tensor.shape[2], experts};
  plan.row_width = tensor.shape[1];
  plan.parts.clear();
  for (uint64_t expert = 0; expert < experts; ++expert) {
    plan.parts.push_back(tensor.data.data() + expert * (tensor.data.size() / experts));
  }
  plan.rows_per_part = plan.part_rows = tensor.shape[2];
  plan.change = ValueChange::kTranspose;
  return {};
}

Status Matcher::place(const SafeTensor& tensor, const NumberedRule& numbered,
                      const Pattern& pattern) {
  const TensorRule& rule = numbered.rule;
  const uint32_t layer = pattern.numbers[0];
  if (pattern.num_numbers > 0 && layer >= num_layers_) {
    return refuse(tensor, "is of layer {}, but the config has {} layers", layer, num_layers_);
  }
  std::string name = fill(rule.gguf, layer);
  const int group = pattern.num_numbers > 0 ? 1 : name.starts_with("output") ? 2 : 0;
  const Order order{group, pattern.num_numbers > 0 ? layer : 0, numbered.idx, 0};
  switch (rule.change) {
    case TensorChange::kExpert: {
      Slot& slot = slots_[name];
      slot.order = order;
      slot.plan.name = std::move(name);
      if (!slot.experts.emplace(pattern.numbers[1], &tensor).second) {
        return refuse(tensor, "is there twice");
      }
      return {};
    }
    case TensorChange::kGateUpHalves:
    case TensorChange::kGateUpAlternate:
    case TensorChange::kGateUpBias:
    case TensorChange::kMxfp4GateUp:
      return split_gate_up(tensor, numbered, std::move(name), layer);
    default:
      break;
  }
  RUVLLM_ASSIGN(TensorPlan * plan, new_plan(tensor, std::move(name), order));
  switch (rule.change) {
    case TensorChange::kMxfp4Blocks:
      return place_mxfp4(tensor, *plan, 1, 0);
    case TensorChange::kQueryHeads:
    case TensorChange::kKeyHeads:
      if (tensor.shape.empty()) return refuse(tensor, "is a single number");
      RUVLLM_TRY(set_heads(tensor, *plan, rule.change == TensorChange::kKeyHeads));
      if (tensor.shape.size() == 1) plan->row_width = 1;
      plan->rows_per_part = tensor.shape.front();
      return {};
    case TensorChange::kExpertsTranspose:
      return place_transposed(tensor, *plan);
    case TensorChange::kAddOne:
      plan->change = ValueChange::kAddOne;
      return {};
    default:
      return {};
  }
}

Status Matcher::add(const SafeTensor& tensor) {
  if (is_of_other_senses(tensor.name)) return {};
  const std::optional<Pattern> pattern = pattern_of(canonical_name(family_, tensor.name));
  const auto rule = pattern ? rules_.find(pattern->text) : rules_.end();
  if (rule == rules_.end()) {
    return fail(ErrorCode::kUnsupported, "{}: tensor {} is not one that {} models have; {}",
                weights_.path_of(tensor), formats::quoted(tensor.name), family_.architecture,
                kRemedy);
  }
  if (rule->second.rule.gguf.empty()) return {};
  RUVLLM_TRY(place(tensor, rule->second, *pattern));
  return {};
}

Status Matcher::stack_experts() {
  for (auto& [name, slot] : slots_) {
    if (slot.experts.empty()) continue;
    const SafeTensor& first = *slot.experts.begin()->second;
    const bool routed = config_.has("num_local_experts");
    RUVLLM_ASSIGN(const uint32_t num_experts,
                  config_.integer(routed ? "num_local_experts" : "num_experts"));
    if (slot.experts.size() != num_experts || slot.experts.rbegin()->first != num_experts - 1) {
      return refuse(first, "is one of {} experts up to number {}, but the config has {}",
                    slot.experts.size(), slot.experts.rbegin()->first, num_experts);
    }
    slot.plan.source = first.name;
    if (first.shape.size() != 2 || first.data.empty() || first.type > SafeType::kBF16) {
      return refuse(first, "of type {} has the shape {}", formats::safe_type_name(first.type),
                    formats::shape_text(first.shape));
    }
    slot.plan.source_type = first.type;
    slot.plan.dims = {first.shape[1], first.shape[0], num_experts};
    slot.plan.row_width = first.shape[1];
    slot.plan.rows_per_part = first.shape[0];
    for (const auto& [expert, tensor] : slot.experts) {
      if (tensor->shape != first.shape || tensor->type != first.type) {
        return refuse(*tensor, "of shape {} and type {} differs from expert 0's",
                      formats::shape_text(tensor->shape), formats::safe_type_name(tensor->type));
      }
      slot.plan.parts.push_back(tensor->data.data());
    }
  }
  return {};
}

Status Matcher::check_complete() const {
  const auto missing = [this](std::string_view hf, uint32_t layer) {
    return fail(ErrorCode::kCorrupt,
                "{}: tensor {} is missing; the download is incomplete or the config of another "
                "model",
                config_.file(), formats::quoted(fill(hf, layer)));
  };
  for (const auto& [hf, numbered] : rules_) {
    const TensorRule& rule = numbered.rule;
    if (rule.need == Need::kOptional || rule.gguf.empty()) continue;
    const bool per_layer = rule.gguf.find("{}") != std::string_view::npos;
    for (uint32_t layer = 0; layer < (per_layer ? num_layers_ : 1); ++layer) {
      if (!slots_.contains(fill(rule.gguf, layer))) return missing(hf, layer);
    }
  }
  RUVLLM_ASSIGN(const bool tied, config_.boolean_or("tie_word_embeddings", true));
  const bool has_output =
      rules_.contains("lm_head.weight") && !rules_.find("lm_head.weight")->second.rule.gguf.empty();
  if (!tied && has_output && !slots_.contains("output.weight")) return missing("lm_head.weight", 0);
  return {};
}

Result<std::vector<TensorPlan>> Matcher::match() {
  RUVLLM_TRY(read_counts());
  collect_rules();
  for (const SafeTensor& tensor : weights_.tensors()) RUVLLM_TRY(add(tensor));
  RUVLLM_TRY(stack_experts());
  RUVLLM_TRY(check_complete());
  std::vector<Slot*> order;
  for (auto& [name, slot] : slots_) order.push_back(&slot);
  std::ranges::sort(order, {}, &Slot::order);
  std::vector<TensorPlan> plans;
  plans.reserve(order.size());
  for (Slot* slot : order) plans.push_back(std::move(slot->plan));
  return plans;
}

}  // namespace

Result<std::vector<TensorPlan>> match_tensors(const Family& family, const HfConfig& config,
                                              const formats::SafetensorsSet& weights) {
  return Matcher(family, config, weights).match();
}

}  // namespace ruvllm::model
