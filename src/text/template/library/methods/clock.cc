#include "text/template/library/methods/clock.h"

#include <array>
#include <cmath>
#include <ctime>

namespace ruvllm::text::jinja {
namespace {

constexpr std::array<std::string_view, 7> kDays = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                                   "Thursday", "Friday", "Saturday"};
constexpr std::array<std::string_view, 12> kMonths = {
    "January", "February", "March",     "April",   "May",      "June",
    "July",    "August",   "September", "October", "November", "December"};

Result<std::string> format_fields(std::string_view format, const std::tm& time);

// The format that a directive is short for, empty when it is none of that kind.
std::string_view expansion(char kind) {
  switch (kind) {
    case 'F':
      return "%Y-%m-%d";
    case 'T':
    case 'X':
      return "%H:%M:%S";
    case 'D':
    case 'x':
      return "%m/%d/%y";
    case 'R':
      return "%H:%M";
    case 'c':
      return "%a %b %e %H:%M:%S %Y";
    default:
      return {};
  }
}

// The text of one directive; `padded` is false for the form with a dash, as in %-d.
Result<std::string> directive(char kind, bool padded, const std::tm& time) {
  const auto number = [padded](int value, int width) {
    return padded ? fmt::format("{:0{}}", value, width) : fmt::format("{}", value);
  };
  const auto day = kDays[static_cast<size_t>(time.tm_wday)];
  const auto month = kMonths[static_cast<size_t>(time.tm_mon)];
  const int hour = time.tm_hour % 12 == 0 ? 12 : time.tm_hour % 12;
  if (const auto longer = expansion(kind); !longer.empty()) return format_fields(longer, time);
  switch (kind) {
    case 'Y':
      return fmt::format("{}", time.tm_year + 1900);
    case 'y':
      return number(time.tm_year % 100, 2);
    case 'm':
      return number(time.tm_mon + 1, 2);
    case 'd':
      return number(time.tm_mday, 2);
    case 'e':
      return padded ? fmt::format("{:2}", time.tm_mday) : number(time.tm_mday, 1);
    case 'H':
      return number(time.tm_hour, 2);
    case 'I':
      return number(hour, 2);
    case 'M':
      return number(time.tm_min, 2);
    case 'S':
      return number(time.tm_sec, 2);
    case 'j':
      return number(time.tm_yday + 1, 3);
    case 'w':
      return fmt::format("{}", time.tm_wday);
    case 'f':
      return std::string("000000");
    case 'p':
      return std::string(time.tm_hour < 12 ? "AM" : "PM");
    case 'A':
      return std::string(day);
    case 'a':
      return std::string(day.substr(0, 3));
    case 'B':
      return std::string(month);
    case 'b':
    case 'h':
      return std::string(month.substr(0, 3));
    case 'Z':
    case 'z':
      return std::string();  // of a time without a zone, as datetime.now() gives it
    case '%':
      return std::string("%");
    case 'n':
      return std::string("\n");
    case 't':
      return std::string("\t");
    default:
      break;
  }
  return fail(ErrorCode::kInvalidArgument, "strftime_now does not know %{}", kind);
}

Result<std::string> format_fields(std::string_view format, const std::tm& time) {
  std::string out;
  for (size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%') {
      out.push_back(format[i]);
      continue;
    }
    const bool padded = i + 1 >= format.size() || format[i + 1] != '-';
    i += padded ? 1 : 2;
    if (i >= format.size()) {
      return fail(ErrorCode::kInvalidArgument, "the format of strftime_now ends in a single %");
    }
    RUVLLM_ASSIGN(const std::string text, directive(format[i], padded, time));
    out += text;
  }
  return out;
}

}  // namespace

Result<std::string> format_time(std::string_view format, const double* unix_seconds) {
  constexpr double kLatest = 253402300799.0;  // the last second of the year 9999
  if (format.size() > 1000) {
    return fail(ErrorCode::kInvalidArgument, "the format of strftime_now is over 1000 bytes");
  }
  if (unix_seconds != nullptr && !(std::fabs(*unix_seconds) <= kLatest)) {
    return fail(ErrorCode::kInvalidArgument, "the clock of strftime_now is not a time in seconds");
  }
  const std::time_t seconds =
      unix_seconds != nullptr ? static_cast<std::time_t>(*unix_seconds) : std::time(nullptr);
  std::tm time{};
  const std::tm* broken_down =
      unix_seconds != nullptr ? gmtime_r(&seconds, &time) : localtime_r(&seconds, &time);
  if (broken_down == nullptr) {
    return fail(ErrorCode::kInvalidArgument, "the time {} has no date", seconds);
  }
  return format_fields(format, time);
}

}  // namespace ruvllm::text::jinja
