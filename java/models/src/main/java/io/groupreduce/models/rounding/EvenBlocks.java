package io.groupreduce.models.rounding;

/**
 * Blocks of codes {@code -2^(bits - 1) .. 2^(bits - 1) - 1} with one scale, which may be negative: the code without an opposite serves
 * whichever sign the number of largest magnitude has.
 */
public final class EvenBlocks implements BlockFormat {
    /** Takes the finished blocks of rows, by several threads at once. */
    @FunctionalInterface
    public interface Store {
        /** @param codes those of block {@code block} are {@code codes[from .. from + block)}, behind the row's end 0 */
        void block(int row, int block, float scale, byte[] codes, int from);
    }

    /** What a format keeps of a scale. */
    @FunctionalInterface
    public interface StoredScale {
        float of(float scale);
    }

    /** Scales that are tried of a block, from one that lets codes reach {@link #WIDEST} times the largest number. */
    private static final int TRIED = 12;

    private static final float WIDEST = 1.05f;

    private final int bits;
    private final int block;
    private final int columns;
    private final StoredScale stored;
    private final Store store;

    /**
     * @param bits of a code, 2 to 8
     * @param block numbers that share a scale
     * @param columns numbers of a row
     */
    public EvenBlocks(int bits, int block, int columns, StoredScale stored, Store store) {
        this.bits = bits;
        this.block = block;
        this.columns = columns;
        this.stored = stored;
        this.store = store;
    }

    @Override
    public int block() {
        return block;
    }

    @Override
    public RowCode row() {
        return new Row();
    }

    private final class Row implements RowCode {
        private final int most = 1 << bits - 1;
        private final int blocks = Math.ceilDiv(columns, block);
        private final byte[] codes = new byte[blocks * block];
        private final float[] scales = new float[blocks];

        @Override
        public void fit(int b, float[] targets, int offset, int count, float[] importance) {
            float largest = 0;
            for (int j = 0; j < count; j++) {
                if (Math.abs(targets[offset + j]) > Math.abs(largest)) {
                    largest = targets[offset + j];
                }
            }
            double best = 0;
            scales[b] = 0;
            // Each step makes the scale smaller by as much of it as a code is of all.
            for (int step = 0; step < TRIED && largest != 0; step++) {
                float scale = -largest * (WIDEST - step / (float) (4 * TRIED) * Math.min(1, 24f / most)) / most;
                double product = 0;
                double square = 0;
                float inverse = 1 / scale;
                for (int j = 0; j < count; j++) {
                    float weight = importance[b * block + j];
                    float code = nearest(targets[offset + j] * inverse);
                    product += weight * targets[offset + j] * code;
                    square += weight * code * code;
                }
                // The error of the best scale for these codes is the sum of squares less this.
                if (square > 0 && product * product / square > best) {
                    best = product * product / square;
                    scales[b] = stored.of((float) (product / square));
                }
            }
        }

        private int nearest(float target) {
            return Math.clamp((int) Math.rint(target), -most, most - 1);
        }

        @Override
        public float round(int column, float target) {
            float scale = scales[column / block];
            int code = scale == 0 ? 0 : nearest(target / scale);
            codes[column] = (byte) code;
            return code * scale;
        }

        @Override
        public boolean stretch(int b, float factor) {
            float scale = stored.of(scales[b] * factor);
            boolean changed = scale != scales[b];
            scales[b] = scale;
            return changed;
        }

        @Override
        public float value(int column) {
            return codes[column] * scales[column / block];
        }

        @Override
        public void store(int row) {
            for (int b = 0; b < blocks; b++) {
                store.block(row, b, scales[b], codes, b * block);
            }
        }
    }
}
