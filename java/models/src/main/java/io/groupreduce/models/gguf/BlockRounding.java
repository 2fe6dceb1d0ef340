package io.groupreduce.models.gguf;

import io.groupreduce.models.rounding.BlockFormat;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/**
 * Rounds rows to the blocks of a type. The parts of a block get scales and minima of least weighted error, these become whole multiples of a d and a
 * dmin of the block, and codes follow.
 */
final class BlockRounding implements BlockFormat {
    /** Ranges that are tried of the codes of a part. */
    private static final int TRIED = 12;

    /** How much narrower each is, for codes of which {@code most} lie on one side of 0. */
    private static final float STEP = 0.24f;

    private static final float WIDEST_STEP = 0.06f;

    /** Ranges that are tried beyond the largest number. */
    private static final int BEYOND = 2;

    private static final float LARGEST_HALF = 65_504;

    private final BlockLayout layout;
    private final int columns;
    private final MemorySegment data;
    private final int[] values;
    private final int lowest;
    private final int highest;
    private final boolean even;
    private final boolean hasLeast;
    private final int mostScale;
    private final boolean signedScales;

    /** @param data takes the blocks of all rows */
    BlockRounding(BlockLayout layout, int columns, MemorySegment data) {
        this.layout = layout;
        this.columns = columns;
        this.data = data;
        values = layout.values();
        // The byte without an opposite is left out: some readers multiply by taking magnitudes.
        lowest = Math.max(-127, Arrays.stream(values).min().orElseThrow());
        highest = Arrays.stream(values).max().orElseThrow();
        even = layout.type() != GgufType.IQ4_NL;
        hasLeast = layout.leastAt() >= 0;
        int scaleBits = layout.scales().stream()
                .mapToInt(f -> f.above() + f.bits())
                .max()
                .orElse(0);
        signedScales = !layout.scales().isEmpty() && !hasLeast;
        mostScale = signedScales ? 1 << scaleBits - 1 : (1 << scaleBits) - 1;
    }

    @Override
    public int block() {
        return layout.type().blockElements();
    }

    @Override
    public RowCode row() {
        return new Row();
    }

    private final class Row implements RowCode {
        private final int part = layout.part();
        private final int parts = layout.parts();
        private final int blocks = columns / block();
        private final int[] codes = new int[columns];
        private final float[] d = new float[blocks];
        private final float[] dLeast = new float[blocks];
        private final int[] small = new int[blocks * 2 * parts];

        /** Of each part of the row, as they are stored. */
        private final float[] scales = new float[blocks * parts];

        private final float[] leasts = new float[blocks * parts];
        private final PartFit fit = new PartFit();

        @Override
        public void fit(int b, float[] targets, int offset, int count, float[] importance) {
            float[] wanted = new float[parts];
            float[] wantedLeast = new float[parts];
            for (int p = 0; p < parts; p++) {
                fit.search(targets, offset + p * part, importance, b * block() + p * part, part);
                wanted[p] = fit.scale;
                wantedLeast[p] = fit.least;
            }
            if (layout.scales().isEmpty()) {
                d[b] = half(wanted[0]);
                dLeast[b] = half(-wantedLeast[0]);
                spread(b);
                return;
            }
            float extreme = extreme(wanted);
            d[b] = half(signedScales ? -extreme / mostScale : extreme / mostScale);
            dLeast[b] = half(extreme(wantedLeast) / mostScale);
            for (int p = 0; p < parts; p++) {
                int scale = whole(wanted[p], d[b]);
                int least = hasLeast ? whole(wantedLeast[p], dLeast[b]) : 0;
                double best = Double.POSITIVE_INFINITY;
                int from = offset + p * part;
                int at = b * block() + p * part;
                int bestScale = scale;
                int bestLeast = least;
                for (int s = clampScale(scale - 1); s <= clampScale(scale + 1); s++) {
                    for (int l = clampLeast(least - 1); l <= clampLeast(least + 1); l++) {
                        double error = error(d[b] * s, dLeast[b] * l, targets, from, importance, at);
                        if (error < best) {
                            best = error;
                            bestScale = s;
                            bestLeast = l;
                        }
                    }
                }
                set(b, p, bestScale, bestLeast);
            }
            spread(b);
        }

        private int whole(float wanted, float unit) {
            return unit == 0 ? 0 : clampScale(Math.round(wanted / unit));
        }

        private int clampScale(int scale) {
            return Math.clamp(scale, signedScales ? -mostScale : 0, signedScales ? mostScale - 1 : mostScale);
        }

        private int clampLeast(int least) {
            return hasLeast ? Math.clamp(least, 0, mostScale) : 0;
        }

        private void set(int b, int p, int scale, int least) {
            int at = b * 2 * parts;
            small[at + layout.scaleOf()[p]] = scale + layout.zero();
            if (hasLeast) {
                small[at + layout.leastOf()[p]] = least;
            }
        }

        /** What the parts of a block have now that d, dmin and their multiples are set. */
        private void spread(int b) {
            int[] own = Arrays.copyOfRange(small, b * 2 * parts, (b + 1) * 2 * parts);
            for (int p = 0; p < parts; p++) {
                scales[b * parts + p] = d[b] * layout.scale(own, p);
                leasts[b * parts + p] = hasLeast ? dLeast[b] * layout.least(own, p) : 0;
            }
        }

