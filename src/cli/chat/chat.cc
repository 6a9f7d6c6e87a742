#include "cli/chat/chat.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "cli/chat/command.h"
#include "cli/chat/conversation.h"
#include "cli/chat/multiline.h"
#include "cli/commands/learn/learn.h"
#include "cli/generation/answer.h"
#include "cli/options/request/chat_template.h"
#include "cli/options/values.h"
#include "cli/terminal/interrupt.h"
#include "cli/terminal/line_editor.h"
#include "cli/terminal/text.h"
#include <ruvllm/settings.h>

namespace ruvllm::cli {
namespace {

class Chat {
 public:
  Chat(Engine& engine, const ChatOptions& options, Output& output)
      : engine_(engine),
        options_(options),
        output_(output),
        templated_(engine.info().has_chat_template && !options.raw) {
    conversation_.set_system(options.system);
  }

  Status run();

 private:
  void greet() const;
  // Reads one message, possibly of several lines; nullopt: leave.
  std::optional<std::string> read_message();
  // False: leave.
  bool handle_interrupt(bool line_was_empty);
  // False: leave. Errors are shown and the chat goes on.
  bool handle(const std::string& message);
  Status execute(const ChatCommand& command);
  Status answer();
  Result<GenerationRequest> next_request(uint64_t& tokenization_us);

  // Feedback on the last answer, and what it did.
  Status teach(const ChatCommand& command);
  Status learn_message(const std::string& message);
  void show_outcome(const LearnOutcome& outcome) const;

  Status save(const std::string& path) const;
  Status load(const std::string& path);
  void show() const;
  void show_history() const;
  void show_stats() const;
  void print(std::string_view text) const { output_.note(text); }

