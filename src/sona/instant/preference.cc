#include "sona/instant/preference.h"

#include <cmath>

namespace ruvllm::sona {
namespace {

double sigmoid(double x) {
  if (x >= 0) return 1.0 / (1.0 + std::exp(-x));
  const double e = std::exp(x);
  return e / (1.0 + e);
}

// log(1 + e^x)
double softplus(double x) { return x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x)); }

}  // namespace

double kto_loss(const KtoOptions& options, bool desirable, double rho, double reference) {
  const double margin = options.beta * (rho - reference);
  return desirable ? options.desirable * sigmoid(-margin) : options.undesirable * sigmoid(margin);
}

double kto_weight(const KtoOptions& options, bool desirable, double rho, double reference) {
  const double margin = options.beta * (rho - reference);
  const double slope = options.beta * sigmoid(margin) * sigmoid(-margin);
  return desirable ? options.desirable * slope : -options.undesirable * slope;
}

double dpo_loss(double beta, double rho_chosen, double rho_rejected) {
  return softplus(-beta * (rho_chosen - rho_rejected));
}

double dpo_weight(double beta, double rho_chosen, double rho_rejected) {
  return beta * sigmoid(-beta * (rho_chosen - rho_rejected));
}

}  // namespace ruvllm::sona
