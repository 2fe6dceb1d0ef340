// gr_states, gr_ask and gr_deliver against plain rules.
#include "../emulator/half.h"
#include "softmax_head.h"

using namespace gr::test;

namespace {

void statesAreWidenedAndScaled() {
    Random random(41);
    constexpr int STATES = 3, COLUMNS = 300, STRIDE = 307;
    for (int type : {GR_STATES_F32, GR_STATES_F16, GR_STATES_BF16}) {
        std::vector<float> plain(STATES * STRIDE);
        std::vector<uint16_t> halves(plain.size());
        for (size_t i = 0; i < plain.size(); i++) {
            // Numbers that every type holds.
            plain[i] = ldexpf(static_cast<float>(static_cast<int>(random.below(255)) - 127), -5);
            halves[i] = type == GR_STATES_BF16 ? static_cast<uint16_t>(bits_of(plain[i]) >> 16)
                                               : gr::emulator::to_f16(plain[i]);
        }
        std::vector<float> hidden(STATES * COLUMNS + 1, -777);
        const void* from = type == GR_STATES_F32 ? static_cast<const void*>(plain.data()) : halves.data();
        const GrStatesParams p{from, hidden.data(), STRIDE, type, COLUMNS, 0.5f};
        gr::emulator::launch("gr_states", (COLUMNS + 255) / 256, STATES, 256, 0, p);
        for (int i = 0; i < STATES * COLUMNS; i++) {
            const float wanted = plain[i / COLUMNS * STRIDE + i % COLUMNS] / 2;
            GR_CHECK(hidden[i] == wanted, "type %d, number %d", type, i);
        }
        GR_CHECK(hidden.back() == -777);
    }
}

void answersArriveWhereTheyAreWanted() {
    constexpr int COUNT = 4;
    for (int listed : {0, 1, 3}) {
        std::vector<GrQuestion> questions(COUNT + 1, question_of(99));
        GrAskParams ask{questions.data(), 0, COUNT, listed, {}, {-1, 0, 0.5, 1}};
        ask.noise[2] = 77;
        gr::emulator::launch("gr_ask", 1, 1, 64, 0, ask);
        for (int q = 0; q < COUNT; q++) {
            GR_CHECK(questions[q].open == nullptr && questions[q].state == q && questions[q].listed == listed);
            GR_CHECK(questions[q].noise == ask.noise[q] && questions[q].temperature == ask.temperature[q]);
            GR_CHECK(questions[q].sum_scale == 1);
        }
        GR_CHECK(questions[COUNT].state == 99);
        // The last one is broken.
        const GrAnswer good{4, plain_key(2.5f, 7), 1.5f, 9};
        const std::vector<GrAnswer> answers{good, good, good, {NAN, 0, NAN, -1}};
        std::vector<int32_t> list(COUNT * 3, 5), tokens(COUNT, -9), to_list(COUNT * 3 + 1, -9);
        std::vector<float> list_logits(COUNT * 3, 6), logits(COUNT, -9), to_logits(COUNT * 3 + 1, -9);
        std::vector<double> sums(COUNT, -9);
        GrDeliverParams p{questions.data(), answers.data(), list.data(),    list_logits.data(), tokens.data(),
                          logits.data(),    sums.data(),    to_list.data(), to_logits.data(),   listed};
        gr::emulator::launch("gr_deliver", COUNT, 1, 128, 0, p);
        GR_CHECK(tokens == (std::vector<int32_t>{-1, 7, 9, -1}), "listed %d", listed);
        GR_CHECK(logits[0] != logits[0] && logits[1] == 2.5f && logits[2] == 1.5f && logits[3] != logits[3]);
        GR_CHECK(sums[0] == 2.5 + log(4.0) && sums[2] == sums[0] && sums[3] != sums[3]);
        for (int i = 0; i < COUNT * 3 + 1; i++) {
            const bool broken = i / std::max(1, listed) == COUNT - 1;
            const int wanted = i >= COUNT * listed ? -9 : broken ? -1 : listed == 1 ? 7 : 5;
            GR_CHECK(to_list[i] == wanted, "listed %d, place %d: %d", listed, i, to_list[i]);
        }
        p.tokens = nullptr;
        p.logits = nullptr;
        p.log_sum_exp = nullptr;
        gr::emulator::launch("gr_deliver", COUNT, 1, 128, 0, p);
    }
}

}  // namespace

int main() {
    statesAreWidenedAndScaled();
    answersArriveWhereTheyAreWanted();
    return 0;
}
