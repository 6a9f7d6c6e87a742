// The tokens of a text file, for commands that run a model over it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/core/error.h"
#include <ruvllm/tokenizer.h>

namespace ruvllm::cli {

// The first `limit` tokens of the file (0: all), specials parsed, reading no more of it than they
// need.
Result<std::vector<TokenId>> read_tokens(const Tokenizer& tokenizer, const std::string& file,
                                         uint64_t limit);

}  // namespace ruvllm::cli
