#include "text/template/families/families.h"

#include <algorithm>
#include <cctype>
#include <initializer_list>
#include <unordered_set>
#include <utility>

namespace ruvllm::text {
namespace {

// A turn is `turn` with ROLE replaced by its name, the text, and the close of its role. `merge`:
// what stands around system text at the beginning of the next user turn; none: a turn of its own.
// `between`: before every user turn but the first. `prompt`: what begins an answer, by default the
// assistant's turn. `stripped`: no white space around texts.
constexpr std::string_view kBody = R"jinja(
{%- set known = {'system': 'system', 'user': 'user', 'assistant': 'assistant', 'tool': 'tool'} -%}
{%- macro opening(role) -%}
  {{- turn | replace('ROLE', (names or {}).get(role, known[role])) -}}
{%- endmacro -%}
{%- macro closing(role) -%}{{- close.get(role, close['all']) -}}{%- endmacro -%}
{%- macro body(message) -%}
  {%- set content = message.content if message.content is string else '' -%}
  {{- content | trim if stripped else content -}}
  {%- for call in message.tool_calls or [] -%}
    {{- '\n' if content or not loop.first }}{{ {'name': call.function.name, 'arguments': call.function.arguments} | tojson -}}
  {%- endfor -%}
{%- endmacro -%}
{%- macro tool_list() -%}
  {{- 'To call a function, answer with {"name": ..., "arguments": {...}} alone. The functions are:' -}}
  {%- for tool in tools %}{{ '\n' + (tool.function or tool) | tojson }}{% endfor -%}
{%- endmacro -%}
{%- set ns = namespace(system='', began=false) -%}
{%- if tools -%}
  {%- if messages and messages[0].role in ['system', 'developer'] -%}
    {%- set instructions = body(messages[0]) + '\n\n' + tool_list() -%}
    {%- set messages = [{'role': 'system', 'content': instructions}] + messages[1:] -%}
  {%- else -%}
    {%- set messages = [{'role': 'system', 'content': tool_list()}] + messages -%}
  {%- endif -%}
{%- endif -%}
{{- preamble -}}
{%- for message in messages -%}
  {%- set role = 'system' if message.role == 'developer' else message.role -%}
  {%- if role not in known -%}
    {{- raise_exception("the role '" ~ role ~ "' is not known; use system, user, assistant or tool") -}}
  {%- endif -%}
  {%- if role == 'system' and merge -%}
    {%- set ns.system = ns.system + merge[0] + body(message) + merge[1] -%}
  {%- else -%}
    {{- between if role == 'user' and ns.began -}}
    {{- opening(role) + (ns.system if role == 'user' else '') + body(message) + closing(role) -}}
    {%- if role == 'user' %}{% set ns.system = '' %}{% set ns.began = true %}{% endif -%}
  {%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt %}{{ prompt if prompt is defined else opening('assistant') }}{% endif -%}
)jinja";

constexpr TemplateFamily kFamilies[] = {
    {"chatml",
     R"({%- set turn = '<|im_start|>ROLE\n' -%}{%- set close = {'all': '<|im_end|>\n'} -%})"},
    {"llama3", R"({%- set turn = '<|start_header_id|>ROLE<|end_header_id|>\n\n' -%}
{%- set names = {'tool': 'ipython'} -%}
{%- set close = {'all': '<|eot_id|>'} -%}{%- set stripped = true -%})"},
    {"llama2", R"({%- set turn = 'ROLE' -%}
{%- set names = {'user': '[INST] ', 'tool': '[INST] ', 'assistant': ' '} -%}
{%- set close = {'all': ' [/INST]', 'assistant': ' ' + eos_token} -%}
{%- set merge = ['<<SYS>>\n', '\n<</SYS>>\n\n'] -%}{%- set between = bos_token -%}
{%- set prompt = '' -%}{%- set stripped = true -%})"},
    {"mistral-v1", R"({%- set turn = 'ROLE' -%}
{%- set names = {'user': ' [INST] ', 'tool': ' [INST] ', 'assistant': ' '} -%}
{%- set close = {'all': ' [/INST]', 'assistant': eos_token} -%}
{%- set merge = ['', '\n\n'] -%}{%- set prompt = '' -%})"},
    {"mistral-v3", R"({%- set turn = 'ROLE' -%}
{%- set names = {'user': '[INST] ', 'tool': '[INST] ', 'assistant': ' '} -%}
{%- set close = {'all': '[/INST]', 'assistant': eos_token} -%}
{%- set merge = ['', '\n\n'] -%}{%- set prompt = '' -%})"},
    {"mistral-tekken", R"({%- set turn = 'ROLE' -%}
{%- set names = {'user': '[INST]', 'tool': '[INST]', 'assistant': ''} -%}
{%- set close = {'all': '[/INST]', 'assistant': eos_token} -%}
{%- set merge = ['', '\n\n'] -%}{%- set prompt = '' -%})"},
    {"mistral-v7", R"({%- set turn = 'ROLE' -%}
{%- set names = {'system': '[SYSTEM_PROMPT]', 'user': '[INST]', 'tool': '[INST]', 'assistant': ''} -%}
{%- set close = {'system': '[/SYSTEM_PROMPT]', 'all': '[/INST]', 'assistant': eos_token} -%}
{%- set prompt = '' -%})"},
    {"gemma", R"({%- set turn = '<start_of_turn>ROLE\n' -%}
{%- set names = {'assistant': 'model', 'tool': 'user'} -%}
{%- set close = {'all': '<end_of_turn>\n'} -%}{%- set merge = ['', '\n\n'] -%}
{%- set stripped = true -%})"},
    {"phi3", R"({%- set turn = '<|ROLE|>\n' -%}{%- set names = {'tool': 'user'} -%}
{%- set close = {'all': '<|end|>\n'} -%})"},
    {"zephyr", R"({%- set turn = '<|ROLE|>\n' -%}{%- set names = {'tool': 'user'} -%}
{%- set close = {'all': eos_token + '\n'} -%})"},
    {"deepseek", R"({%- set turn = 'ROLE' -%}
{%- set names = {'system': '', 'user': 'User: ', 'tool': 'User: ', 'assistant': 'Assistant: '} -%}
{%- set close = {'all': '\n\n', 'assistant': eos_token} -%}{%- set prompt = 'Assistant:' -%})"},
    {"deepseek-v3", R"({%- set turn = 'ROLE' -%}
{%- set names = {'system': '', 'user': '<\uff5cUser\uff5c>', 'tool': '<\uff5cUser\uff5c>', 'assistant': '<\uff5cAssistant\uff5c>'} -%}
{%- set close = {'all': '', 'assistant': eos_token} -%})"},
    {"command-r", R"({%- set turn = '<|START_OF_TURN_TOKEN|><|ROLE_TOKEN|>' -%}
{%- set names = {'system': 'SYSTEM', 'user': 'USER', 'tool': 'SYSTEM', 'assistant': 'CHATBOT'} -%}
{%- set close = {'all': '<|END_OF_TURN_TOKEN|>'} -%}{%- set stripped = true -%})"},
    {"granite", R"({%- set turn = '<|start_of_role|>ROLE<|end_of_role|>' -%}
{%- set names = {'tool': 'tool_response'} -%}
{%- set close = {'all': '<|end_of_text|>\n'} -%})"},
    // OpenAI's harmony format. System text belongs to the developer there.
    {"gpt-oss", R"({%- set turn = '<|start|>ROLE<|message|>' -%}
{%- set names = {'system': 'developer', 'tool': 'user', 'assistant': 'assistant<|channel|>final'} -%}
{%- set close = {'all': '<|end|>'} -%}{%- set prompt = '<|start|>assistant' -%}
{%- set preamble = '<|start|>system<|message|>Reasoning: ' + (reasoning_effort or 'medium') + '\n\n# Valid channels: analysis, commentary, final. Channel must be included for every message.<|end|>' -%})"},
    {"alpaca", R"({%- set turn = 'ROLE' -%}
{%- set names = {'system': '', 'user': '### Instruction:\n', 'tool': '### Input:\n', 'assistant': '### Response:\n'} -%}
{%- set close = {'all': '\n\n'} -%})"},
};

// What tells a family. All `tokens` are special tokens of the vocabulary; the empty fields may be
// anything. Tried in this order.
struct Sign {
  std::string_view family;
  std::initializer_list<std::string_view> tokens;
  std::string_view architecture = {};
  std::string_view pre = {};
};

const Sign kSigns[] = {
    {"gpt-oss", {"<|start|>", "<|channel|>", "<|message|>"}},
    {"chatml", {"<|im_start|>", "<|im_end|>"}},
    {"llama3", {"<|start_header_id|>", "<|eot_id|>"}},
    {"gemma", {"<start_of_turn>", "<end_of_turn>"}},
    {"granite", {"<|start_of_role|>", "<|end_of_role|>"}},
    {"command-r", {"<|START_OF_TURN_TOKEN|>", "<|END_OF_TURN_TOKEN|>"}},
    {"deepseek-v3", {"<\uff5cUser\uff5c>", "<\uff5cAssistant\uff5c>"}},
    {"mistral-v7", {"[INST]", "[/INST]", "[SYSTEM_PROMPT]"}},
    {"mistral-tekken", {"[INST]", "[/INST]"}, {}, "tekken"},
    {"mistral-v3", {"[INST]", "[/INST]"}},
    {"phi3", {"<|user|>", "<|assistant|>", "<|end|>"}},
    {"zephyr", {"<|user|>", "<|assistant|>"}},
    {"gpt-oss", {}, "gpt-oss"},
    {"gemma", {}, "gemma"},
    {"gemma", {}, "gemma2"},
    {"gemma", {}, "gemma3"},
    {"phi3", {}, "phi3"},
    {"command-r", {}, "command-r"},
    {"deepseek", {}, "deepseek"},
    {"deepseek", {}, "deepseek2"},
};

// Families that use no special token of their own: only the name of the model tells them.
constexpr std::pair<std::string_view, std::string_view> kNames[] = {
    {"zephyr", "zephyr"},      {"tinyllama", "zephyr"}, {"llama-2", "llama2"},
    {"llama2", "llama2"},      {"llama 2", "llama2"},   {"mistral", "mistral-v1"},
    {"mixtral", "mistral-v1"},
};

std::string lower_case(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(),
                         [](unsigned char byte) { return static_cast<char>(std::tolower(byte)); });
  return out;
}