  Engine& engine_;
  ChatOptions options_;
  Output& output_;
  bool templated_;
  Conversation conversation_;
  std::optional<GenerationSummary> last_summary_;
  std::unique_ptr<LineEditor> editor_;
  MultilineInput input_;
  InterruptScope interrupts_;
  unsigned num_interrupts_ = 0;  // in a row, at an empty prompt
};

void Chat::greet() const {
  const EngineInfo& info = engine_.info();
  print(fmt::format(
      "{}  {} parameters, context {} tokens, {} threads",
      output_.err_style().bold(info.model_name.empty() ? info.architecture : info.model_name),
      format_count(info.num_parameters), info.context_length, info.num_threads));
  print(output_.err_style().dim("/help lists the commands, Ctrl-D leaves"));
  if (!info.has_chat_template) {
    print("This model has no chat template: answers continue a plain User/Assistant transcript.");
  } else if (const std::string note = chat_template_note(info); !note.empty() && !options_.raw) {
    print(note);
  }
}

bool Chat::handle_interrupt(bool line_was_empty) {
  output_.write("\n");
  const bool nothing_typed = line_was_empty && !input_.in_progress();
  input_.reset();
  num_interrupts_ = nothing_typed ? num_interrupts_ + 1 : 0;
  if (num_interrupts_ >= 2) return false;
  if (nothing_typed) print(output_.err_style().dim("Ctrl-C again or Ctrl-D leaves"));
  return true;
}

std::optional<std::string> Chat::read_message() {
  while (true) {
    LineEditor::Line line = editor_->read(input_.in_progress() ? "... " : ">>> ", interrupts_);
    switch (line.outcome) {
      case LineEditor::Outcome::kEnd:
        output_.write("\n");
        return std::nullopt;
      case LineEditor::Outcome::kInterrupted:
        if (!handle_interrupt(line.was_empty)) return std::nullopt;
        break;
      case LineEditor::Outcome::kLine:
        num_interrupts_ = 0;
        editor_->remember(line.text);
        if (auto message = input_.add_line(line.text)) return message;
        break;
    }
  }
}

bool Chat::handle(const std::string& message) {
  if (message.find_first_not_of(" \t\n") == std::string::npos) return true;
  Status status;
  if (message.starts_with('/')) {
    auto command = parse_chat_command(message);
    if (command && command->kind == ChatCommandKind::kExit) return false;
    status = command ? execute(*command) : Status(std::unexpected(command.error()));
  } else {
    conversation_.add("user", message);
    status = answer();
    if (!status) conversation_.undo();
    if (status && options_.learns_messages) status = learn_message(message);
  }
  if (!status)
    report_error(output_, error_code_name(status.error().code()), status.error().message());
  return !output_.closed();
}

Result<GenerationRequest> Chat::next_request(uint64_t& tokenization_us) {
  const auto start = std::chrono::steady_clock::now();
  const Encoder encode =
      [this](const std::vector<ChatMessage>& messages) -> Result<std::vector<TokenId>> {
    if (templated_)
      return engine_.encode_chat(messages, {.variables = options_.template_variables});
    return engine_.tokenizer().encode(plain_transcript(messages), false, true);
  };
  const uint32_t context = engine_.info().context_length;
  const uint32_t wanted = options_.generation.max_tokens;
  const uint32_t reserve = wanted > 0 ? std::min(wanted, context / 4) : context / 4;
  size_t num_dropped = 0;
  RUVLLM_ASSIGN(std::vector<TokenId> ids,
                encode_within(conversation_, encode, context, reserve, num_dropped));
  if (num_dropped > 0) {
    print(output_.err_style().dim(
        fmt::format("the oldest {} messages no longer fit the context of {} tokens and are "
                    "forgotten",
                    num_dropped, context)));
  }
  GenerationRequest request = make_request(options_.generation, std::move(ids));
  if (!templated_) request.stop.emplace_back(kPlainTranscriptStop);
  request.user = options_.user;
  const auto elapsed = std::chrono::steady_clock::now() - start;
  tokenization_us =
      static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(elapsed).count());
  return request;
}

Status Chat::answer() {
  uint64_t tokenization_us = 0;
  RUVLLM_ASSIGN(GenerationRequest request, next_request(tokenization_us));
  RUVLLM_ASSIGN(Answer answer,
                generate_answer(engine_, std::move(request), tokenization_us,
                                [this](std::string_view text) { return output_.write(text); }));
  if (!answer.text.ends_with('\n')) output_.write("\n");
  if (answer.interrupted) print(output_.err_style().dim("(stopped)"));
  conversation_.add("assistant", std::move(answer.text));
  last_summary_ = answer.summary;
  if (options_.verbose) print(output_.err_style().dim(describe_speed(answer.summary)));
  return {};
}

void Chat::show_outcome(const LearnOutcome& outcome) const {
  print(output_.err_style().dim(fmt::format("{}: {}", options_.user, describe(outcome))));
}

Status Chat::teach(const ChatCommand& command) {
  if (options_.sona == nullptr) {
    return fail(ErrorCode::kInvalidArgument,
                "nobody is taught here: start the chat with `ruvllm run --user NAME`");
  }
  if (!last_summary_ || last_summary_->response_id.empty()) {
    return fail(ErrorCode::kInvalidArgument, "there is no answer yet that feedback could be about");
  }
  const std::string& response = last_summary_->response_id;
  if (command.kind != ChatCommandKind::kFix) {
    const double score = command.kind == ChatCommandKind::kGood ? 1.0 : 0.0;
    RUVLLM_ASSIGN(const LearnOutcome outcome, options_.sona->rate(options_.user, response, score));
    show_outcome(outcome);
    return {};
  }
  RUVLLM_ASSIGN(const LearnOutcome outcome,
                options_.sona->correct(options_.user, response, command.argument));
  show_outcome(outcome);
  return conversation_.drop_answer() ? answer() : Status();
}

Status Chat::learn_message(const std::string& message) {
  RUVLLM_ASSIGN(const LearnOutcome outcome, options_.sona->learn_text(options_.user, message));
  show_outcome(outcome);
  return {};
}

Status Chat::execute(const ChatCommand& command) {
  switch (command.kind) {
    case ChatCommandKind::kHelp:
      print(chat_help());
      return {};
    case ChatCommandKind::kClear:
      conversation_.clear();
      last_summary_.reset();
      return {};
    case ChatCommandKind::kSystem:
      conversation_.set_system(command.argument);
      return {};
    case ChatCommandKind::kSet:
      return set_parameter(options_.generation, command.argument, command.value);
    case ChatCommandKind::kShow:
      show();
      return {};
    case ChatCommandKind::kHistory:
      show_history();
      return {};
    case ChatCommandKind::kSave:
      return save(command.argument);
    case ChatCommandKind::kLoad:
      return load(command.argument);
    case ChatCommandKind::kRegenerate:
      if (conversation_.drop_answer()) return answer();
      return fail(ErrorCode::kInvalidArgument, "/regen: nothing was asked yet");
    case ChatCommandKind::kUndo:
      if (conversation_.undo()) return {};
      return fail(ErrorCode::kInvalidArgument, "/undo: nothing was said yet");
    case ChatCommandKind::kGood:
    case ChatCommandKind::kBad:
    case ChatCommandKind::kFix:
      return teach(command);
    case ChatCommandKind::kStats:
      show_stats();
      return {};
    case ChatCommandKind::kExit:
      return {};
  }
  return {};
}

Status Chat::save(const std::string& path) const {
  const std::string text = conversation_.to_json();
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "w"),
                                                             &std::fclose);
  if (file == nullptr || std::fwrite(text.data(), 1, text.size(), file.get()) != text.size() ||
      std::fflush(file.get()) != 0) {
    return fail(ErrorCode::kUnavailable, "/save {}: cannot write: {}", path, std::strerror(errno));
  }
  print(fmt::format("saved {} messages to {}", conversation_.turns().size(), path));
  return {};
}

