package io.groupreduce.vector.kernel;

import io.groupreduce.matrix.Matrix;

/** Reads scattered rows of a matrix; rows that follow each other are read together. */
public final class RowGather {
    private RowGather() {}

    /** Reads rows {@code order[from .. from + count)} one after the other into {@code target}. */
    public static void read(Matrix matrix, int[] order, int from, int count, float[] target) {
        int columns = matrix.columns();
        for (int i = 0; i < count; ) {
            int first = order[from + i];
            int run = 1;
            while (i + run < count && order[from + i + run] == first + run) {
                run++;
            }
            matrix.readRows(first, run, target, i * columns);
            i += run;
        }
    }
}
