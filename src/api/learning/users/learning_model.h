// The model that is taught, as learning needs it.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "adapters/head/features.h"
#include "base/core/error.h"
#include "engine/step_loop.h"
#include "kernels/cpu/kernel_table.h"
#include "text/tokenizer/tokenizer.h"

namespace ruvllm::api {

// Thread-safe. References outlive it.
class LearningModel {
 public:
  LearningModel(engine::StepLoop& loop, const kernels::KernelTable& kernels,
                const text::Tokenizer& tokenizer, std::string fingerprint, int32_t vocab_size,
                int32_t hidden_dim)
      : loop_(loop),
        kernels_(kernels),
        tokenizer_(tokenizer),
        fingerprint_(std::move(fingerprint)),
        vocab_size_(vocab_size),
        hidden_dim_(hidden_dim) {}

  engine::StepLoop& loop() { return loop_; }
  const kernels::KernelTable& kernels() const { return kernels_; }
  const text::Tokenizer& tokenizer() const { return tokenizer_; }
  const std::string& fingerprint() const { return fingerprint_; }
  int32_t vocab_size() const { return vocab_size_; }
  int32_t hidden_dim() const { return hidden_dim_; }

  // The mean hidden state over a neutral text, measured at the first call.
  Result<std::shared_ptr<const adapters::HeadFeatures>> features();
  // If it is known already; may be null.
  std::shared_ptr<const adapters::HeadFeatures> known_features();

 private:
  engine::StepLoop& loop_;
  const kernels::KernelTable& kernels_;
  const text::Tokenizer& tokenizer_;
  std::string fingerprint_;
  int32_t vocab_size_;
  int32_t hidden_dim_;
  std::mutex features_mutex_;
  std::shared_ptr<const adapters::HeadFeatures> features_;
};

}  // namespace ruvllm::api
