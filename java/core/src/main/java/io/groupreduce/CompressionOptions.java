package io.groupreduce;

import java.util.Optional;

/**
 * What to do to one matrix. Immutable; start from {@link #defaults()} and replace what differs.
 *
 * @param method the preset
 * @param target how small the result must be
 * @param codec how left factors and dense rows are stored; empty takes F32 for an F32 source and BF16 for a 16-bit one
 * @param rightCodec how right factors are stored; empty takes {@code codec}, but INT8 where that is INT4: a right factor is
 *     shared by every row of its groups, so its error reaches them all while its bytes are few
 * @param groups number of groups, 1 to 254, for methods that group
 * @param alpha exponent of the weights (c + 1)^alpha, for methods that weight
 * @param minRank the least rank of a group while the size allows
 * @param refineRounds most rounds of refinement, for methods that group; 0 for none
 */
public record CompressionOptions(
        Method method,
        SizeTarget target,
        Optional<Codec> codec,
        Optional<Codec> rightCodec,
        int groups,
        double alpha,
        int minRank,
        int refineRounds) {
    /** The share of all rows that may move in one round of refinement, as in the paper. */
    public static final double MOVE_FRACTION = 0.1;

    public CompressionOptions {
        if (groups < 1 || groups > 254) {
            throw new InvalidOptionException("The number of groups is " + groups + "; it must lie between 1 and 254.");
        }
        if (!(alpha >= 0 && alpha <= 4)) {
            throw new InvalidOptionException("Alpha is " + alpha + "; it must lie between 0 and 4.");
        }
        if (minRank < 0) {
            throw new InvalidOptionException("The least rank is " + minRank + "; it must not be negative.");
        }
        if (refineRounds < 0 || refineRounds > 1000) {
            throw new InvalidOptionException(
                    "The number of refinement rounds is " + refineRounds + "; it must lie between 0 and 1000.");
        }
    }

    /** The paper: {@code groupreduce}, 6.6 times smaller, 5 groups, alpha 1, rank 5 at least, 10 rounds. */
    public static CompressionOptions defaults() {
        return new CompressionOptions(
                Method.GROUPREDUCE, SizeTarget.ratio(6.6), Optional.empty(), Optional.empty(), 5, 1, 5, 10);
    }

    public CompressionOptions withMethod(Method value) {
        return new CompressionOptions(value, target, codec, rightCodec, groups, alpha, minRank, refineRounds);
    }

    public CompressionOptions withTarget(SizeTarget value) {
        return new CompressionOptions(method, value, codec, rightCodec, groups, alpha, minRank, refineRounds);
    }

    /** One codec for left factors and dense rows; right factors follow as {@link #rightCodec} says. */
    public CompressionOptions withCodec(Codec value) {
        return new CompressionOptions(
                method, target, Optional.of(value), Optional.empty(), groups, alpha, minRank, refineRounds);
    }

    public CompressionOptions withRightCodec(Codec value) {
        return new CompressionOptions(method, target, codec, Optional.of(value), groups, alpha, minRank, refineRounds);
    }

    public CompressionOptions withGroups(int value) {
        return new CompressionOptions(method, target, codec, rightCodec, value, alpha, minRank, refineRounds);
    }

    public CompressionOptions withAlpha(double value) {
        return new CompressionOptions(method, target, codec, rightCodec, groups, value, minRank, refineRounds);
    }

    public CompressionOptions withMinRank(int value) {
        return new CompressionOptions(method, target, codec, rightCodec, groups, alpha, value, refineRounds);
    }

    public CompressionOptions withRefineRounds(int value) {
        return new CompressionOptions(method, target, codec, rightCodec, groups, alpha, minRank, value);
    }
}
