package io.groupreduce.api;

import io.groupreduce.error.InvalidOptionException;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.GroupPlan;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.function.Consumer;

/**
 * What to do to one matrix. Immutable; start from {@link #defaults()} and replace what differs. What is empty is chosen by the
 * method.
 *
 * @param method the preset
 * @param target how small the result must be; of no account where {@code maxLossIncrease} is given
 * @param maxLossIncrease instead of a size: how much the mean cross-entropy on held-out hidden states may rise, 0.01 for one
 *     percent; only for rate-distortion
 * @param codec how left factors and dense rows are stored. Empty: rate-distortion takes a bit profile or dense for each
 *     row; the others INT8 or, where the target counts parameters, F32 for an F32 source and BF16 for a 16-bit one
 * @param rightCodec how right factors are stored. Empty: rate-distortion takes INT8, but BF16 where the size allows more than
 *     {@link #FINE_BITS} bits a number and what is measured to lose least where right factors would take much of the size; the
 *     others take {@code codec}, but INT8 where that has fewer bits: a right factor is shared by every row of its groups, so its
 *     error reaches them all while its bytes are few
 * @param groups number of groups, 1 to 254, empty for the paper's 5; for rate-distortion the number of bases, 1 to 16, empty
 *     for as many as pay for themselves
 * @param alpha exponent of the weights (c + 1)^alpha, for methods that weight. Empty: 1 for the paper's methods; for
 *     rate-distortion 0.5, or where hidden states are known the exponent that loses least on them
 * @param minRank the least rank of a group while the size allows
 * @param refineRounds most rounds of refinement, 0 for none. Empty: 10 for the paper, {@link #RENEWALS} for rate-distortion
 * @param timePrice for rate-distortion: how many bytes a row's coordinate counts beside its bits, 0 to 8: a query's time follows the number
 *     of coordinates
 * @param packed whether rows are stored entropy-coded, for rate-distortion: a smaller file of the same quality, which takes more memory
 *     once it is open; not with a codec, several bases, a time price, calibration or a size in parameters
 * @param calibrationEpochs passes over the hidden states that train the factors to the dense softmax, 0 for none
 */