const TemplateFamily* family_of_name(std::string_view model_name) {
  const std::string name = lower_case(model_name);
  const auto says = [&](std::string_view word) { return name.find(word) != std::string::npos; };
  const bool converses = says("chat") || says("instruct") || says("zephyr");
  if (!converses) return nullptr;  // a base model continues text
  for (const auto& [word, family] : kNames) {
    if (says(word)) return find_family(family);
  }
  return nullptr;
}

}  // namespace

std::span<const TemplateFamily> template_families() { return kFamilies; }

const TemplateFamily* find_family(std::string_view name) {
  const auto found = std::ranges::find(kFamilies, name, &TemplateFamily::name);
  return found == std::end(kFamilies) ? nullptr : found;
}

const TemplateFamily* detect_family(const VocabSpec& vocab, std::string_view architecture,
                                    std::string_view model_name) {
  std::unordered_set<std::string_view> specials;
  for (size_t i = 0; i < vocab.kinds.size() && i < vocab.tokens.size(); ++i) {
    const bool special =
        vocab.kinds[i] == TokenKind::kControl || vocab.kinds[i] == TokenKind::kUserDefined;
    if (special) specials.insert(vocab.tokens[i]);
  }
  for (const Sign& sign : kSigns) {
    const bool fits =
        std::ranges::all_of(sign.tokens, [&](auto token) { return specials.contains(token); }) &&
        (sign.architecture.empty() || sign.architecture == architecture) &&
        (sign.pre.empty() || sign.pre == vocab.pre);
    if (fits) return find_family(sign.family);
  }
  return family_of_name(model_name);
}

std::string template_source(const TemplateFamily& family) {
  return std::string(family.settings) + std::string(kBody);
}

}  // namespace ruvllm::text
