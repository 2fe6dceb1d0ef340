package io.groupreduce.vector.inference;

import static io.groupreduce.vector.inference.Codes.TILE;
import static io.groupreduce.vector.kernel.Lanes.FLOATS;
import static io.groupreduce.vector.kernel.Lanes.LANES;

import io.groupreduce.internal.select.Ranking;
import io.groupreduce.spi.Question;
import java.util.Arrays;
import jdk.incubator.vector.FloatVector;

/**
 * What one worker has found in answer to one question among the tokens of the tiles that it met: a list, a draw, and the tiles whose
 * exponentials the worker's {@link RunningSoftmax} has. A tile of logits is looked at lane by lane only where one of them is large enough.
 */
final class Search {
    /** The least or largest inverse temperature: it must stay a number, of which differences of empty places survive the product. */
    private static final double EXTREME = 1e30;

    private final Ranking list = new Ranking();
    private final NoiseSearch draw = new NoiseSearch();
    private Question question;
    private long[] open;
    private int listed;
    private boolean drawn;
    private double sumTemperature;
    private int slot;
    private float listLimit;
    private float sumLimit;
    private double largestNoise;
    private boolean beyond;

    /**
     * Begins with a question.
     *
     * @param openLanes by tile the lanes of its open tokens
     * @param sumSlot the state number of its sum in the running softmax
     */
    void start(Question asked, long[] openLanes, int sumSlot) {
        question = asked;
        open = openLanes;
        listed = asked.listed();
        drawn = asked.drawTemperature() > 0;
        sumTemperature = asked.sumTemperature();
        slot = sumSlot;
        listLimit = Float.NEGATIVE_INFINITY;
        sumLimit = Float.NEGATIVE_INFINITY;
        beyond = false;
        if (listed > 0) {
            list.start(1, listed);
        }
        if (drawn) {
            draw.start(asked.key(), asked.drawTemperature());
        }
    }

    boolean summed() {
        return sumTemperature > 0;
    }

    /** Whether tiles may be left out of the sum. */
    boolean tolerant() {
        return summed() && question.tolerance() > 0;
    }

    /** Whether the answer can do without some tokens. */
    boolean prunable() {
        return !summed() || tolerant();
    }

    int slot() {
        return slot;
    }

    /** 1 / T of the sum. */
    float inverse() {
        return (float) Math.clamp(1 / sumTemperature, 1 / EXTREME, EXTREME);
    }

    /**
     * Turns to a tile.
     *
     * @return the logit below which no token of it matters; infinite if it has no open token
     */
    float turnTo(int tile, int[] names) {
        if (open[tile] == 0) {
            return Float.POSITIVE_INFINITY;
        }
        float least = summed() ? sumLimit : Float.POSITIVE_INFINITY;
        if (listed > 0) {
            least = Math.min(least, listLeast());
        }
        if (drawn) {
            largestNoise = draw.largestNoise(names, tile * TILE);
            least = Math.min(least, drawLeast());
        }
        return least;
    }

    private float listLeast() {
        return Math.max(listLimit, list.threshold(0));
    }

    private float drawLeast() {
        return Math.nextDown((float) draw.limit(largestNoise));
    }

    /**
     * Takes in the logits of the tile that it was turned to.
     *
     * @param scratch room for a tile
     */
    void take(int tile, int[] names, float[] logits, int at, RunningSoftmax softmax, float[] scratch) {
        long lanes = open[tile];
        if (lanes == 0) {
            return;
        }
        int place = tile * TILE;
        if (listed > 0) {
            for (long left = reaching(logits, at, listLeast()) & lanes; left != 0; left &= left - 1) {
                int lane = Long.numberOfTrailingZeros(left);
                list.offer(0, see(logits[at + lane]), names[place + lane]);
            }
        }
        if (drawn) {
            for (long left = reaching(logits, at, drawLeast()) & lanes; left != 0; left &= left - 1) {
                int lane = Long.numberOfTrailingZeros(left);
                draw.offer(see(logits[at + lane]), names[place + lane]);
            }
        }
        if (summed()) {
            sum(lanes, logits, at, softmax, scratch);
        }
    }

