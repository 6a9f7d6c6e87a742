#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "cli/chat/chat.h"
#include "cli/commands/commands.h"
#include "cli/commands/learn/learn.h"
#include "cli/commands/model.h"
#include "cli/generation/answer.h"
#include "cli/options/request/adapter.h"
#include "cli/options/request/cache.h"
#include "cli/options/request/chat_template.h"
#include "cli/options/request/generation.h"
#include "cli/options/request/speculation.h"
#include "cli/options/values.h"
#include "cli/terminal/text.h"

namespace ruvllm::cli {
namespace {

struct RunOptions {
  std::string model;
  std::optional<std::string> prompt;
  std::string prompt_file;
  std::string system;
  bool raw = false;
  bool verbose = false;
  ChatTemplateFlags chat_template;
  GenerationOptions generation;
  std::vector<AdapterSource> adapters;
  SpeculationFlags speculation;
  CacheFlags cache;
  LearnFlags learn;
  bool learns_messages = false;
};

// "Why is the sky blue?" is no file name; "model.gguf" and "hello" may be.
bool looks_like_prompt(const std::string& text) {
  std::error_code ignored;
  if (text.ends_with(".gguf") || std::filesystem::exists(text, ignored)) return false;
  return text.find_first_of(" \n?!") != std::string::npos;
}

// Who is who among the arguments without a flag: a single one is the model, unless that is named
// already or it can only be a prompt.
Status assign_positional(RunOptions& options, const std::vector<std::string>& arguments,
                         bool model_named) {
  const bool prompt_named = options.prompt.has_value() || !options.prompt_file.empty();
  const size_t most = 2 - size_t{model_named} - size_t{prompt_named};
  if (arguments.size() > most) {
    return fail(ErrorCode::kInvalidArgument,
                "run: unexpected argument '{}': model or prompt is given already; quote a prompt "
                "with spaces",
                arguments.back());
  }
  const bool single_is_prompt =
      model_named || (!prompt_named && arguments.size() == 1 && looks_like_prompt(arguments[0]));
  if (!arguments.empty() && !single_is_prompt) options.model = arguments.front();
  if (arguments.size() == 2 || (arguments.size() == 1 && single_is_prompt)) {
    options.prompt = arguments.back();
  }
  return {};
}

struct EncodedPrompt {
  std::vector<TokenId> ids;
  uint64_t microseconds = 0;
};

Result<EncodedPrompt> encode_prompt(const Engine& engine, const RunOptions& options) {
  const std::string prompt = options.prompt.value_or("");
  const auto start = std::chrono::steady_clock::now();
  EncodedPrompt out;
  if (options.raw) {
    out.ids = engine.tokenizer().encode(prompt, true, true);
  } else if (engine.info().has_chat_template) {
    std::vector<ChatMessage> messages;
    if (!options.system.empty()) messages.push_back({"system", options.system});
    messages.push_back({"user", prompt});
    RUVLLM_ASSIGN(out.ids,
                  engine.encode_chat(messages, {.variables = options.chat_template.variables}));
  } else {
    const std::string system = options.system.empty() ? "" : options.system + "\n\n";
    out.ids = engine.tokenizer().encode(system + prompt, false, true);
  }
  const auto elapsed = std::chrono::steady_clock::now() - start;
  out.microseconds =
      static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(elapsed).count());
  return out;
}

std::string logprobs_table(const std::vector<GenerationEvent>& events, const Tokenizer& tokenizer) {
  Table table({Table::Align::kLeft, Table::Align::kRight, Table::Align::kLeft});
  for (const GenerationEvent& event : events) {
    std::string others;
    for (const TokenLogprob& candidate : event.top_logprobs) {
      others +=
          fmt::format("{} {:.3f}  ", quote(tokenizer.token_text(candidate.id)), candidate.logprob);
    }
    table.add_row(
        {quote(tokenizer.token_text(event.id)), fmt::format("{:.4f}", event.logprob), others});
  }
  return table.render();
}

Json template_json(const EngineInfo& info, bool raw) {
  if (raw || !info.has_chat_template) return nullptr;
  return Json{{"source", info.chat_template_source}, {"name", info.chat_template_name}};
}

Status answer_once(Engine& engine, const RunOptions& options, Output& output) {
  const std::string note = options.raw ? "" : chat_template_note(engine.info());
  if (!note.empty()) output.note(note);
  RUVLLM_ASSIGN(EncodedPrompt prompt, encode_prompt(engine, options));
  const bool streams = !output.json();
  GenerationRequest request = make_request(options.generation, std::move(prompt.ids));
  request.user = options.learn.user;
  RUVLLM_ASSIGN(const Answer answer,
                generate_answer(engine, std::move(request), prompt.microseconds,
                                [&output, streams](std::string_view text) {
                                  return !streams || output.write(text);
                                }));
  if (output.json()) {
    Json report = answer_json(answer, engine.tokenizer());
    report["chat_template"] = template_json(engine.info(), options.raw);
    output.write_json(report);
  } else {
    if (!answer.text.ends_with('\n')) output.write("\n");
    for (size_t i = 1; i < answer.choices.size(); ++i) {
      output.write(fmt::format("\n[{}]\n{}\n", i + 1, answer.choices[i].text));
    }
    if (!answer.events.empty()) {
      output.write("\n" + logprobs_table(answer.events, engine.tokenizer()));
    }
  }
  if (options.verbose) output.note(describe_speed(answer.summary));
  if (answer.interrupted) return fail(ErrorCode::kCancelled, "interrupted");
  return {};
}

Status run(RunOptions& options, CommandContext& context) {
  auto settings = engine_options(context, options.model);
  if (!settings && !options.model.empty() && settings.error().code() == ErrorCode::kNotFound) {
    return fail(ErrorCode::kNotFound, "{}; to ask the bundled model, use -p {}",
                settings.error().message(), quote(options.model));
  }
  RUVLLM_ASSIGN(EngineOptions engine_settings, std::move(settings));
  if (options.learns_messages && options.learn.user.empty()) {
    return fail(ErrorCode::kInvalidArgument, "run: --learn needs --user NAME");
  }
  RUVLLM_ASSIGN(engine_settings.chat_template, resolve_chat_template(options.chat_template));
  RUVLLM_TRY(split_learned(options.adapters, options.learn));
  engine_settings.adapters = options.adapters;
  engine_settings.max_sequences = options.generation.num_choices;
  RUVLLM_TRY(
      apply_speculation(options.speculation, context.options, Speculation::kAuto, engine_settings));
  apply_cache(options.cache, context.options, engine_settings);
  const bool chat = !options.prompt && options.prompt_file.empty() && !context.output.json() &&
                    context.output.out_is_terminal() && isatty(STDIN_FILENO) == 1;
  if (chat && options.generation.num_choices > 1) {
    return fail(ErrorCode::kInvalidArgument,
                "run: --choices needs a prompt; a chat has one answer");
  }
  if (!options.prompt && !chat) {
    const std::string source = options.prompt_file.empty() ? "-" : options.prompt_file;
    RUVLLM_ASSIGN(FileText text, read_text(source));
    options.prompt = std::move(text.text);
  }
  RUVLLM_ASSIGN(const std::unique_ptr<Engine> engine, Engine::create(engine_settings));
  if (!engine->info().generates_text) {
    return fail(ErrorCode::kUnsupported,
                "{}: {} models compute embeddings and generate no text; use `ruvllm embed`",
                engine_settings.model_path, engine->info().architecture);
  }
  note_cache_warning(*engine, context.output);
  RUVLLM_ASSIGN(const std::unique_ptr<Sona> sona,
                open_sona(*engine, options.learn, context.output));
  const Status done = chat ? run_chat(*engine,
                                      {.generation = options.generation,
                                       .system = options.system,
                                       .template_variables = options.chat_template.variables,
                                       .raw = options.raw,
                                       .verbose = options.verbose,
                                       .user = options.learn.user,
                                       .sona = sona.get(),
                                       .learns_messages = options.learns_messages},
                                      context.output)
                           : answer_once(*engine, options, context.output);
  save_cache(*engine, context.output);
  return done;
}

}  // namespace

