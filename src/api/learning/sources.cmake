# Sources and tests of learning, relative to src/api.
set(learning_sources
  learning/learn_file.cc
  learning/lessons/lesson.cc
  learning/lessons/lesson_file.cc
  learning/sona.cc
  learning/sona_core.cc
  learning/state/learned_state.cc
  learning/users/evidence.cc
  learning/users/learning_model.cc
  learning/users/user_learning.cc)
set(learning_tests)
