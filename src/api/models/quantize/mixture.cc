#include "api/models/quantize/mixture.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <limits>
#include <numeric>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace ruvllm::api {
namespace {

using enum FileTypeNumber;

constexpr FileType kTypes[] = {
    {"f32", DType::kF32, kF32},          {"f16", DType::kF16, kF16},
    {"bf16", DType::kBF16, kBF16},       {"q8_0", DType::kQ8_0, kQ8_0},
    {"q4_0", DType::kQ4_0, kQ4_0},       {"q4_1", DType::kQ4_1, kQ4_1},
    {"q5_0", DType::kQ5_0, kQ5_0},       {"q5_1", DType::kQ5_1, kQ5_1},
    {"q2_k", DType::kQ2_K, kQ2_K},       {"q3_k_s", DType::kQ3_K, kQ3_K_S},
    {"q3_k_m", DType::kQ3_K, kQ3_K_M},   {"q3_k_l", DType::kQ3_K, kQ3_K_L},
    {"q4_k_s", DType::kQ4_K, kQ4_K_S},   {"q4_k_m", DType::kQ4_K, kQ4_K_M},
    {"q5_k_s", DType::kQ5_K, kQ5_K_S},   {"q5_k_m", DType::kQ5_K, kQ5_K_M},
    {"q6_k", DType::kQ6_K, kQ6_K},       {"iq4_nl", DType::kIQ4_NL, kIQ4_NL},
    {"iq4_xs", DType::kIQ4_XS, kIQ4_XS}, {"mxfp4", DType::kMXFP4, kMXFP4},
};

constexpr std::pair<std::string_view, std::string_view> kAliases[] = {
    {"q3_k", "q3_k_m"}, {"q4_k", "q4_k_m"}, {"q5_k", "q5_k_m"}, {"mxfp4_moe", "mxfp4"}};

// Matrices that are small, or sensitive, or no input of a product. Parts of names.
constexpr std::string_view kKept[] = {"_norm.weight",
                                      "ffn_gate_inp.weight",
                                      "ffn_gate_tid2eid.weight",
                                      "altup",
                                      "laurel",
                                      "per_layer_model_proj",
                                      "ssm_conv1d",
                                      "shortconv.conv.weight",
                                      "indexer.k_proj.weight",
                                      "indexer.q_proj.weight",
                                      "time_mix_first.weight",
                                      "time_mix_w0.weight",
                                      "time_mix_w1.weight",
                                      "time_mix_w2.weight",
                                      "time_mix_v0.weight",
                                      "time_mix_v1.weight",
                                      "time_mix_v2.weight",
                                      "time_mix_a0.weight",
                                      "time_mix_a1.weight",
                                      "time_mix_a2.weight",
                                      "time_mix_g1.weight",
                                      "time_mix_g2.weight",
                                      "time_mix_decay_w1.weight",
                                      "time_mix_decay_w2.weight",
                                      "time_mix_lerp_fused.weight",
                                      "attn_rel_b.weight",
                                      ".position_embd",
                                      "sam.pos_embd",
                                      "sam.neck.",
                                      "sam.net_",
                                      ".rel_pos",
                                      ".patch_embd",
                                      ".patch_merger",
                                      "a.rvq.codebook",
                                      "mm.a.code_embd"};

enum class Role : uint8_t {
  kTokenEmbedding,
  kOutput,
  kAttnQkv,
  kAttnKvB,
  kAttnValue,
  kAttnKey,
  kAttnOutput,
  kFfnDown,
  kOther,
};

Role role_of(std::string_view name) {
  if (name == "output.weight") return Role::kOutput;
  if (name == "token_embd.weight" || name == "per_layer_token_embd.weight") {
    return Role::kTokenEmbedding;
  }
  constexpr std::pair<std::string_view, Role> kParts[] = {
      {"attn_qkv.weight", Role::kAttnQkv},       {"attn_kv_b.weight", Role::kAttnKvB},
      {"attn_v.weight", Role::kAttnValue},       {"attn_k.weight", Role::kAttnKey},
      {"attn_output.weight", Role::kAttnOutput}, {"ffn_down", Role::kFfnDown}};
  for (const auto& [part, role] : kParts) {
    if (name.find(part) != std::string_view::npos) return role;
  }
  return Role::kOther;
}

bool is_value_role(Role role) {
  return role == Role::kAttnValue || role == Role::kAttnQkv || role == Role::kAttnKvB;
}

// "blk.12.attn_q.weight" -> 12; none: -1.
int64_t layer_of(std::string_view name) {
  constexpr std::string_view kPrefix = "blk.";
  uint32_t layer = 0;
  if (!name.starts_with(kPrefix)) return -1;
  const char* begin = name.data() + kPrefix.size();
  const auto [end, error] = std::from_chars(begin, name.data() + name.size(), layer);
  return error == std::errc{} && end != begin ? static_cast<int64_t>(layer) : -1;
}

bool is_quantizable(const MixtureTensor& tensor) {
  size_t num_dims = tensor.dims.size();
  while (num_dims > 1 && tensor.dims[num_dims - 1] == 1) --num_dims;
  if (num_dims < 2 || !tensor.name.ends_with("weight")) return false;
  if (tensor.name == "position_embd.weight" || tensor.name == "token_types.weight") return false;
  return std::ranges::none_of(kKept, [&](std::string_view part) {
    return tensor.name.find(part) != std::string_view::npos;
  });
}

bool fits(DType dtype, uint64_t num_cols) {
  return num_cols % dtype_info(dtype).block_elements == 0;
}

DType smaller_blocks(DType dtype) {
  switch (dtype) {
    case DType::kIQ4_XS:
      return DType::kIQ4_NL;
    case DType::kQ2_K:
    case DType::kQ3_K:
      return DType::kQ4_0;
    case DType::kQ4_K:
      return DType::kQ5_0;
    case DType::kQ5_K:
      return DType::kQ5_1;
    case DType::kQ6_K:
      return DType::kQ8_0;
    default:
      return dtype;
  }
}

DType fitting_dtype(DType dtype, uint64_t num_cols) {
  if (fits(dtype, num_cols)) return dtype;
  const DType substitute = smaller_blocks(dtype);
  return fits(substitute, num_cols) ? substitute : DType::kF16;
}

// The first and the last eighth of the layers and every third between them.
bool is_sensitive_layer(uint32_t layer_idx, uint32_t num_layers) {
  const uint32_t first = num_layers / 8;
  return layer_idx < first || layer_idx >= 7 * num_layers / 8 || (layer_idx - first) % 3 == 2;
}

class Planner {
 public:
  Planner(const FileType& type, const MixtureModel& model, std::span<const MixtureTensor> tensors)
      : type_(type), model_(model) {
    for (const MixtureTensor& tensor : tensors) {
      const Role role = role_of(tensor.name);
      if (is_value_role(role)) ++num_values_;
      if (role == Role::kOutput) tied_ = false;
    }
  }

