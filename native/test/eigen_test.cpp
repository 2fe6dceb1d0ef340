// The kernels of eigen.cu against plain loops, under emulation, at sizes around their tiles and strides.
#include <vector>

#include "../emulator/emulator.h"
#include "check.h"
#include "groupreduce/eigen.h"

namespace {

using gr::emulator::launch;
using gr::test::Random;
using Numbers = std::vector<double>;

constexpr int THREADS = 256;
constexpr int TILE = 32;

Numbers random(Random& random, size_t count) {
    Numbers result(count);
    for (double& x : result) {
        x = random.uniform();
    }
    return result;
}

std::vector<double*> addresses(Numbers& numbers, int batch) {
    std::vector<double*> result;
    for (int b = 0; b < batch; b++) {
        result.push_back(numbers.data() + numbers.size() / batch * b);
    }
    return result;
}

void mirror_completes_the_symmetric_matrix(int order, int batch) {
    Random seeded(order);
    Numbers lower = random(seeded, static_cast<size_t>(order) * order * batch);
    Numbers full = lower;
    const int tiles = (order + TILE - 1) / TILE;
    launch("gr_eigen_mirror", tiles * (tiles + 1) / 2, batch, THREADS, 0, GrEigenMirror{full.data(), order});
    for (int b = 0; b < batch; b++) {
        for (int j = 0; j < order; j++) {
            for (int i = 0; i < order; i++) {
                const size_t matrix = static_cast<size_t>(b) * order * order;
                const double expected = lower[matrix + (i >= j ? i + j * order : j + i * order)];
                GR_CHECK(full[matrix + i + j * order] == expected, "order %d, matrix %d, (%d, %d)", order, b, i, j);
            }
        }
    }
}

void trace_sums_the_diagonal(int order, int batch) {
    Random seeded(order + 1);
    Numbers matrices = random(seeded, static_cast<size_t>(order) * order * batch), traces(batch);
    launch("gr_eigen_trace", batch, 1, THREADS, 0, GrEigenTrace{matrices.data(), traces.data(), order});
    for (int b = 0; b < batch; b++) {
        double expected = 0;
        for (int i = 0; i < order; i++) {
            expected += matrices[static_cast<size_t>(b) * order * order + i + i * order];
        }
        GR_CHECK(fabs(traces[b] - expected) < 1e-12, "order %d: %g, expected %g", order, traces[b], expected);
    }
}

void random_vectors_depend_on_key_and_place_only() {
    constexpr int ORDER = 300, WIDTH = 7, BATCH = 3;
    Numbers blocks(ORDER * WIDTH * BATCH, 9);
    std::vector<double*> at = addresses(blocks, BATCH);
    const int32_t counts[] = {7, 0, 4}, keys[] = {5, 6, 5};
    launch("gr_eigen_random", WIDTH, BATCH, THREADS, 0, GrEigenRandom{at.data(), counts, keys, 0.5, ORDER});
    double sum = 0, squares = 0;
    for (int i = 0; i < ORDER * WIDTH; i++) {
        GR_CHECK(blocks[i] >= -0.5 && blocks[i] < 0.5, "number %d is %g", i, blocks[i]);
        GR_CHECK(at[1][i] == 9, "block 1 was not asked for");
        GR_CHECK(at[2][i] == (i < 4 * ORDER ? blocks[i] : 9), "number %d of the same stream", i);
        sum += blocks[i];
        squares += blocks[i] * blocks[i];
    }
    constexpr double COUNT = ORDER * WIDTH;
    GR_CHECK(fabs(sum / COUNT) < 0.03, "mean %g", sum / COUNT);
    GR_CHECK(fabs(squares / COUNT - 0.25 / 3) < 0.01, "mean square %g", squares / COUNT);
    double product = 0;
    for (int i = 0; i < ORDER; i++) {
        product += blocks[i] * blocks[ORDER + i];
    }
    GR_CHECK(fabs(product) < 0.2 * ORDER / 12, "two vectors are alike: %g", product);
}

void affine_moves_the_spectrum(int order) {
    constexpr int BATCH = 2;
    Random seeded(order + 2);
    Numbers matrices = random(seeded, static_cast<size_t>(order) * order * BATCH), shifted(matrices.size());
    std::vector<double*> from = addresses(matrices, BATCH), to = addresses(shifted, BATCH);
    std::swap(from[0], from[1]);
    const double factors[] = {2, -3};
    launch("gr_eigen_affine", order, BATCH, THREADS, 0, GrEigenAffine{from.data(), to.data(), factors, order});
    for (int b = 0; b < BATCH; b++) {
        for (int i = 0; i < order * order; i++) {
            const double expected = factors[b] * from[b][i] - (i % (order + 1) == 0 ? 1 : 0);
            GR_CHECK(fabs(to[b][i] - expected) < 1e-15 * 4, "order %d, number %d", order, i);
        }
    }
}

void normalize_leaves_unit_vectors(int order) {
    constexpr int WIDTH = 5;
    Random seeded(order + 3);
    Numbers block = random(seeded, static_cast<size_t>(order) * WIDTH);
    std::fill(block.begin() + 2 * order, block.begin() + 3 * order, 0.0);
    const Numbers before = block;
    std::vector<double*> at = addresses(block, 1);
    launch("gr_eigen_normalize", WIDTH, 1, THREADS, 0, GrEigenNormalize{at.data(), order});
    for (int v = 0; v < WIDTH; v++) {
        double length = 0, own = 0, product = 0;
        for (int i = v * order; i < (v + 1) * order; i++) {
            length += block[i] * block[i];
            own += before[i] * before[i];
            product += block[i] * before[i];
        }
        GR_CHECK(fabs(length - 1) < 1e-14, "order %d, vector %d has length %g", order, v, length);
        GR_CHECK(v == 2 || fabs(product - sqrt(own)) < 1e-13, "order %d, vector %d changed its direction", order, v);
    }
}

void deviation_shifts_only_what_is_far_from_the_identity(int width) {
    const int size = width * width;
    Numbers grams(3 * size, 0), deviations(3);
    for (int b = 0; b < 3; b++) {
        for (int i = 0; i < width; i++) {
            grams[b * size + i * (width + 1)] = 1;
        }
    }
    grams[size - 1] = 1.25;
    grams[2 * size - 1] = 1.75;
    grams[2 * size] = NAN;
    launch("gr_eigen_deviation", 3, 1, THREADS, 0,
           GrEigenDeviation{grams.data(), deviations.data(), 0.5, 0.125, width});
    GR_CHECK(deviations[0] == 0.25 && deviations[1] == 0.75, "%g and %g", deviations[0], deviations[1]);
    GR_CHECK(isnan(deviations[2]), "a NaN went unseen: %g", deviations[2]);
    GR_CHECK(grams[size - 1] == 1.25, "the first matrix is near the identity");
    GR_CHECK(grams[2 * size - 1] == 1.875, "the second is not");
    GR_CHECK(width == 1 || grams[size] == 1.125, "the second is not");
}

void residual_and_reverse(int order) {
    constexpr int WIDTH = 4, BATCH = 2, WANTED = 3;
    Random seeded(order + 4);
    const size_t count = static_cast<size_t>(order) * WIDTH * BATCH;
    Numbers x = random(seeded, count), y = random(seeded, count), values = random(seeded, WIDTH * BATCH),
            squares(WIDTH * BATCH);
    std::vector<double*> at_x = addresses(x, BATCH), at_y = addresses(y, BATCH);
    launch("gr_eigen_residual", WIDTH, BATCH, THREADS, 0,
           GrEigenResidual{at_x.data(), at_y.data(), values.data(), squares.data(), order, WIDTH});
    for (int pair = 0; pair < WIDTH * BATCH; pair++) {
        double expected = 0;
        for (int i = pair * order; i < (pair + 1) * order; i++) {
            expected += (y[i] - values[pair] * x[i]) * (y[i] - values[pair] * x[i]);
        }
        GR_CHECK(fabs(squares[pair] - expected) < 1e-13 * (1 + expected), "order %d, pair %d", order, pair);
    }
    Numbers turned(static_cast<size_t>(order) * WANTED);
    launch("gr_eigen_reverse", WANTED, 1, THREADS, 0, GrEigenReverse{x.data(), turned.data(), order, WIDTH});
    for (int v = 0; v < WANTED; v++) {
        for (int i = 0; i < order; i++) {
            GR_CHECK(turned[v * order + i] == x[(WIDTH - 1 - v) * order + i], "order %d, vector %d", order, v);
        }
    }
}

}  // namespace

int main() {
    for (int order : {1, 2, 31, 32, 33, 97, 257}) {
        mirror_completes_the_symmetric_matrix(order, 2);
        trace_sums_the_diagonal(order, 3);
        affine_moves_the_spectrum(order);
        normalize_leaves_unit_vectors(order);
        residual_and_reverse(order);
    }
    for (int width : {1, 16, 257}) {
        deviation_shifts_only_what_is_far_from_the_identity(width);
    }
    random_vectors_depend_on_key_and_place_only();
    return 0;
}
