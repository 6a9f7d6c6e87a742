// Reads a fuzzed tokenizer.json and encodes with what builds.
//
// Input: the file, then after a zero byte (JSON has none) tokenizer_config.json, then the text.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <utility>

#include "text/tokenizer/json/tokenizer_json.h"
#include "text/tokenizer/tokenizer.h"

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

std::string_view next_part(std::string_view& input) {
  const std::string_view part = input.substr(0, input.find('\0'));
  input.remove_prefix(part.size() < input.size() ? part.size() + 1 : part.size());
  return part;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::string_view file = next_part(input);
  const std::string_view config = next_part(input);
  auto spec = ruvllm::text::parse_tokenizer_json(file, config, "tokenizer.json");
  if (!spec.has_value()) {
    require(!spec.error().message().empty());
    return 0;
  }
  const size_t num_tokens = spec->tokens.size();
  require(spec->kinds.size() == num_tokens);
  const auto tokenizer = ruvllm::text::Tokenizer::build(*std::move(spec));
  if (!tokenizer.has_value()) return 0;
  for (const std::string_view text : {input, std::string_view("a b\xE9 \n\n12\xF0\x9F\x99\x82.")}) {
    for (const auto id :
         (*tokenizer)->encode(text.substr(0, 4096), {.parse_special = true, .add_special = true})) {
      require(id >= 0 && static_cast<size_t>(id) < num_tokens);
      (*tokenizer)->piece(id, true);
    }
  }
  return 0;
}
