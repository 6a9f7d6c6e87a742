#include "cli/terminal/line_editor.h"

#include <cerrno>
#include <cstdio>
#include <string_view>
#include <utility>

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

LineEditor::Line LineEditor::read(const std::string& prompt, InterruptScope& interrupts) {
  prompt_ = prompt;
  interrupts.take();
  el_resize(editor_);
  while (true) {
    int count = 0;
    errno = 0;
    const char* typed = el_gets(editor_, &count);
    if (typed != nullptr && count > 0) {
      std::string_view text(typed, static_cast<size_t>(count));
      if (text.ends_with('\n')) text.remove_suffix(1);
      return {Outcome::kLine, std::string(text), text.empty()};
    }
    if (interrupts.take()) {
      const LineInfo* line = el_line(editor_);
      const bool was_empty = line == nullptr || line->lastchar == line->buffer;
      return {Outcome::kInterrupted, "", was_empty};
    }
    // Another signal (a stopped job continued, say) ended the read: ask again. All else is the end.
    if (count >= 0 || errno != EINTR) return {};
  }
}

void LineEditor::remember(const std::string& line) {
  if (line.empty()) return;
  HistEvent event;
  history(history_, &event, H_ENTER, line.c_str());
  if (!history_path_.empty()) history(history_, &event, H_SAVE, history_path_.c_str());
}

}  // namespace ruvllm::cli