  // To be called in the order of layers.
  DType choose(const MixtureTensor& tensor) {
    if (!is_quantizable(tensor)) return tensor.dtype;
    if (dtype_info(type_.dtype).block_elements == 1) return type_.dtype;
    return fitting_dtype(mixed(tensor), tensor.dims[0]);
  }

 private:
  bool is_falcon() const { return model_.architecture == "falcon"; }
  bool shares_many_values() const {
    return model_.num_kv_heads > 0 && model_.num_heads / model_.num_kv_heads >= 4;
  }
  bool has_eight_experts() const { return model_.num_experts == 8; }

  DType mixed(const MixtureTensor& tensor);
  DType output_dtype(uint64_t num_cols) const;
  DType value_dtype(uint32_t rank) const;
  DType attn_output_dtype() const;
  DType ffn_down_dtype(uint32_t layer_idx) const;
  DType falcon_ffn_down_dtype(uint32_t layer_idx) const;

  const FileType& type_;
  const MixtureModel& model_;
  bool tied_ = true;
  uint32_t num_values_ = 0;
  uint32_t value_rank_ = 0;
  uint32_t down_rank_ = 0;
};

DType Planner::mixed(const MixtureTensor& tensor) {
  const Role role = role_of(tensor.name);
  if (role == Role::kOutput || (tied_ && role == Role::kTokenEmbedding)) {
    return output_dtype(tensor.dims[0]);
  }
  if (type_.number == kMXFP4) {
    const bool is_expert = tensor.dims.size() > 2 && tensor.dims[2] > 1;
    const bool is_dense_layer = model_.num_experts == 0 && role != Role::kTokenEmbedding;
    return is_expert || is_dense_layer ? DType::kMXFP4 : DType::kQ8_0;
  }
  if (is_value_role(role)) return value_dtype(value_rank_++);
  if (role == Role::kAttnKey && has_eight_experts()) return DType::kQ8_0;
  if (role == Role::kAttnOutput) return attn_output_dtype();
  if (role == Role::kFfnDown) {
    const uint32_t rank = down_rank_++;
    // Experts may lie in several tensors of a layer.
    const int64_t layer = model_.num_experts > 1 ? layer_of(tensor.name) : -1;
    const uint32_t layer_idx = layer >= 0 ? static_cast<uint32_t>(layer) : rank;
    return is_falcon() ? falcon_ffn_down_dtype(layer_idx) : ffn_down_dtype(layer_idx);
  }
  return type_.dtype;
}

DType Planner::output_dtype(uint64_t num_cols) const {
  const bool wants_q8 = type_.number == kMXFP4 || is_falcon() || !fits(type_.dtype, num_cols);
  return wants_q8 || type_.dtype == DType::kQ8_0 ? DType::kQ8_0 : DType::kQ6_K;
}

DType Planner::value_dtype(uint32_t rank) const {
  if (has_eight_experts()) return DType::kQ8_0;
  DType dtype = type_.dtype;
  switch (type_.number) {
    case kQ2_K:
      dtype = shares_many_values() ? DType::kQ4_K : DType::kQ3_K;
      break;
    case kQ3_K_M:
      dtype = rank < 2 ? DType::kQ5_K : DType::kQ4_K;
      break;
    case kQ3_K_L:
      dtype = DType::kQ5_K;
      break;
    case kIQ4_NL:
    case kIQ4_XS:
      if (shares_many_values()) dtype = DType::kQ5_K;
      break;
    case kQ4_K_M:
    case kQ5_K_M:
      if (is_sensitive_layer(rank, num_values_)) dtype = DType::kQ6_K;
      break;
    case kQ4_K_S:
      if (rank < 4) dtype = DType::kQ5_K;
      break;
    default:
      break;
  }
  // Llama 70B: eight heads share the values, so that they cost little.
  const bool is_70b = model_.architecture == "llama" && model_.num_layers == 80 &&
                      model_.num_heads != model_.num_kv_heads;
  const bool is_small = dtype == DType::kQ3_K || dtype == DType::kQ4_K;
  return is_70b && is_small ? DType::kQ5_K : dtype;
}

DType Planner::attn_output_dtype() const {
  const FileTypeNumber number = type_.number;
  if (is_falcon()) return number == kQ3_K_L ? DType::kQ4_K : type_.dtype;
  if (has_eight_experts()) {
    constexpr std::array kRaised = {kQ2_K, kQ3_K_S, kQ3_K_M, kIQ4_NL, kQ4_K_S, kQ4_K_M, kIQ4_XS};
    return std::ranges::find(kRaised, number) != kRaised.end() ? DType::kQ5_K : type_.dtype;
  }
  if (number == kQ2_K) return DType::kQ3_K;
  if (number == kQ3_K_M) return DType::kQ4_K;
  if (number == kQ3_K_L) return DType::kQ5_K;
  return type_.dtype;
}

DType Planner::falcon_ffn_down_dtype(uint32_t layer_idx) const {
  const bool early = layer_idx < model_.num_layers / 16;
  const bool sensitive = is_sensitive_layer(layer_idx, model_.num_layers);
  if (type_.number == kQ3_K_M) {
    return early ? DType::kQ5_K : sensitive ? DType::kQ4_K : DType::kQ3_K;
  }
  if (type_.number == kQ3_K_L) return DType::kQ4_K;
  if (type_.number == kQ4_K_M) {
    return early ? DType::kQ6_K : sensitive ? DType::kQ5_K : DType::kQ4_K;
  }
  return type_.number == kQ4_K_S ? type_.dtype : ffn_down_dtype(layer_idx);
}

DType Planner::ffn_down_dtype(uint32_t layer_idx) const {
  const bool early = layer_idx < model_.num_layers / 8;
  const bool sensitive = is_sensitive_layer(layer_idx, model_.num_layers);
  switch (type_.number) {
    case kQ2_K:
      return DType::kQ3_K;
    case kQ3_K_M:
      return layer_idx < model_.num_layers / 16 ? DType::kQ5_K : DType::kQ4_K;
    case kQ3_K_L:
      return DType::kQ5_K;
    case kQ4_K_M:
    case kQ5_K_M:
      return sensitive ? DType::kQ6_K : type_.dtype;
    case kQ4_K_S:
      return early ? DType::kQ5_K : type_.dtype;
    case kIQ4_NL:
    case kIQ4_XS:
      return early && !model_.has_importance ? DType::kQ5_K : type_.dtype;
    case kQ4_0:
      return early && model_.has_importance ? DType::kQ4_1 : type_.dtype;
    case kQ5_0:
      return early && model_.has_importance ? DType::kQ5_1 : type_.dtype;
    default:
      return type_.dtype;
  }
}

std::string ascii_lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

}  // namespace

std::span<const FileType> all_file_types() { return kTypes; }

std::vector<std::string> file_type_names() {
  std::vector<std::string> names;
  for (const FileType& type : kTypes) names.emplace_back(type.name);
  return names;
}

Result<const FileType*> find_file_type(std::string_view name) {
  std::string wanted = ascii_lower(name);
  for (const auto& [alias, meaning] : kAliases) {
    if (wanted == alias) wanted = meaning;
  }
  for (const FileType& type : kTypes) {
    if (type.name == wanted) return &type;
  }
  return fail(ErrorCode::kNotFound, "no type of model file is called '{}'; known are: {}", name,
              fmt::join(file_type_names(), ", "));
}

std::vector<DType> plan_dtypes(const FileType& type, const MixtureModel& model,
                               std::span<const MixtureTensor> tensors) {
  std::vector<size_t> order(tensors.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::sort(
      order, {}, [&](size_t i) { return std::pair(layer_of(tensors[i].name), tensors[i].name); });
  Planner planner(type, model, tensors);
  std::vector<DType> dtypes(tensors.size());
  for (const size_t i : order) dtypes[i] = planner.choose(tensors[i]);
  return dtypes;
}

}  // namespace ruvllm::api