        private double error(float scale, float least, float[] targets, int from, float[] importance, int at) {
            double sum = 0;
            for (int j = 0; j < part; j++) {
                float target = targets[from + j];
                float error = target - (scale * values[nearest(target, scale, least)] - least);
                sum += importance[at + j] * error * error;
            }
            return sum;
        }

        @Override
        public float round(int column, float target) {
            int p = column / part;
            codes[column] = nearest(target, scales[p], leasts[p]);
            return value(column);
        }

        @Override
        public boolean stretch(int b, float factor) {
            float stretched = half(d[b] * factor);
            float stretchedLeast = half(dLeast[b] * factor);
            boolean changed = stretched != d[b] || stretchedLeast != dLeast[b];
            d[b] = stretched;
            dLeast[b] = stretchedLeast;
            spread(b);
            return changed;
        }

        @Override
        public float value(int column) {
            int p = column / part;
            return scales[p] * values[codes[column]] - leasts[p];
        }

        @Override
        public void store(int row) {
            long rowBytes = layout.type().bytes(columns);
            for (int b = 0; b < blocks; b++) {
                layout.encode(
                        Arrays.copyOfRange(codes, b * block(), (b + 1) * block()),
                        d[b],
                        dLeast[b],
                        Arrays.copyOfRange(small, b * 2 * parts, (b + 1) * 2 * parts),
                        data,
                        row * rowBytes + (long) b * layout.type().blockBytes());
            }
        }
    }

    private static float extreme(float[] numbers) {
        float extreme = 0;
        for (float number : numbers) {
            extreme = Math.abs(number) > Math.abs(extreme) ? number : extreme;
        }
        return extreme;
    }

    private static float half(float number) {
        return Float.float16ToFloat(Float.floatToFloat16(Math.clamp(number, -LARGEST_HALF, LARGEST_HALF)));
    }

    /** The code whose value is next to a number. */
    private int nearest(float target, float scale, float least) {
        return code(scale == 0 ? 0 : (target + least) / scale);
    }

    private int code(float value) {
        if (even) {
            return Math.clamp((int) Math.rint(value), lowest, highest) - values[0] & values.length - 1;
        }
        int above = 0;
        for (int size = values.length / 2; size > 0; size /= 2) {
            // Whether it is nearer to the code so much further up than to the one below that.
            if (2 * value > values[above + size] + values[above + size - 1]) {
                above += size;
            }
        }
        return above;
    }

    /** The scale and the minimum of a part that lose least. */
    private final class PartFit {
        private final boolean anySign = layout.scales().isEmpty();
        private float scale;
        private float least;
        private double best;

        void search(float[] x, int from, float[] importance, int at, int count) {
            float low = x[from];
            float high = x[from];
            for (int j = 1; j < count; j++) {
                low = Math.min(low, x[from + j]);
                high = Math.max(high, x[from + j]);
            }
            scale = 0;
            least = 0;
            best = Double.NEGATIVE_INFINITY;
            if (hasLeast) {
                // Minima of six bits are stored without a sign.
                low = anySign ? low : Math.min(low, 0);
                least = -low;
                float middle = (low + high) / 2;
                for (int step = -BEYOND; step < TRIED - BEYOND && high > low; step++) {
                    float range = (high - low) * (1 - step * step((highest + 1) / 2));
                    tryRange(range / highest, range / 2 - middle, x, from, importance, at, count);
                }
            } else {
                float extreme = -low > high ? low : high;
                for (int step = -BEYOND; step < TRIED - BEYOND && extreme != 0; step++) {
                    float reach = extreme * (1 - step * step(highest + 1));
                    tryRange(reach / lowest, 0, x, from, importance, at, count);
                    if (lowest != -highest) {
                        tryRange(reach / highest, 0, x, from, importance, at, count);
                    }
                }
            }
        }

        private float step(int most) {
            return Math.min(WIDEST_STEP, STEP / most);
        }

        /** Least squares for the codes that a scale and a minimum give. What the error falls by is what is compared. */
        private void tryRange(
                float tried, float triedLeast, float[] x, int from, float[] importance, int at, int count) {
            double w = 0;
            double wq = 0;
            double wqq = 0;
            double wx = 0;
            double wxq = 0;
            for (int j = 0; j < count; j++) {
                float weight = importance[at + j];
                float q = values[nearest(x[from + j], tried, triedLeast)];
                w += weight;
                wq += weight * q;
                wqq += weight * q * q;
                wx += weight * x[from + j];
                wxq += weight * x[from + j] * q;
            }
            if (!(wqq > 0)) {
                return;
            }
            double slope = wxq / wqq;
            double shift = 0;
            double determinant = w * wqq - wq * wq;
            if (hasLeast && determinant > 0) {
                double freeShift = (wqq * wx - wq * wxq) / determinant;
                if (anySign || freeShift <= 0) {
                    shift = freeShift;
                    slope = (w * wxq - wq * wx) / determinant;
                }
            }
            double gain = slope * wxq + shift * wx;
            if (gain > best && (slope > 0 || !hasLeast)) {
                best = gain;
                scale = (float) slope;
                least = (float) -shift;
            }
        }
    }
}
