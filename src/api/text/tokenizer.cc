#include "api/models/checkpoint/open_model.h"
#include "text/tokenizer/detokenizer.h"
#include <ruvllm/tokenizer.h>

namespace ruvllm {

Result<Tokenizer> Tokenizer::from_file(const std::string& path) {
  RUVLLM_ASSIGN(const api::OpenedModel model, api::open_model(path, api::OpenScope::kTokenizer));
  RUVLLM_ASSIGN(std::shared_ptr<const text::Tokenizer> impl, api::load_tokenizer(model));
  return Tokenizer(std::move(impl));
}

Tokenizer::Tokenizer(std::shared_ptr<const text::Tokenizer> impl) : impl_(std::move(impl)) {}

std::vector<TokenId> Tokenizer::encode(std::string_view text, bool parse_special,
                                       bool add_special) const {
  return impl_->encode(text, {.parse_special = parse_special, .add_special = add_special});
}

Result<std::string> Tokenizer::decode(std::span<const TokenId> ids, bool render_special) const {
  text::Detokenizer detokenizer(impl_, render_special, /*at_start=*/true);
  std::string decoded;
  for (size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] < 0 || static_cast<size_t>(ids[i]) >= impl_->vocab_size()) {
      return fail(ErrorCode::kInvalidArgument,
                  "id {} at position {} is not in the vocabulary of {}", ids[i], i,
                  impl_->vocab_size());
    }
    decoded += detokenizer.push(ids[i]);
  }
  decoded += detokenizer.flush();
  return decoded;
}

size_t Tokenizer::vocab_size() const { return impl_->vocab_size(); }

std::string Tokenizer::token_text(TokenId id) const {
  text::Detokenizer detokenizer(impl_, /*render_special=*/true);
  std::string token = detokenizer.push(id);
  return token + detokenizer.flush();
}

bool Tokenizer::is_end_of_generation(TokenId id) const { return impl_->is_end_of_generation(id); }

}  // namespace ruvllm
