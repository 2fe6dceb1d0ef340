package io.groupreduce.vector.kernel;

import static io.groupreduce.vector.kernel.Lanes.NR;

/**
 * The right operand of a product, packed: panels of NR columns, each {@code depth} rows of NR numbers without gaps, so that
 * the kernel reads it in one stream. Columns that do not exist are zero. Bytes: 4 * depth * columns rounded up to NR.
 */
public final class PackedMatrix {
    /** Rows moved together when transposing: one cache line of the source. */
    private static final int LINE = 16;

    private final int depth;
    private final int columns;
    private final float[][] panels;

    /** Zeros. */
    public PackedMatrix(int depth, int columns) {
        this.depth = depth;
        this.columns = columns;
        this.panels = new float[Math.ceilDiv(columns, NR)][depth * NR];
    }

    /** Packs a row-major matrix, depth x columns, whose rows begin {@code stride} numbers apart. */
    public static PackedMatrix of(float[] matrix, int depth, int columns, int stride) {
        PackedMatrix packed = new PackedMatrix(depth, columns);
        for (int p = 0; p < packed.panels.length; p++) {
            int width = Math.min(NR, columns - p * NR);
            for (int k = 0; k < depth; k++) {
                System.arraycopy(matrix, k * stride + p * NR, packed.panels[p], k * NR, width);
            }
        }
        return packed;
    }

    /** Packs the transpose of a row-major matrix, columns x depth, whose rows begin {@code stride} numbers apart. */
    public static PackedMatrix ofTransposed(float[] matrix, int depth, int columns, int stride) {
        PackedMatrix packed = new PackedMatrix(depth, columns);
        packed.setColumns(0, matrix, stride, columns);
        return packed;
    }

    public int depth() {
        return depth;
    }

    public int columns() {
        return columns;
    }

    public int panels() {
        return panels.length;
    }

    /** Columns {@code p * NR .. p * NR + NR - 1}. */
    public float[] panel(int p) {
        return panels[p];
    }

    /** Writes {@code count} vectors of length depth, rows that begin {@code stride} numbers apart, as columns. */
    public void setColumns(int first, float[] vectors, int stride, int count) {
        for (int j = 0; j < count; ) {
            int column = first + j;
            int inPanel = Math.min(count - j, NR - column % NR);
            transpose(vectors, j, stride, inPanel, panels[column / NR], column % NR);
            j += inPanel;
        }
    }

    private void transpose(float[] vectors, int row, int stride, int count, float[] panel, int at) {
        for (int k0 = 0; k0 < depth; k0 += LINE) {
            int end = Math.min(depth, k0 + LINE);
            for (int j = 0; j < count; j++) {
                int from = (row + j) * stride;
                for (int k = k0; k < end; k++) {
                    panel[k * NR + at + j] = vectors[from + k];
                }
            }
        }
    }
}
