// llama.cpp's greedy tokens of token ids, for round_trip.py, which builds this against llama.cpp's
// own headers and libraries; no part of RuvLLM.
//
// usage: llama_greedy MODEL.gguf NUM_TOKENS CONTEXT [YARN_BETA_FAST YARN_BETA_SLOW] < PROMPTS
//
// Each line of the input is a prompt: ids between blanks. Each line of the output has for every
// step "id:gap", gap being by how much its logit exceeds the second. End tokens do not stop it.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include <llama.h>

namespace {

struct Choice {
  llama_token id = 0;
  float gap = 0.0f;
};

Choice best_of(const float* logits, int32_t count) {
  int32_t best = 0;
  for (int32_t i = 1; i < count; ++i) {
    if (logits[i] > logits[best]) best = i;
  }
  float second = -INFINITY;
  for (int32_t i = 0; i < count; ++i) {
    if (i != best && logits[i] > second) second = logits[i];
  }
  return {best, logits[best] - second};
}

// False if llama.cpp refuses a step.
bool run_prompt(llama_context* context, int32_t vocab_size, std::vector<llama_token> tokens,
                int num_tokens) {
  llama_memory_clear(llama_get_memory(context), true);
  for (int i = 0; i < num_tokens; ++i) {
    const llama_batch batch =
        llama_batch_get_one(tokens.data(), static_cast<int32_t>(tokens.size()));
    if (llama_decode(context, batch) != 0) return false;
    const Choice choice = best_of(llama_get_logits_ith(context, -1), vocab_size);
    std::printf("%s%d:%.6g", i == 0 ? "" : " ", choice.id, static_cast<double>(choice.gap));
    tokens = {choice.id};
  }
  std::printf("\n");
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4 && argc != 6) return 2;
  llama_log_set(
      [](ggml_log_level level, const char* text, void*) {
        if (level == GGML_LOG_LEVEL_ERROR) std::fputs(text, stderr);
      },
      nullptr);
  llama_backend_init();
  llama_model_params model_params = llama_model_default_params();
  llama_model* model = llama_model_load_from_file(argv[1], model_params);
  if (model == nullptr) return 1;
  llama_context_params params = llama_context_default_params();
  params.n_ctx = static_cast<uint32_t>(std::atoi(argv[3]));
  params.n_batch = params.n_ctx;
  params.n_threads = params.n_threads_batch = 1;
  if (argc == 6) {
    params.yarn_beta_fast = std::strtof(argv[4], nullptr);
    params.yarn_beta_slow = std::strtof(argv[5], nullptr);
  }
  llama_context* context = llama_init_from_model(model, params);
  if (context == nullptr) return 1;
  const int32_t vocab_size = llama_vocab_n_tokens(llama_model_get_vocab(model));
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    std::vector<llama_token> tokens;
    for (llama_token id = 0; words >> id;) tokens.push_back(id);
    if (!run_prompt(context, vocab_size, std::move(tokens), std::atoi(argv[2]))) return 1;
  }
  llama_free(context);
  llama_model_free(model);
  return 0;
}
