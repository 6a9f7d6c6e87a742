// Lines typed at a terminal, edited with libedit, with a history that outlives the program.
#pragma once

#include <memory>
#include <string>

#include <histedit.h>

#include "base/core/error.h"
#include "cli/terminal/interrupt.h"

namespace ruvllm::cli {

class LineEditor {
 public:
  enum class Outcome { kLine, kEnd, kInterrupted };
  struct Line {
    Outcome outcome = Outcome::kEnd;
    std::string text;       // without the newline
    bool was_empty = true;  // kInterrupted: nothing had been typed yet
  };

  // `history_path` "": no history file. A file that cannot be read is an empty history.
  static Result<std::unique_ptr<LineEditor>> create(std::string history_path);
  ~LineEditor();
  LineEditor(const LineEditor&) = delete;
  LineEditor& operator=(const LineEditor&) = delete;

  // Waits for a line, or for Ctrl-C as `interrupts` (a scope without a call) reports it.
  Line read(const std::string& prompt, InterruptScope& interrupts);
  // Adds a line to the history and to its file.
  void remember(const std::string& line);

 private:
  LineEditor() = default;
  static const char* prompt_of(EditLine* editor);
  static int read_character(EditLine* editor, wchar_t* character);

  std::string history_path_;
  std::string prompt_;
  InterruptScope* interrupts_ = nullptr;  // during read()
  EditLine* editor_ = nullptr;
  History* history_ = nullptr;
};

}  // namespace ruvllm::cli
