// Uses the installed library as a stranger would: tokenizes a text and lets a model file continue
// it. Touches a function of every public header, so that one that is not exported does not link.
#include <cstdio>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <ruvllm/ruvllm.h>

namespace {

int give_up(std::string_view what) {
  std::printf("%.*s\n", static_cast<int>(what.size()), what.data());
  return 1;
}

// Text -> ids -> text with nothing but the tokenizer of the file.
int tokenize(const std::string& path) {
  const auto missing = ruvllm::Tokenizer::from_file("no-such-file.gguf");
  if (missing.has_value()) return give_up("a file that does not exist was opened");
  if (ruvllm::error_code_name(missing.error().code()) != "not_found") {
    return give_up(missing.error().message());
  }
  const auto tokenizer = ruvllm::Tokenizer::from_file(path);
  if (!tokenizer.has_value()) return give_up(tokenizer.error().message());
  const std::string text = "Once upon a time, there was a library.";
  const std::vector<ruvllm::TokenId> ids = tokenizer->encode(text, false, false);
  const auto decoded = tokenizer->decode(ids, false);
  if (!decoded.has_value()) return give_up(decoded.error().message());
  if (*decoded != text || ids.size() >= text.size()) return give_up("wrong: " + *decoded);
  return 0;
}

int generate(const std::string& path) {
  ruvllm::EngineOptions options;
  options.model_path = path;
  options.context_length = 64;
  const auto engine = ruvllm::Engine::create(options);
  if (!engine.has_value()) return give_up(engine.error().message());
  ruvllm::GenerationRequest request;
  request.prompt = (*engine)->tokenizer().encode("Once upon a time", false, true);
  request.max_tokens = 4;
  request.ignore_end = true;
  auto generation = (*engine)->submit(std::move(request));
  if (!generation.has_value()) return give_up(generation.error().message());
  int num_tokens = 0;
  for (;;) {
    const auto event = generation->next();
    if (!event.has_value()) return give_up(event.error().message());
    if (!event->has_value()) break;
    ++num_tokens;
  }
  const ruvllm::GenerationSummary& summary = generation->summary();
  if (num_tokens != 4 || summary.latency.total_ms() <= 0) return give_up("wrong number of tokens");
  return summary.finish_reason == ruvllm::FinishReason::kLength ? 0 : give_up("wrong end");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return give_up("usage: consumer MODEL");
  const auto model = ruvllm::inspect_model(argv[1]);
  if (!model.has_value()) return give_up(model.error().message());
  const auto settings = ruvllm::load_settings("");
  if (!settings.has_value()) return give_up(settings.error().message());
  if (ruvllm::synth_shapes().empty()) return give_up("no shapes");
  if (const int status = tokenize(argv[1]); status != 0) return status;
  if (const int status = generate(argv[1]); status != 0) return status;
  std::printf("version %s works\n", ruvllm::version());
}
