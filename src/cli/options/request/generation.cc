#include "cli/options/request/generation.h"

#include <algorithm>
#include <array>
#include <limits>

#include <fmt/format.h>

#include "cli/options/values.h"

namespace ruvllm::cli {
namespace {

struct Parameter {
  const char* name;
  const char* flags;
  const char* value_name;
  const char* help;
  Status (*set)(GenerationOptions& options, std::string_view value);
  std::string (*get)(const GenerationOptions& options);
};

template <auto Member>
struct SamplingField {
  template <auto Low, auto High>
  static Status set(GenerationOptions& options, std::string_view value) {
    auto& field = options.sampling.*Member;
    using Field = std::remove_reference_t<decltype(field)>;
    RUVLLM_ASSIGN(field,
                  parse_number<Field>(value, static_cast<Field>(Low), static_cast<Field>(High)));
    return {};
  }
  static std::string get(const GenerationOptions& options) {
    return fmt::format("{}", options.sampling.*Member);
  }
};

Status set_seed(GenerationOptions& options, std::string_view value) {
  if (value == "-1" || value == "random") {
    options.sampling.seed.reset();
    return {};
  }
  RUVLLM_ASSIGN(options.sampling.seed,
                parse_number<uint64_t>(value, 0, std::numeric_limits<uint64_t>::max()));
  return {};
}

std::string get_seed(const GenerationOptions& options) {
  return options.sampling.seed ? fmt::format("{}", *options.sampling.seed) : "random";
}

Status set_max_tokens(GenerationOptions& options, std::string_view value) {
  RUVLLM_ASSIGN(const int64_t count,
                parse_number<int64_t>(value, -1, std::numeric_limits<uint32_t>::max()));
  options.max_tokens = static_cast<uint32_t>(std::max<int64_t>(count, 0));
  return {};
}

std::string get_max_tokens(const GenerationOptions& options) {
  return fmt::format("{}", options.max_tokens);
}

using Temperature = SamplingField<&SamplingParams::temperature>;
using TopK = SamplingField<&SamplingParams::top_k>;
using TopP = SamplingField<&SamplingParams::top_p>;
using MinP = SamplingField<&SamplingParams::min_p>;
using RepeatPenalty = SamplingField<&SamplingParams::repetition_penalty>;
using FrequencyPenalty = SamplingField<&SamplingParams::frequency_penalty>;
using PresencePenalty = SamplingField<&SamplingParams::presence_penalty>;
using RepeatLastN = SamplingField<&SamplingParams::penalty_last_n>;
constexpr int32_t kMaxInt = std::numeric_limits<int32_t>::max();

constexpr std::array kParameters = {
    Parameter{"n", "-n,--max-tokens", "N",
              "Most tokens of the answer; 0: until the context is full", set_max_tokens,
              get_max_tokens},
    Parameter{"temp", "--temp,--temperature", "T", "Temperature; 0: always the likeliest token",
              Temperature::set<0, 100>, Temperature::get},
    Parameter{"top_k", "--top-k", "K", "Keep the K likeliest tokens; 0: all", TopK::set<0, kMaxInt>,
              TopK::get},
    Parameter{"top_p", "--top-p", "P", "Keep the likeliest tokens that reach probability P; 1: all",
              TopP::set<0, 1>, TopP::get},
    Parameter{"min_p", "--min-p", "P", "Drop tokens below P times the likeliest one; 0: none",
              MinP::set<0, 1>, MinP::get},
    Parameter{"repeat_penalty", "--repeat-penalty", "X", "Divide logits of recent tokens; 1: off",
              RepeatPenalty::set<0, 100>, RepeatPenalty::get},
    Parameter{"frequency_penalty", "--frequency-penalty", "X",
              "Subtract for each recent occurrence; 0: off", FrequencyPenalty::set<-100, 100>,
              FrequencyPenalty::get},
    Parameter{"presence_penalty", "--presence-penalty", "X",
              "Subtract once for a recent token; 0: off", PresencePenalty::set<-100, 100>,
              PresencePenalty::get},
    Parameter{"repeat_last_n", "--repeat-last-n", "N", "Recent means the last N tokens; -1: all",
              RepeatLastN::set<-1, kMaxInt>, RepeatLastN::get},
    Parameter{"seed", "-s,--seed", "SEED", "Same seed, same text; -1: a random one", set_seed,
              get_seed},
};

}  // namespace

void add_generation_flags(CommandParser& command, GenerationOptions& options) {
  constexpr const char* kGroup = "Sampling";
  const GenerationOptions defaults;
  for (const Parameter& parameter : kParameters) {
    command
        .add_parsed_option(
            parameter.flags,
            [&parameter, &options](const std::string& value) {
              return parameter.set(options, value);
            },
            parameter.help)
        .value_name(parameter.value_name)
        .show_default(parameter.get(defaults))
        .group(kGroup);
  }
  command
      .add_parsed_list(
          "--logit-bias",
          [&options](const std::string& value) -> Status {
            RUVLLM_ASSIGN(const auto bias, parse_logit_bias(value));
            options.sampling.logit_bias.push_back(bias);
            return {};
          },
          "Add BIAS to a token's logit (repeatable)")
      .value_name("ID=BIAS")
      .group(kGroup);
  command.add_option("--stop", options.stop, "End the answer before TEXT (repeatable)")
      .value_name("TEXT")
      .group(kGroup);
  command
      .add_option("--choices", options.num_choices,
                  "So many answers; number i is that of the seed plus i")
      .range(1, 128)
      .value_name("N")
      .group(kGroup);
  command.add_flag("--ignore-eos", options.ignore_end, "Go on past the model's end of answer")
      .group(kGroup);
  command
      .add_option("--logprobs", options.sampling.num_logprobs,
                  "Log-probabilities of the N likeliest tokens; 0: of the chosen one")
      .range(0, 1000)
      .value_name("N")
      .group(kGroup);
}

Status set_parameter(GenerationOptions& options, std::string_view name, std::string_view value) {
  std::string key(name);
  std::ranges::replace(key, '-', '_');
  for (const Parameter& parameter : kParameters) {
    if (key != parameter.name) continue;
    const Status status = parameter.set(options, value);
    if (status) return {};
    return fail(ErrorCode::kInvalidArgument, "{}: {}", parameter.name, status.error().message());
  }
  std::string known;
  for (const Parameter& parameter : kParameters) {
    known += fmt::format("{}{}", known.empty() ? "" : ", ", parameter.name);
  }
  return fail(ErrorCode::kInvalidArgument, "no parameter '{}'; there are {}", name, known);
}

std::vector<std::pair<std::string, std::string>> list_parameters(const GenerationOptions& options) {
  std::vector<std::pair<std::string, std::string>> out;
  for (const Parameter& parameter : kParameters) {
    out.emplace_back(parameter.name, parameter.get(options));
  }
  return out;
}

GenerationRequest make_request(const GenerationOptions& options, std::vector<TokenId> prompt) {
  GenerationRequest request;
  request.prompt = std::move(prompt);
  request.sampling = options.sampling;
  request.max_tokens = options.max_tokens;
  request.num_choices = options.num_choices;
  request.stop = options.stop;
  request.ignore_end = options.ignore_end;
  return request;
}

}  // namespace ruvllm::cli