void add_run_command(CommandLine& line) {
  auto options = std::make_shared<RunOptions>();
  CommandLine::Command& command =
      line.add("run", "Answer a prompt, or chat when none is given", CommonSet::kAll);
  CommandParser& parser = command.parser;
  auto first = std::make_shared<std::string>();
  auto second = std::make_shared<std::string>();
  const Option model = parser.add_option("MODEL", *first, kModelHelp).value_name("FILE");
  const Option text = parser.add_option("PROMPT", *second, "The prompt").value_name("TEXT");
  const Option prompt =
      parser.add_option("-p,--prompt", options->prompt, "The prompt").value_name("TEXT");
  parser
      .add_option("-f,--file", options->prompt_file,
                  "Read the prompt from a file; -: standard input")
      .value_name("FILE")
      .excludes(prompt);
  parser.add_option("--system", options->system, "System prompt").value_name("TEXT");
  parser.add_flag("--raw", options->raw, "No chat template: the model goes on with the text");
  parser.add_flag("-v,--verbose", options->verbose, "Report speed after each answer");
  add_chat_template_flags(parser, options->chat_template);
  add_generation_flags(parser, options->generation);
  add_adapter_flag(parser, options->adapters);
  add_user_flag(parser, options->learn);
  parser.add_flag("--learn", options->learns_messages,
                  "In a chat: learn from what the user writes, too (with --user)");
  add_state_flags(parser, options->learn.state);
  add_speculation_flags(parser, options->speculation, "auto");
  add_cache_flags(parser, options->cache);
  parser.footer(
      "Examples:\n"
      "  ruvllm run -p 'What is the capital of France?'\n"
      "  ruvllm run model.gguf\n"
      "  ruvllm run --raw -p 'Once upon a time' -n 60 --temp 0\n"
      "  git diff | ruvllm run -m model.gguf --system 'Write a commit message.'");
  parser.check([options, &command, first, second, model, text] {
    std::vector<std::string> arguments;
    if (model.given()) arguments.push_back(*first);
    if (text.given()) arguments.push_back(*second);
    return assign_positional(*options, arguments, command.flags.model.has_value());
  });
  command.run = [options](CommandContext& context) { return run(*options, context); };
}

}  // namespace ruvllm::cli
