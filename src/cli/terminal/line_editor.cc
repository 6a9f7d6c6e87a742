#include "cli/terminal/line_editor.h"

#include <cerrno>
#include <cstdio>
#include <cwchar>
#include <string_view>
#include <utility>

#include <poll.h>
#include <unistd.h>

namespace ruvllm::cli {
namespace {
constexpr int kHistorySize = 1000;
}  // namespace

Result<std::unique_ptr<LineEditor>> LineEditor::create(std::string history_path) {
  std::unique_ptr<LineEditor> editor(new LineEditor);
  editor->history_path_ = std::move(history_path);
  editor->editor_ = el_init("ruvllm", stdin, stdout, stderr);
  editor->history_ = history_init();
  if (editor->editor_ == nullptr || editor->history_ == nullptr) {
    return fail(ErrorCode::kUnavailable,
                "cannot edit lines on this terminal; pipe the prompt in or pass it with -p");
  }
  HistEvent event;
  history(editor->history_, &event, H_SETSIZE, kHistorySize);
  history(editor->history_, &event, H_SETUNIQUE, 1);
  if (!editor->history_path_.empty()) {
    history(editor->history_, &event, H_LOAD, editor->history_path_.c_str());
  }
  el_set(editor->editor_, EL_CLIENTDATA, editor.get());
  el_set(editor->editor_, EL_PROMPT, &LineEditor::prompt_of);
  el_set(editor->editor_, EL_GETCFN, &LineEditor::read_character);
  el_set(editor->editor_, EL_EDITOR, "emacs");
  el_set(editor->editor_, EL_HIST, ::history, editor->history_);
  el_set(editor->editor_, EL_BIND, "^R", "em-inc-search-prev", nullptr);
  return editor;
}

LineEditor::~LineEditor() {
  if (editor_ != nullptr) el_end(editor_);
  if (history_ != nullptr) history_end(history_);
}

const char* LineEditor::prompt_of(EditLine* editor) {
  void* self = nullptr;
  el_get(editor, EL_CLIENTDATA, &self);
  return static_cast<LineEditor*>(self)->prompt_.c_str();
}

// Waits for the terminal and for Ctrl-C at once: a signal that comes between two reads is not lost.
int LineEditor::read_character(EditLine* editor, wchar_t* character) {
  void* client = nullptr;
  el_get(editor, EL_CLIENTDATA, &client);
  const auto* self = static_cast<LineEditor*>(client);
  mbstate_t state{};
  while (true) {
    pollfd waiting[] = {{STDIN_FILENO, POLLIN, 0}, {self->interrupts_->descriptor(), POLLIN, 0}};
    if (poll(waiting, 2, -1) < 0 && errno != EINTR) return -1;
    if (self->interrupts_->pending()) return -1;
    if (waiting[0].revents == 0) continue;
    char byte = 0;
    const ssize_t count = ::read(STDIN_FILENO, &byte, 1);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return static_cast<int>(count);
    const size_t length = std::mbrtowc(character, &byte, 1, &state);
    if (length <= 1) return 1;
    if (length == static_cast<size_t>(-1)) state = {};  // no UTF-8: the bytes so far are dropped
  }
}

LineEditor::Line LineEditor::read(const std::string& prompt, InterruptScope& interrupts) {
  prompt_ = prompt;
  interrupts_ = &interrupts;
  interrupts.take();
  el_resize(editor_);
  int count = 0;
  const char* typed = el_gets(editor_, &count);
  if (typed != nullptr && count > 0) {
    std::string_view text(typed, static_cast<size_t>(count));
    if (text.ends_with('\n')) text.remove_suffix(1);
    return {Outcome::kLine, std::string(text), text.empty()};
  }
  if (!interrupts.take()) return {};
  const LineInfo* line = el_line(editor_);
  return {Outcome::kInterrupted, "", line == nullptr || line->lastchar == line->buffer};
}

void LineEditor::remember(const std::string& line) {
  if (line.empty()) return;
  HistEvent event;
  history(history_, &event, H_ENTER, line.c_str());
  if (!history_path_.empty()) history(history_, &event, H_SAVE, history_path_.c_str());
}

}  // namespace ruvllm::cli
