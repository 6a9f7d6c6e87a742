#include "support/random_model.h"

#include <filesystem>
#include <system_error>

#include <fmt/format.h>
#include <unistd.h>

#include <ruvllm/synth.h>

namespace ruvllm::bench {

namespace fs = std::filesystem;

ModelFile::~ModelFile() {
  std::error_code ignored;
  if (is_ours_) fs::remove(path_, ignored);
}

Status ModelFile::open(const Setup& setup, const std::string& name) {
  path_ = setup.model;
  if (!path_.empty()) return {};
  path_ = (fs::temp_directory_path() / fmt::format("{}.{}.gguf", name, ::getpid())).string();
  SynthOptions options;
  options.shape = setup.shape;
  if (setup.shape.empty()) options.shape = setup.tiny ? "demo" : "qwen2.5-0.5b";
  options.type = setup.type.empty() ? "q4_k_m" : setup.type;
  options.output_path = path_;
  RUVLLM_ASSIGN(Synthesizer synthesizer, Synthesizer::create(options));
  is_ours_ = true;
  while (true) {
    RUVLLM_ASSIGN(const bool more, synthesizer.step());
    if (!more) return {};
  }
}

}  // namespace ruvllm::bench
