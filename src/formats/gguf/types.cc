#include "formats/gguf/types.h"

#include <array>
#include <bit>
#include <iterator>

#include <fmt/format.h>

#include "base/core/check.h"

namespace ruvllm::formats {
namespace {

struct TypeInfo {
  std::string_view name;
  size_t bytes;
};

constexpr std::array<TypeInfo, kNumGgufTypes> kTypes = {{{"uint8", 1},
                                                         {"int8", 1},
                                                         {"uint16", 2},
                                                         {"int16", 2},
                                                         {"uint32", 4},
                                                         {"int32", 4},
                                                         {"float32", 4},
                                                         {"bool", 1},
                                                         {"string", 0},
                                                         {"array", 0},
                                                         {"uint64", 8},
                                                         {"int64", 8},
                                                         {"float64", 8}}};

// Indexed by ggml's number; gaps are types that ggml removed.
constexpr std::string_view kGgmlNames[] = {
    "F32",   "F16",        "Q4_0",       "Q4_1",       "Q4_2",     "Q4_3",     "Q5_0",
    "Q5_1",  "Q8_0",       "Q8_1",       "Q2_K",       "Q3_K",     "Q4_K",     "Q5_K",
    "Q6_K",  "Q8_K",       "IQ2_XXS",    "IQ2_XS",     "IQ3_XXS",  "IQ1_S",    "IQ4_NL",
    "IQ3_S", "IQ2_S",      "IQ4_XS",     "I8",         "I16",      "I32",      "I64",
    "F64",   "IQ1_M",      "BF16",       "Q4_0_4_4",   "Q4_0_4_8", "Q4_0_8_8", "TQ1_0",
    "TQ2_0", "IQ4_NL_4_4", "IQ4_NL_4_8", "IQ4_NL_8_8", "MXFP4",    "NVFP4",    "Q1_0",
    "Q2_0"};

// Indexed by DType.
constexpr std::array<uint32_t, kNumDTypes> kGgmlNumbers = {
    0, 1, 30, 2, 6, 8, 12, 13, 14, 3, 7, 10, 11, 20, 23, 39, 16, 17, 22, 18, 21, 19, 29, 34, 35};

}  // namespace

std::string_view gguf_type_name(GgufType type) { return kTypes[static_cast<size_t>(type)].name; }

size_t gguf_scalar_bytes(GgufType type) { return kTypes[static_cast<size_t>(type)].bytes; }

bool gguf_alignment_is_valid(uint64_t alignment) {
  return std::has_single_bit(alignment) && alignment >= 8 && alignment <= 65536;
}

std::optional<DType> dtype_from_ggml(uint32_t number) {
  for (size_t i = 0; i < kGgmlNumbers.size(); ++i) {
    if (kGgmlNumbers[i] == number) return static_cast<DType>(i);
  }
  return std::nullopt;
}

uint32_t ggml_from_dtype(DType dtype) {
  RUVLLM_CHECK(static_cast<size_t>(dtype) < kGgmlNumbers.size());
  return kGgmlNumbers[static_cast<size_t>(dtype)];
}

std::string_view ggml_type_name(uint32_t number) {
  return number < std::size(kGgmlNames) ? kGgmlNames[number] : std::string_view();
}

std::string supported_dtype_names() {
  std::string names;
  for (size_t i = 0; i < kNumDTypes; ++i) {
    if (i > 0) names += ", ";
    names += dtype_info(static_cast<DType>(i)).name;
  }
  return names;
}

void append_escaped(std::string& out, std::string_view text) {
  for (const char c : text) {
    const unsigned char byte = static_cast<unsigned char>(c);
    if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (byte < 0x20 || byte == 0x7f) {
      fmt::format_to(std::back_inserter(out), "\\x{:02x}", byte);
    } else {
      out += c;
    }
  }
}

std::string quoted(std::string_view name) {
  constexpr size_t kShown = 64;
  std::string out = "'";
  append_escaped(out, name.substr(0, kShown));
  out += name.size() > kShown ? "...'" : "'";
  return out;
}

}  // namespace ruvllm::formats
