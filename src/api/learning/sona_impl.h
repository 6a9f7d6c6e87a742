// What stands behind the public Sona.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "api/engine/engine_impl.h"
#include "api/learning/sona_core.h"
#include "text/tokenizer/tokenizer.h"
#include <ruvllm/learning/sona.h>

namespace ruvllm {

struct Sona::Impl {
  Impl(Engine::Impl& of_engine, std::unique_ptr<LearnedState> of_state,
       std::shared_ptr<api::SonaCore> of_core)
      : engine(of_engine), state(std::move(of_state)), core(std::move(of_core)) {}

  Engine::Impl& engine;
  std::unique_ptr<LearnedState> state;
  std::shared_ptr<api::SonaCore> core;
};

namespace api {

// The text as an answer that ends with it.
std::vector<int32_t> answer_ids(const text::Tokenizer& tokenizer, std::string_view text);

}  // namespace api
}  // namespace ruvllm
