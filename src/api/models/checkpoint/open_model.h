// Opens whatever people call a model: a GGUF file, or the folder of a Hugging Face checkpoint,
// which is then presented as a GgufFile.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/core/error.h"
#include "formats/gguf/gguf.h"
#include "model/import/import.h"
#include "text/tokenizer/tokenizer.h"
#include "text/tokenizer/vocab/vocab.h"

namespace ruvllm::api {

enum class OpenScope : uint8_t {
  kTokenizer,  // a folder's weights are left out
  kLayout,     // of a folder's weights, large ones whose bytes must change are zeros
  kWeights,
};

struct OpenedModel {
  formats::GgufFile file;
  // Of a folder: its tokenizer.json, which can say more than the file's metadata do.
  std::optional<text::VocabSpec> vocab;
};

// The folder of a checkpoint that `path` names: itself, or of a .safetensors file; "" for others.
std::string checkpoint_folder(const std::string& path);

Result<OpenedModel> open_model(const std::string& path, OpenScope scope);

Result<std::shared_ptr<const text::Tokenizer>> load_tokenizer(const OpenedModel& model);

// A checkpoint with its tokenizer, not yet put together.
struct Checkpoint {
  model::Import import;  // with the tokenizer's metadata
  text::VocabSpec vocab;
};
Result<Checkpoint> read_checkpoint(const std::string& folder, model::ImportScope scope);

// "general.file_type": the number of the type that most weights are of.
uint32_t gguf_file_type(DType dtype);

}  // namespace ruvllm::api
