package io.groupreduce.cuda.machinecode;

import io.groupreduce.cuda.machinecode.MachineCode.Family;
import java.util.List;

/**
 * Warp instructions that a strip of 32 rows of codes costs in a kernel of the fused softmax, for its first state: the shortest way from a
 * product of a block through an exponential and back, so what is seldom needed (masks, draws, a new maximum) is not in it. The kernel has a
 * loop for every width of codes, the widest first, and half blocks behind them; before these the same for rows with a scale every 32 numbers,
 * which are left out.
 *
 * @param fixed of a strip without blocks
 * @param ofWidth of a block of 32 codes of so many bits, without refills
 * @param half of the dearest half block
 * @param refill of the ring, every 1,024 bytes
 */
record StripCost(int fixed, int[] ofWidth, int half, int refill) {
    /** The widths of the loops, in their order. */
    static final List<Integer> WIDTHS = List.of(8, 6, 5, 4, 3, 2, 1);

    /** Rows of a strip, and codes of a row in a block. */
    private static final int BLOCK = 32;

    /** Bytes of a block of one bit. */
    private static final int BIT_BYTES = BLOCK * BLOCK / 8;

    private static final int REFILL_BYTES = 1024;

    // The benchmark's head at 26 times fewer bytes than BF16: shares of 793,471 rows and their ranks, of 4 bits.
    private static final int ROWS = 793_471;
    private static final double[] SHARES = {0.01, 0.04, 0.15, 0.3, 0.5};
    private static final int[] RANKS = {1024, 544, 272, 136, 68};

    static StripCost of(MachineCode code) {
        List<Integer> products = code.all(Family.INTEGER_PRODUCT);
        List<int[]> all = code.innerLoops().stream()
                .filter(loop -> products.stream().anyMatch(p -> isIn(loop, p)))
                .sorted((a, b) -> Integer.compare(a[0], b[0]))
                .toList();
        if (all.size() != 2 * WIDTHS.size()) {
            throw new AssertionError(code.name + " has " + all.size()
                    + " loops with products of integers instead of two for each of " + WIDTHS);
        }
        List<int[]> loops = all.subList(WIDTHS.size(), all.size());
        int[] ofWidth = new int[9];
        int fixed = Integer.MAX_VALUE;
        int refill = 0;
        for (int w = 0; w < WIDTHS.size(); w++) {
            int[] loop = loops.get(w);
            int product =
                    products.stream().filter(p -> isIn(loop, p)).findFirst().orElseThrow();
            int cycle = code.cycle(product);
            ofWidth[WIDTHS.get(w)] = cycle;
            fixed = Math.min(fixed, strip(code, product) - cycle);
            refill = Math.max(
                    refill,
                    around(
                                    code,
                                    product,
                                    code.all(Family.COPY_ASYNC).stream()
                                            .filter(c -> isIn(loop, c))
                                            .toList())
                            - cycle);
        }
        int end = loops.getLast()[1];
        int most = products.stream()
                .filter(p -> p > end)
                .mapToInt(p -> strip(code, p))
                .max()
                .orElseThrow();
        return new StripCost(fixed, ofWidth, most - fixed, refill);
    }

    private static boolean isIn(int[] loop, int place) {
        return loop[0] <= place && place <= loop[1];
    }

    /** From one through others in their order and back. */
    private static int around(MachineCode code, int from, List<Integer> places) {
        int cost = 0;
        int at = from;
        for (int place : places) {
            cost += code.shortest(at)[place];
            at = place;
        }
        return cost + code.shortest(at)[from];
    }

    /** A strip whose only block has this product. */
    private static int strip(MachineCode code, int product) {
        int[] from = code.shortest(product);
        return code.all(Family.SPECIAL).stream()
                .filter(code::isExponential)
                .filter(e -> from[e] != MachineCode.UNREACHABLE && code.shortest(e)[product] != MachineCode.UNREACHABLE)
                .mapToInt(e -> from[e] + code.shortest(e)[product])
                .min()
                .orElseThrow();
    }

    /** A strip of so many codes of a width. */
    double strip(int bits, int rank) {
        int rest = rank % BLOCK;
        boolean halved = rest > 0 && rest <= BLOCK / 2;
        int blocks = rank / BLOCK + (rest > BLOCK / 2 ? 1 : 0);
        double bytes = BIT_BYTES * bits * (blocks + (halved ? 0.5 : 0));
        return fixed + ofWidth[bits] * blocks + (halved ? half : 0) + refill * bytes / REFILL_BYTES;
    }

    /** Million warp instructions of a pass over the head of 26 times fewer bytes. */
    double pass26() {
        double sum = 0;
        for (int g = 0; g < SHARES.length; g++) {
            sum += SHARES[g] * ROWS / BLOCK * strip(4, RANKS[g]);
        }
        return sum / 1e6;
    }
}