    /** Largest numbers and what is none always reach what a token must. */
    private float see(float logit) {
        beyond |= !(logit <= Float.MAX_VALUE);
        return logit;
    }

    /** The lanes of a tile that are not below a limit. */
    static long reaching(float[] logits, int at, float limit) {
        long lanes = 0;
        for (int i = 0; i < TILE; i += LANES) {
            lanes |= FloatVector.fromArray(FLOATS, logits, at + i)
                            .lt(limit)
                            .not()
                            .toLong()
                    << i;
        }
        return lanes;
    }

    /** Whether a tile counts depends on its logits, not on whether it could have been left out earlier. */
    private void sum(long lanes, float[] logits, int at, RunningSoftmax softmax, float[] scratch) {
        if (sumLimit > Float.NEGATIVE_INFINITY && (reaching(logits, at, sumLimit) & lanes) == 0) {
            return;
        }
        if (lanes == PackedHead.ALL_LANES) {
            softmax.add(slot, 1, logits, at);
            return;
        }
        System.arraycopy(logits, at, scratch, 0, TILE);
        for (long closed = PackedHead.ALL_LANES & ~lanes; closed != 0; closed &= closed - 1) {
            scratch[Long.numberOfTrailingZeros(closed)] = Float.NEGATIVE_INFINITY;
        }
        softmax.add(slot, 1, scratch, 0);
    }

    /** Takes over what another worker found in answer to the same question. */
    void merge(Search other) {
        beyond |= other.beyond;
        if (listed > 0) {
            list.merge(other.list, 1);
        }
        if (drawn) {
            draw.merge(other.draw);
        }
    }

    /** Holds this, whose findings another took over, against that one's from now on. */
    void follow(Search leader) {
        if (listed > 0) {
            list.start(1, listed);
            listLimit = leader.list.threshold(0);
        }
        if (drawn) {
            draw.merge(leader.draw);
        }
    }

    /**
     * The limit below which tokens together cannot change the logarithm of the sum by more than the tolerance.
     *
     * @param sum of exponentials of what is above the largest logit, so far
     */
    float sumLimit(float largest, double sum, int tokens) {
        return (float) (largest + Math.log(question.tolerance() * sum / tokens) / inverse());
    }

    /** From now on tiles without a logit of at least this do not count for the sum. */
    void limitSum(float limit) {
        sumLimit = limit;
    }

    /**
     * Gives the answer.
     *
     * @param finite whether the state has coordinates; without, some logits would pass comparisons in silence, and there is no answer
     */
    void answer(boolean finite, RunningSoftmax.Merged sums, int tasks) {
        if (listed > 0) {
            if (finite && !beyond && list.logit(0, listed - 1) > Float.NEGATIVE_INFINITY) {
                list.copyTo(0, question.listTokens(), question.listLogits(), 0);
            } else {
                Arrays.fill(question.listTokens(), 0, listed, NoiseSearch.NONE);
                Arrays.fill(question.listLogits(), 0, listed, Float.NaN);
            }
        }
        if (drawn) {
            boolean found = finite && !beyond && draw.logit() > Float.NEGATIVE_INFINITY;
            question.answerDraw(found ? draw.token() : NoiseSearch.NONE, found ? draw.logit() : Float.NaN);
        }
        if (summed()) {
            float largest = sums.maximum(slot, tasks);
            double sum = sums.sum(slot, tasks, largest);
            boolean found = finite && Math.abs(largest) <= Float.MAX_VALUE && sum <= Double.MAX_VALUE;
            question.answerSum(found ? largest : Float.NaN, found ? sum : Double.NaN);
        }
    }
}
