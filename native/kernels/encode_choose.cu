// The plan of every row at a price.
//
//   p(i) = argmin over p of distortion(i, p) + cost_p in binary64, ties to the lower number
//   sums, rows of every plan: of the distortions of the rows that took it, and their number
//
// Shapes: distortions count x P, rows `stride` numbers apart; P at most 256. Bytes: 4 P read and 1 written a row. Never
// materialised: objectives. Sums run in a fixed order: a warp's rows one after the other, warps in order, blocks by
// lane and then over the lanes. Twin: io.groupreduce.internal.reference.ReferenceWorkspace.choose.
#include "groupreduce/encode.h"
#include "warp.h"

namespace gr::encode {
namespace {

constexpr int WARPS = 8;
constexpr int ROWS_OF_WARP = GR_CHOOSE_ROWS / WARPS;
constexpr int PLANS_OF_LANE = GR_MOST_PLANS / 32;
constexpr int NONE = 0x7fffffff;

// A plan and what it would make of a row.
struct Best {
    double objective;
    int plan;
    float distortion;
};

// The better one of two lanes' plans; both come to the same answer.
GR_DEVICE Best better(const Best& mine, int mask) {
    const Best other = {shuffle_xor(mine.objective, mask), shuffle_xor(mine.plan, mask),
                        shuffle_xor(mine.distortion, mask)};
    const bool less = other.objective < mine.objective || (other.objective == mine.objective && other.plan < mine.plan);
    return less ? other : mine;
}

}  // namespace

GR_KERNEL(gr_choose, GrChooseParams, 256) {
    GR_SHARED(double, sums, WARPS * GR_MOST_PLANS);
    GR_SHARED(int, chosen, WARPS * GR_MOST_PLANS);
    for (int x = static_cast<int>(threadIdx.x); x < WARPS * GR_MOST_PLANS; x += static_cast<int>(blockDim.x)) {
        sums[x] = 0;
        chosen[x] = 0;
    }
    sync_block();
    double costs[PLANS_OF_LANE];
    GR_UNROLL
    for (int x = 0; x < PLANS_OF_LANE; x++) {
        const int plan = 32 * x + lane();
        costs[x] = plan < p.plans ? p.costs[plan] : INFINITY;
    }
    const int first = static_cast<int>(blockIdx.x) * GR_CHOOSE_ROWS + warp() * ROWS_OF_WARP;
    for (int row = first; row < min(first + ROWS_OF_WARP, p.count); row++) {
        const float* distortions = p.distortions + static_cast<int64_t>(row) * p.stride;
        Best best = {INFINITY, NONE, 0};
        GR_UNROLL
        for (int x = 0; x < PLANS_OF_LANE; x++) {
            const int plan = 32 * x + lane();
            if (plan < p.plans) {
                const float distortion = distortions[plan];
                const double objective = distortion + costs[x];
                if (objective < best.objective) {
                    best = {objective, plan, distortion};
                }
            }
        }
        GR_UNROLL
        for (int mask = 16; mask > 0; mask /= 2) {
            best = better(best, mask);
        }
        if (best.plan == NONE) {  // every open plan loses an infinite amount
            best.plan = p.open;
            best.distortion = distortions[p.open];
        }
        if (lane() == 0) {
            p.group_of[row] = static_cast<uint8_t>(best.plan);
            sums[warp() * GR_MOST_PLANS + best.plan] += best.distortion;
            chosen[warp() * GR_MOST_PLANS + best.plan]++;
        }
    }
    sync_block();
    for (int plan = static_cast<int>(threadIdx.x); plan < p.plans; plan += static_cast<int>(blockDim.x)) {
        double sum = 0;
        int rows = 0;
        for (int w = 0; w < WARPS; w++) {
            sum += sums[w * GR_MOST_PLANS + plan];
            rows += chosen[w * GR_MOST_PLANS + plan];
        }
        p.sums[static_cast<int64_t>(blockIdx.x) * p.plans + plan] = sum;
        p.chosen[static_cast<int64_t>(blockIdx.x) * p.plans + plan] = rows;
    }
}

// The sums of the blocks. Bytes: 12 a block and plan.
GR_KERNEL(gr_choice_sum, GrChoiceSumParams, 32) {
    const int plan = static_cast<int>(blockIdx.x);
    double sum = 0;
    double rows = 0;  // exact up to 2^53
    for (int block = lane(); block < p.blocks; block += 32) {
        sum += p.sums[static_cast<int64_t>(block) * p.plans + plan];
        rows += p.chosen[static_cast<int64_t>(block) * p.plans + plan];
    }
    sum = warp_sum(sum);
    rows = warp_sum(rows);
    if (lane() == 0) {
        p.distortions[plan] = sum;
        p.rows[plan] = static_cast<int64_t>(rows);
    }
}

}  // namespace gr::encode
