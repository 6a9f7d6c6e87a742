// What each file of this folder adds to the command line.
#pragma once

namespace ruvllm::cli {

class CommandLine;

void add_run_command(CommandLine& line);
void add_pull_command(CommandLine& line);
void add_list_command(CommandLine& line);
void add_rm_command(CommandLine& line);
void add_show_command(CommandLine& line);
void add_perplexity_command(CommandLine& line);
void add_bench_command(CommandLine& line);
void add_embed_command(CommandLine& line);
void add_tokenize_command(CommandLine& line);
void add_detokenize_command(CommandLine& line);
void add_convert_command(CommandLine& line);
void add_quantize_command(CommandLine& line);
void add_imatrix_command(CommandLine& line);
void add_synth_command(CommandLine& line);
void add_merge_command(CommandLine& line);
void add_learn_commands(CommandLine& line);  // all of learn/
void add_doctor_command(CommandLine& line);
// Hidden: __man and __completion, for `make install`.
void add_reference_commands(CommandLine& line);

}  // namespace ruvllm::cli
