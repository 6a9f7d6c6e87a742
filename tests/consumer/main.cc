#include <cstdio>

#include <ruvllm/error.h>

int main() {
  const ruvllm::Error error(ruvllm::ErrorCode::kCorrupt, "example");
  std::puts(std::string(ruvllm::error_code_name(error.code())).c_str());
}
