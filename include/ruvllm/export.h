// Marks what the shared library exports; everything else in it is hidden.
#pragma once

#define RUVLLM_API [[gnu::visibility("default")]]
