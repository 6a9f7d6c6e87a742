// Marks what the shared library exports; everything else in it is hidden.
#pragma once

#define RUVLLM_API __attribute__((visibility("default")))
