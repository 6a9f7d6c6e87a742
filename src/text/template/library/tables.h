// The tables of names that the files of this folder define and lookup.cc searches.
#pragma once

#include <span>

#include "text/template/library/library.h"

namespace ruvllm::text::jinja {

std::span<const FunctionEntry> text_filters();      // strings
std::span<const FunctionEntry> value_filters();     // numbers, conversion, JSON
std::span<const FunctionEntry> sequence_filters();  // order, grouping, aggregation
std::span<const FunctionEntry> select_filters();    // map, select, ...
std::span<const FunctionEntry> text_methods();
std::span<const FunctionEntry> split_methods();  // of strings that give or take lists
std::span<const FunctionEntry> dict_methods();
std::span<const FunctionEntry> list_methods();
std::span<const FunctionEntry> global_functions();

}  // namespace ruvllm::text::jinja
