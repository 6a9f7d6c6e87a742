#include <charconv>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/commands/commands.h"
#include "cli/commands/model.h"
#include "cli/options/request/adapter.h"
#include "cli/options/values.h"
#include <ruvllm/engine.h>

namespace ruvllm::cli {
namespace {

constexpr uint32_t kTextsAtOnce = 16;

struct EmbedOptions {
  std::string model;
  std::vector<std::string> texts;
  std::string file;
  std::string pooling;  // "": the model's own
  std::string format = "json";
  uint32_t dimensions = 0;
  bool normalize = true;
  std::vector<AdapterSource> adapters;
};

// One text a line; the end of the last line begins no further text.
std::vector<std::string> split_lines(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    lines.emplace_back(line);
  }
  return lines;
}

Json vector_json(const float* values, size_t count) {
  Json numbers = Json::array();
  for (size_t i = 0; i < count; ++i) {
    // Through the shortest text of the float: as a double it would print digits that it lacks.
    const std::string text = fmt::format("{}", values[i]);
    double number = 0.0;
    std::from_chars(text.data(), text.data() + text.size(), number);
    numbers.push_back(number);
  }
  return numbers;
}

// As OpenAI's API answers; without pooling "embedding" is a list of one vector a token.
Json to_json(const std::vector<Embedding>& embeddings, bool per_token, const EngineInfo& info) {
  Json data = Json::array();
  uint64_t num_tokens = 0;
  for (const Embedding& embedding : embeddings) {
    const size_t dim = embedding.values.size() / embedding.num_vectors;
    Json vectors = Json::array();
    for (size_t i = 0; i < embedding.num_vectors; ++i) {
      vectors.push_back(vector_json(embedding.values.data() + i * dim, dim));
    }
    data.push_back({{"object", "embedding"},
                    {"index", data.size()},
                    {"embedding", per_token ? std::move(vectors) : std::move(vectors[0])}});
    num_tokens += embedding.num_tokens;
  }
  return {{"object", "list"},
          {"data", std::move(data)},
          {"model", info.model_name},
          {"usage", {{"prompt_tokens", num_tokens}, {"total_tokens", num_tokens}}}};
}

// One vector a line.
std::string to_raw(const std::vector<Embedding>& embeddings) {
  std::string text;
  for (const Embedding& embedding : embeddings) {
    const size_t dim = embedding.values.size() / embedding.num_vectors;
    for (size_t i = 0; i < embedding.values.size(); ++i) {
      text += fmt::format("{}{}", embedding.values[i], (i + 1) % dim == 0 ? '\n' : ' ');
    }
  }
  return text;
}

Status embed(const EmbedOptions& options, CommandContext& context) {
  std::vector<std::string> texts = options.texts;
  if (texts.empty()) {
    RUVLLM_ASSIGN(const FileText input, read_text(options.file.empty() ? "-" : options.file));
    texts = split_lines(input.text);
  }
  if (texts.empty()) {
    return fail(ErrorCode::kInvalidArgument, "there is no text; give -p, --file or standard input");
  }
  EmbeddingOptions wanted;
  wanted.dimensions = options.dimensions;
  wanted.normalize = options.normalize;
  if (!options.pooling.empty()) {
    RUVLLM_ASSIGN(wanted.pooling, pooling_of_name(options.pooling));
  }
  RUVLLM_ASSIGN(EngineOptions settings, engine_options(context, options.model));
  settings.max_sequences = kTextsAtOnce;
  settings.adapters = options.adapters;
  RUVLLM_ASSIGN(const std::unique_ptr<Engine> engine, Engine::create(settings));
  RUVLLM_ASSIGN(const std::vector<Embedding> embeddings, engine->embed(texts, wanted));
  if (options.format == "raw" && !context.output.json()) {
    context.output.write(to_raw(embeddings));
    return {};
  }
  context.output.write_json(to_json(embeddings, wanted.pooling == Pooling::kNone, engine->info()));
  return {};
}

}  // namespace

void add_embed_command(CommandLine& line) {
  auto options = std::make_shared<EmbedOptions>();
  CommandLine::Command& command =
      line.add("embed", "Turn texts into vectors, with an embedding model", CommonSet::kAll);
  CommandParser& parser = command.parser;
  add_model_argument(parser, options->model);
  const Option text = parser
                          .add_option("-p,--prompt", options->texts,
                                      "A text; may be given several times. Default: --file")
                          .value_name("TEXT");
  parser.add_option("-f,--file", options->file, "Read one text a line; default: standard input")
      .value_name("FILE")
      .excludes(text);
  parser
      .add_option(
          "--pooling", options->pooling,
          "How tokens become one vector: none, mean, cls or last; default: as the model says")
      .value_name("NAME");
  parser.add_flag("--normalize,!--no-normalize", options->normalize,
                  "Scale every vector to length 1: on, unless switched off");
  parser
      .add_option("--dimensions", options->dimensions,
                  "Only the first N of every vector, for models trained for that; 0: all")
      .value_name("N");
  parser.add_option("--format", options->format, "json or raw, which is one vector a line")
      .value_name("NAME")
      .choices({"json", "raw"});
  add_adapter_flag(parser, options->adapters);
  parser.footer(
      "Examples:\n"
      "  ruvllm embed nomic-embed.gguf -p 'search_query: who wrote Faust?'\n"
      "  ruvllm embed -m bge-small.gguf --file lines.txt --format raw");
  command.run = [options](CommandContext& context) { return embed(*options, context); };
}

}  // namespace ruvllm::cli
