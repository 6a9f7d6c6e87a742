#include "api/learning/users/learning_model.h"

#include <algorithm>
#include <vector>

#include "api/learning/users/evidence.h"

namespace ruvllm::api {
namespace {

// Ordinary prose of several subjects: the mean hidden state over it is what learned features are
// measured from. Changing it changes the mean of users who are taught from then on alone.
constexpr std::string_view kNeutralText =
    "The ferry leaves the harbour at half past seven and reaches the island before noon. On clear "
    "days passengers can see the lighthouse from far away, and fishermen wave from their small "
    "boats. In the village there is a bakery, a school with two classrooms, and a shop that sells "
    "everything from rope to postcards.\n\n"
    "To make a simple soup, cut two onions and three carrots into small pieces and fry them in a "
    "little oil. Add a litre of water, some salt and a handful of lentils, and let it cook for "
    "about twenty-five minutes. Serve it with bread.\n\n"
    "A computer program is a list of instructions. Some of them move numbers from one place to "
    "another, some compare two values, and others decide which instruction comes next. When the "
    "program has an error, the first step is to find out what was expected and what happened "
    "instead: \"Why does this function return 0?\" she asked. \"Because the list is empty,\" he "
    "said.\n\n"
    "In 1869 the railway reached the west coast. Before that, the journey had taken months; "
    "afterwards it took six days and cost $65. Cities grew along the line, and farmers could sell "
    "their wheat in distant markets. Historians still disagree about how much of the country's "
    "growth was due to the railway itself.\n\n"
    "Water boils at 100 degrees at sea level, but at lower temperatures on a mountain, because the "
    "air presses less on its surface. For the same reason tea tastes different there.";

}  // namespace

Result<std::shared_ptr<const adapters::HeadFeatures>> LearningModel::features() {
  const std::lock_guard lock(features_mutex_);
  if (features_ == nullptr) {
    std::vector<int32_t> ids =
        tokenizer_.encode(kNeutralText, {.parse_special = false, .add_special = true});
    ids.resize(std::min<size_t>(ids.size(), loop_.options().context_length));
    RUVLLM_ASSIGN(std::vector<float> mean, mean_hidden(loop_, hidden_dim_, ids));
    features_ = std::make_shared<const adapters::HeadFeatures>(std::move(mean));
  }
  return features_;
}

std::shared_ptr<const adapters::HeadFeatures> LearningModel::known_features() {
  const std::lock_guard lock(features_mutex_);
  return features_;
}

}  // namespace ruvllm::api
