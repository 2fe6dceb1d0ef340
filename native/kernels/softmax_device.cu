// Queries that come from device memory and are answered there: hidden states of any type brought into binary32,
// questions, and answers taken to the caller's buffers.
//
//   hidden[s][j] = scale states[s stride + j];   log-sum-exp = max + log sum exp(logit - max)
//
// Bytes: every state once, 4 written a number; 40 a question; an answer and a list once. Never materialised: anything
// on the host. Twins: copyTo of io.groupreduce.States, io.groupreduce.internal.reference.ReferenceInference.
#include "softmax_numbers.h"

namespace gr::softmax {
namespace {

GR_DEVICE float number_of(const void* states, int type, int64_t at) {
    switch (type) {
        case GR_STATES_F32:
            return static_cast<const float*>(states)[at];
        case GR_STATES_F16:
            return low_f16(static_cast<const unsigned short*>(states)[at]);
        default:
            return from_bf16(static_cast<const unsigned short*>(states)[at]);
    }
}

}  // namespace

GR_KERNEL(gr_states, GrStatesParams, 256) {
    const int column = static_cast<int>(thread_in_grid());
    const int64_t state = blockIdx.y;
    if (column < p.columns) {
        p.hidden[state * p.columns + column] = p.scale * number_of(p.from, p.type, state * p.stride + column);
    }
}

GR_KERNEL(gr_ask, GrAskParams, 64) {
    const int i = static_cast<int>(threadIdx.x);
    if (i < p.count) {
        p.questions[p.first + i] = {nullptr, p.noise[i], p.temperature[i], 1, p.first + i, p.listed, 0};
    }
}

GR_KERNEL(gr_deliver, GrDeliverParams, 128) {
    const int number = static_cast<int>(blockIdx.x);
    const GrAnswer& answer = p.answers[number];
    const double temperature = p.questions[number].temperature;
    const bool broken = answer.best == 0;
    const int best_token = broken ? -1 : static_cast<int>(key_token(answer.best));
    const float best = broken ? NAN : key_logit(answer.best);
    if (threadIdx.x == 0) {
        if (p.tokens != nullptr) {
            p.tokens[number] = temperature > 0 ? answer.token : temperature == 0 ? best_token : -1;
        }
        if (p.logits != nullptr) {
            p.logits[number] = temperature > 0 ? answer.drawn : temperature == 0 ? best : NAN;
        }
        if (p.log_sum_exp != nullptr) {
            p.log_sum_exp[number] = best + log(answer.sum);
        }
    }
    for (int i = static_cast<int>(threadIdx.x); i < p.listed; i += static_cast<int>(blockDim.x)) {
        const int64_t at = static_cast<int64_t>(number) * p.listed + i;
        p.to_tokens[at] = broken ? -1 : p.listed == 1 ? best_token : p.list_tokens[at];
        p.to_logits[at] = broken ? NAN : p.listed == 1 ? best : p.list_logits[at];
    }
}

}  // namespace gr::softmax
