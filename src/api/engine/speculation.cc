// Which guesses an engine makes, and the draft model that makes them.
#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "api/engine/engine_impl.h"
#include "api/models/checkpoint/open_model.h"
#include "text/tokenizer/vocab/vocab.h"
#include <ruvllm/engine.h>

namespace ruvllm {
namespace {

constexpr std::array<const char*, 4> kSpeculationNames = {"off", "lookup", "draft", "auto"};

// Families pad the vocabulary of their models to different sizes; nothing draws those ids.
constexpr size_t kMostPadding = 1024;

// A draft is a token id: it must mean the same to both models.
Status check_same_vocabulary(const std::string& path, const text::VocabSpec& draft,
                             const text::VocabSpec& large) {
  if (draft.model != large.model) {
    return fail(ErrorCode::kInvalidArgument,
                "draft model {}: its tokenizer is of kind '{}', the model's of kind '{}'; take a "
                "smaller model of the same family",
                path, draft.model, large.model);
  }
  const size_t small = std::min(draft.tokens.size(), large.tokens.size());
  if (std::max(draft.tokens.size(), large.tokens.size()) - small > kMostPadding) {
    return fail(ErrorCode::kInvalidArgument,
                "draft model {}: its vocabulary has {} tokens, the model's {}; take a smaller "
                "model of the same family",
                path, draft.tokens.size(), large.tokens.size());
  }
  for (size_t id = 0; id < small; ++id) {
    if (draft.tokens[id] == large.tokens[id]) continue;
    return fail(ErrorCode::kInvalidArgument,
                "draft model {}: token {} is '{}', but '{}' in the model; take a smaller model of "
                "the same family",
                path, id, draft.tokens[id], large.tokens[id]);
  }
  return {};
}

bool wants_draft_model(const EngineOptions& options) {
  return options.speculation == Speculation::kDraft ||
         (options.speculation == Speculation::kAuto && !options.draft_model_path.empty());
}

}  // namespace

const char* speculation_name(Speculation speculation) {
  return kSpeculationNames[static_cast<size_t>(speculation)];
}

Result<Speculation> speculation_of_name(std::string_view name) {
  const auto found = std::ranges::find(kSpeculationNames, name);
  if (found != kSpeculationNames.end()) {
    return static_cast<Speculation>(found - kSpeculationNames.begin());
  }
  return fail(ErrorCode::kInvalidArgument, "speculate: '{}' is not off, lookup, draft or auto",
              name);
}

Status Engine::Impl::load_draft_model(const EngineOptions& options) {
  if (!wants_draft_model(options) || !model->config().causal) return {};
  const std::string& path = options.draft_model_path;
  if (path.empty()) {
    return fail(ErrorCode::kInvalidArgument,
                "speculation by a draft model needs one; name a smaller model of the same family "
                "with --draft, or choose lookup");
  }
  RUVLLM_ASSIGN(api::OpenedModel opened, api::open_model(path, api::OpenScope::kWeights));
  RUVLLM_ASSIGN(const auto draft_tokenizer, api::load_tokenizer(opened));
  RUVLLM_TRY(check_same_vocabulary(path, draft_tokenizer->spec(), text_tokenizer->spec()));
  // It has what room for packed copies the model leaves.
  EngineOptions own = options;
  const uint64_t room = packed_room(options);
  own.max_packed_bytes = std::max<uint64_t>(room - std::min(room, model->file().mapped_bytes()), 1);
  RUVLLM_ASSIGN(draft_model,
                model::Model::load(std::move(opened.file), *device, model_options(own)));
  if (draft_model->config().generates_text() && draft_model->config().causal) return {};
  return fail(ErrorCode::kUnsupported,
              "draft model {}: {} models compute embeddings and generate no text", path,
              draft_model->config().architecture);
}

engine::SpeculationOptions Engine::Impl::speculation(const EngineOptions& options) const {
  return {.lookup = options.speculation == Speculation::kLookup ||
                    options.speculation == Speculation::kAuto,
          .draft_model = draft_model.get()};
}

}  // namespace ruvllm
