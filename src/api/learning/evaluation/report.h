// Outcomes of studies as JSON.
#pragma once

#include <vector>

#include <nlohmann/json.hpp>

#include "sona/evaluation/studies/forgetting.h"
#include "sona/evaluation/studies/gradients.h"
#include "sona/evaluation/studies/long_run.h"
#include "sona/evaluation/studies/prequential.h"
#include "sona/evaluation/studies/safety.h"

namespace ruvllm::api {

nlohmann::json streams_json(const sona::PrequentialStudy& study);
nlohmann::json long_runs_json(const sona::LongRunStudy& study);
nlohmann::json transfer_json(const sona::TransferStudy& study);
nlohmann::json forgetting_json(const sona::ForgettingStudy& study,
                               const sona::StudySetting& setting);
nlohmann::json gradients_json(const sona::GradientStudy& study);
nlohmann::json safety_json(const sona::SafetyStudy& study);

}  // namespace ruvllm::api
