package io.groupreduce.models.rounding;

/** A way to store a row of numbers in blocks that have scales of their own. It may be used by any number of threads. */
public interface BlockFormat {
    /** Numbers of a block, whose scales are chosen together; the last block of a row may be shorter. */
    int block();

    /** Room for the codes of one row while they are being chosen; it serves one row after the other and one thread at a time. */
    RowCode row();

    /** The codes and scales of one row. */
    interface RowCode {
        /**
         * Chooses the scales of a block for what its numbers should be.
         *
         * @param block which block of the row
         * @param targets the numbers, {@code count} from {@code offset} on
         * @param importance what the square of an error costs in each column of the row
         */
        void fit(int block, float[] targets, int offset, int count, float[] importance);

        /**
         * Gives a column the code whose value is next to {@code target} under the scales of its block.
         *
         * @return the value that a reader will decode
         */
        float round(int column, float target);

        /**
         * Multiplies the scales of a block by a factor near 1, as far as the format can store that; codes stay.
         *
         * @return whether values of the block may have changed
         */
        boolean stretch(int block, float factor);

        /** The value that a reader will decode. */
        float value(int column);

        /** Stores the codes as those of row {@code row}; different rows are stored by different threads at once. */
        void store(int row);
    }
}
