#include "text/template/evaluator/callables.h"

namespace ruvllm::text::jinja {

Value Macro::attribute(std::string_view name) const {
  if (name == "name") return Value::constant(body.name);
  return Undefined{name};
}

Value Loop::attribute(std::string_view name) const {
  const auto index = static_cast<int64_t>(idx);
  const auto length = static_cast<int64_t>(items.items.size());
  if (name == "index") return index + 1;
  if (name == "index0") return index;
  if (name == "revindex") return length - index;
  if (name == "revindex0") return length - index - 1;
  if (name == "first") return index == 0;
  if (name == "last") return index + 1 >= length;
  if (name == "length") return length;
  if (name == "depth") return depth + 1;
  if (name == "depth0") return depth;
  if (name == "previtem" && idx > 0 && idx <= items.items.size()) return items.items[idx - 1];
  if (name == "nextitem" && idx + 1 < items.items.size()) return items.items[idx + 1];
  return Undefined{name};
}

}  // namespace ruvllm::text::jinja