Status Chat::load(const std::string& path) {
  RUVLLM_ASSIGN(const FileText text, read_text(path));
  RUVLLM_ASSIGN(conversation_, Conversation::from_json(text.text, path));
  print(fmt::format("loaded {} messages from {}", conversation_.turns().size(), path));
  return {};
}

void Chat::show() const {
  const EngineInfo& info = engine_.info();
  Table table({Table::Align::kLeft, Table::Align::kLeft});
  table.add_row({"model", info.model_name});
  table.add_row({"architecture", info.architecture});
  table.add_row(
      {"device", fmt::format("{} ({}), {} threads", info.device, info.isa, info.num_threads)});
  table.add_row({"context", fmt::format("{} tokens", info.context_length)});
  table.add_row(
      {"system", conversation_.system().empty() ? "none" : quote(conversation_.system())});
  for (const auto& [name, value] : list_parameters(options_.generation)) {
    table.add_row({name, value});
  }
  print(table.render());
}

void Chat::show_history() const {
  for (const ChatMessage& message : conversation_.messages()) {
    print(fmt::format("{} {}", output_.err_style().bold(message.role + ":"), message.content));
  }
}

void Chat::show_stats() const {
  if (last_summary_) {
    const LatencyBreakdown& latency = last_summary_->latency;
    print(describe_speed(*last_summary_));
    print(fmt::format("{:.1f} ms, most of it {}; prompt tokens from the cache: {}",
                      latency.total_ms(), latency.bottleneck(),
                      last_summary_->cached_prompt_tokens));
  }
  const MemoryReport memory = engine_.memory();
  print(fmt::format(
      "memory: process {}, weights mapped {} and packed {}, cache used {} and kept {} of {}",
      format_bytes(memory.process_resident), format_bytes(memory.weights_mapped),
      format_bytes(memory.weights_packed), format_bytes(memory.cache_used),
      format_bytes(memory.cache_cached), format_bytes(memory.cache_reserved)));
}

Status Chat::run() {
  // A chat without a place for its history is still a chat.
  const auto history = history_path();
  RUVLLM_ASSIGN(editor_, LineEditor::create(history.value_or("")));
  greet();
  while (true) {
    const std::optional<std::string> message = read_message();
    if (!message || !handle(*message)) return {};
  }
}

}  // namespace

Status run_chat(Engine& engine, const ChatOptions& options, Output& output) {
  return Chat(engine, options, output).run();
}

}  // namespace ruvllm::cli
