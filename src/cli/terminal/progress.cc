#include "cli/terminal/progress.h"

#include <algorithm>
#include <cstdio>
#include <string_view>

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/terminal/text.h"

namespace ruvllm::cli {
namespace {

constexpr auto kBarInterval = std::chrono::milliseconds(100);
constexpr auto kLineInterval = std::chrono::seconds(10);
constexpr size_t kMinBarWidth = 5;
constexpr size_t kMaxBarWidth = 40;

double fraction_done(const ProgressState& state) {
  if (state.total == 0) return 1.0;
  return std::min(1.0, static_cast<double>(state.done) / static_cast<double>(state.total));
}

std::string describe(const ProgressState& state) {
  const uint64_t newly_done = state.done - std::min(state.done, state.already_done);
  const double rate = state.seconds > 0.0 ? static_cast<double>(newly_done) / state.seconds : 0.0;
  if (state.unit == ProgressUnit::kBytes && state.total == 0) {
    const std::string detail = state.detail.empty() ? "" : "  " + state.detail;
    return fmt::format("{}  {}/s{}", format_bytes(state.done),
                       format_bytes(static_cast<uint64_t>(rate)), detail);
  }
  std::string out = fmt::format("{:3.0f}%", fraction_done(state) * 100.0);
  if (state.unit == ProgressUnit::kBytes) {
    out += fmt::format("  {} of {}  {}/s", format_bytes(state.done), format_bytes(state.total),
                       format_bytes(static_cast<uint64_t>(rate)));
  } else {
    out += fmt::format("  {} of {} tokens  {:.0f} tok/s", state.done, state.total, rate);
  }
  if (rate > 0.0 && state.done < state.total) {
    out += "  ETA " + format_duration(static_cast<double>(state.total - state.done) / rate);
  }
  if (!state.detail.empty()) out += "  " + state.detail;
  return out;
}

size_t terminal_columns() {
  winsize size{};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return size.ws_col;
}

void write_error_stream(std::string_view text) {
  (void)std::fwrite(text.data(), 1, text.size(), stderr);
  (void)std::fflush(stderr);
}

}  // namespace

std::string render_progress_line(const ProgressState& state) {
  return state.label + "  " + describe(state);
}

std::string render_progress_bar(const ProgressState& state, size_t columns) {
  const std::string line = render_progress_line(state);
  const size_t used = display_width(line) + 4;  // brackets and two spaces
  if (columns < used + kMinBarWidth) return line.substr(0, columns);
  const size_t width = std::min(kMaxBarWidth, columns - used);
  const auto filled = static_cast<size_t>(fraction_done(state) * static_cast<double>(width));
  return fmt::format("{}  [{}{}]  {}", state.label, std::string(filled, '#'),
                     std::string(width - filled, '.'), describe(state));
}

Progress::Progress(const Output& output, std::string label, ProgressUnit unit, uint64_t total,
                   uint64_t already_done)
    : is_terminal_(output.err_is_terminal()),
      next_draw_(start_ + (is_terminal_ ? Clock::duration(kBarInterval) : kLineInterval)) {
  state_.label = std::move(label);
  state_.unit = unit;
  state_.total = total;
  state_.already_done = already_done;
}

Progress::~Progress() { finish(); }

void Progress::update(uint64_t done, std::string detail) {
  const auto now = Clock::now();
  if (now < next_draw_) return;
  next_draw_ = now + (is_terminal_ ? Clock::duration(kBarInterval) : kLineInterval);
  state_.done = done;
  state_.detail = std::move(detail);
  state_.seconds = std::chrono::duration<double>(now - start_).count();
  if (is_terminal_) {
    write_error_stream("\r\033[K" + render_progress_bar(state_, terminal_columns() - 1));
    drawn_ = true;
  } else {
    write_error_stream(render_progress_line(state_) + "\n");
  }
}

void Progress::finish() {
  if (drawn_) write_error_stream("\r\033[K");
  drawn_ = false;
}

}  // namespace ruvllm::cli
