// Feedback on whole responses as weights of their tokens' gradients.
//
// rho = log pi(response) - log pi_ref(response), pi the learner's head and pi_ref the base. A
// weight w stands for the loss -w log pi(response), whose gradient is that of the response's tokens
// times w; each is the derivative of its loss, -d loss / d rho.
#pragma once

namespace ruvllm::sona {

struct KtoOptions {
  double beta = 0.1;
  double desirable = 1;    // lambda_D
  double undesirable = 1;  // lambda_U
};

// KTO (https://arxiv.org/abs/2402.01306): lambda_D (1 - sigmoid(beta (rho - reference))) or
// lambda_U (1 - sigmoid(beta (reference - rho))). |weight| <= lambda beta / 4 and it fades as the
// response moves away from the base, so that negative feedback cannot run away.
double kto_loss(const KtoOptions& options, bool desirable, double rho, double reference);
double kto_weight(const KtoOptions& options, bool desirable, double rho, double reference);

// DPO (https://arxiv.org/abs/2305.18290): -log sigmoid(beta (rho_chosen - rho_rejected)). The
// chosen response's weight; the rejected one's is its negative. In (0, beta).
double dpo_loss(double beta, double rho_chosen, double rho_rejected);
double dpo_weight(double beta, double rho_chosen, double rho_rejected);

}  // namespace ruvllm::sona