public record CompressionOptions(
        Method method,
        SizeTarget target,
        OptionalDouble maxLossIncrease,
        Optional<Codec> codec,
        Optional<Codec> rightCodec,
        OptionalInt groups,
        OptionalDouble alpha,
        int minRank,
        OptionalInt refineRounds,
        double timePrice,
        boolean packed,
        int calibrationEpochs) {
    /** The share of all rows that may move in one round of refinement, as in the paper. */
    public static final double MOVE_FRACTION = 0.1;

    /** Rounds of renewed bases that rate-distortion makes at most. */
    public static final int RENEWALS = 3;

    /** Stored bits a number of the source from which on right factors of 8 bits would be what limits quality. */
    public static final double FINE_BITS = 6;

    /**
     * The time price unless another is asked for. Measured at 26x on the Penn Treebank: a tenth leaves out an eighth of the coordinates for 1 %
     * more loss, and on a flat spectrum costs 5 %.
     */
    public static final double TIME_PRICE = 0;

    private static final double MOST_TIME_PRICE = 8;

    private static final int MOST_BASES = 16;

    public CompressionOptions {
        int most = method == Method.RATE_DISTORTION ? MOST_BASES : GroupPlan.ZERO;
        if (groups.isPresent() && (groups.getAsInt() < 1 || groups.getAsInt() > most)) {
            throw new InvalidOptionException("The number of groups is " + groups.getAsInt() + "; for " + method.label()
                    + " it must lie between 1 and " + most + ".");
        }
        if (alpha.isPresent() && !(alpha.getAsDouble() >= 0 && alpha.getAsDouble() <= 4)) {
            throw new InvalidOptionException("Alpha is " + alpha.getAsDouble() + "; it must lie between 0 and 4.");
        }
        if (minRank < 0) {
            throw new InvalidOptionException("The least rank is " + minRank + "; it must not be negative.");
        }
        if (refineRounds.isPresent() && (refineRounds.getAsInt() < 0 || refineRounds.getAsInt() > 1000)) {
            throw new InvalidOptionException("The number of refinement rounds is " + refineRounds.getAsInt()
                    + "; it must lie between 0 and 1000.");
        }
        if (!(timePrice >= 0 && timePrice <= MOST_TIME_PRICE)) {
            throw new InvalidOptionException(
                    "The time price is " + timePrice + "; it must lie between 0 and " + MOST_TIME_PRICE + " bytes.");
        }
        if (calibrationEpochs < 0 || calibrationEpochs > 1000) {
            throw new InvalidOptionException(
                    "The number of calibration epochs is " + calibrationEpochs + "; it must lie between 0 and 1000.");
        }
        if (packed) {
            requirePackable(method, target, codec.isPresent(), groups, timePrice, calibrationEpochs);
        }
        if (maxLossIncrease.isPresent()) {
            double increase = maxLossIncrease.getAsDouble();
            if (!(increase > 0 && increase <= 10)) {
                throw new InvalidOptionException("The largest loss increase is " + 100 * increase
                        + " %; it must lie above 0 and at most at 1000 %.");
            }
            if (method != Method.RATE_DISTORTION) {
                throw new InvalidOptionException(
                        "A largest loss increase can only be aimed at by rate-distortion, not by " + method.label()
                                + "; give a ratio or a size.");
            }
        }
    }

    private static void requirePackable(
            Method method, SizeTarget target, boolean codec, OptionalInt groups, double timePrice, int epochs) {
        String other = method != Method.RATE_DISTORTION
                ? "the method " + method.label()
                : codec
                        ? "a codec"
                        : groups.orElse(1) > 1
                                ? "several bases"
                                : timePrice > 0
                                        ? "a time price"
                                        : epochs > 0
                                                ? "calibration"
                                                : target.unit() == SizeUnit.PARAMETERS ? "a size in parameters" : null;
        if (other != null) {
            throw new InvalidOptionException("Packed rows cannot be had with " + other + "; leave out one of the two.");
        }
    }

    /** Rate-distortion to a size 6.6 times smaller, the paper's; everything else as the method chooses. */
    public static CompressionOptions defaults() {
        return new CompressionOptions(
                Method.RATE_DISTORTION,
                SizeTarget.ratio(6.6),
                OptionalDouble.empty(),
                Optional.empty(),
                Optional.empty(),
                OptionalInt.empty(),
                OptionalDouble.empty(),
                5,
                OptionalInt.empty(),
                TIME_PRICE,
                false,
                0);
    }

    /** The paper: {@code groupreduce}, 6.6 times smaller, 5 groups, alpha 1, rank 5 at least, 10 rounds. */
    public static CompressionOptions paper() {
        return defaults().withMethod(Method.GROUPREDUCE);
    }

    /** Whether some hidden states must stay unseen, because the result is judged on them. */
    public boolean holdsStatesOut() {
        return maxLossIncrease.isPresent() || calibrationEpochs > 0;
    }

    public CompressionOptions withMethod(Method value) {
        return with(draft -> draft.method = value);
    }

    public CompressionOptions withTarget(SizeTarget value) {
        return with(draft -> draft.target = value);
    }

    /** Aims at a loss instead of a size. */
    public CompressionOptions withMaxLossIncrease(double value) {
        return with(draft -> draft.maxLossIncrease = OptionalDouble.of(value));
    }

    /** Aims at the size target. */
    public CompressionOptions withoutMaxLossIncrease() {
        return with(draft -> draft.maxLossIncrease = OptionalDouble.empty());
    }

    /** One codec for left factors and dense rows; right factors follow as {@link #rightCodec} says. */
    public CompressionOptions withCodec(Codec value) {
        return with(draft -> {
            draft.codec = Optional.of(value);
            draft.rightCodec = Optional.empty();
        });
    }

    public CompressionOptions withRightCodec(Codec value) {
        return with(draft -> draft.rightCodec = Optional.of(value));
    }

    public CompressionOptions withGroups(int value) {
        return with(draft -> draft.groups = OptionalInt.of(value));
    }

    public CompressionOptions withAlpha(double value) {
        return with(draft -> draft.alpha = OptionalDouble.of(value));
    }

    public CompressionOptions withMinRank(int value) {
        return with(draft -> draft.minRank = value);
    }

    public CompressionOptions withRefineRounds(int value) {
        return with(draft -> draft.refineRounds = OptionalInt.of(value));
    }

    public CompressionOptions withTimePrice(double value) {
        return with(draft -> draft.timePrice = value);
    }

    /** Rows entropy-coded, or not. */
    public CompressionOptions withPacked(boolean value) {
        return with(draft -> draft.packed = value);
    }

    public CompressionOptions withCalibrationEpochs(int value) {
        return with(draft -> draft.calibrationEpochs = value);
    }

    private CompressionOptions with(Consumer<Draft> change) {
        Draft draft = new Draft(this);
        change.accept(draft);
        return draft.options();
    }

    /** The components as variables, so that a change names only what it changes. */
    private static final class Draft {
        private Method method;
        private SizeTarget target;
        private OptionalDouble maxLossIncrease;
        private Optional<Codec> codec;
        private Optional<Codec> rightCodec;
        private OptionalInt groups;
        private OptionalDouble alpha;
        private int minRank;
        private OptionalInt refineRounds;
        private double timePrice;
        private boolean packed;
        private int calibrationEpochs;

        Draft(CompressionOptions options) {
            method = options.method;
            target = options.target;
            maxLossIncrease = options.maxLossIncrease;
            codec = options.codec;
            rightCodec = options.rightCodec;
            groups = options.groups;
            alpha = options.alpha;
            minRank = options.minRank;
            refineRounds = options.refineRounds;
            timePrice = options.timePrice;
            packed = options.packed;
            calibrationEpochs = options.calibrationEpochs;
        }

        CompressionOptions options() {
            return new CompressionOptions(
                    method,
                    target,
                    maxLossIncrease,
                    codec,
                    rightCodec,
                    groups,
                    alpha,
                    minRank,
                    refineRounds,
                    timePrice,
                    packed,
                    calibrationEpochs);
        }
    }
}
