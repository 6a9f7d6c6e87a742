list(APPEND sona_sources
  deep/consolidation/lora_consolidation.cc
  deep/gradients/attention_gradient.cc
  deep/gradients/float_attention.cc
  deep/gradients/float_product.cc
  deep/gradients/lora_product.cc
  deep/gradients/row_gradients.cc
  deep/gradients/transposed_product.cc
  deep/loop/deep_loop.cc
  deep/loop/deep_samples.cc
  deep/loop/serving_gate.cc
  deep/pass/backward.cc
  deep/pass/forward.cc
  deep/pass/head_loss.cc
  deep/pass/lora_parameters.cc
  deep/pass/trainable.cc
  deep/pass/training_pass.cc
  deep/training/adamw.cc
  deep/training/deep_trainer.cc)
list(APPEND sona_tests
  deep/consolidation/lora_consolidation_test.cc
  deep/gradients/attention_gradient_test.cc
  deep/loop/deep_loop_test.cc
  deep/loop/deep_samples_test.cc
  deep/pass/training_pass_test.cc
  deep/training/deep_trainer_test.cc)
