// GPT-2's byte-level alphabet: a printable character for each of the 256 bytes, so that vocabulary
// files are readable text. Printable Latin-1 stands for itself; the other 68 bytes, in order, are
// U+0100, U+0101, ... (space is U+0120, newline U+010A).
#pragma once

#include <string>
#include <string_view>

namespace ruvllm::text {

// Appends the bytes that `text` spells. False, with `bytes` as before, if it has other characters.
bool append_alphabet_bytes(std::string_view text, std::string& bytes);

}  // namespace ruvllm::text
