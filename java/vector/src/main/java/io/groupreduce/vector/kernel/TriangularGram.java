package io.groupreduce.vector.kernel;

import static io.groupreduce.vector.kernel.Lanes.NR;

import java.util.Arrays;

/**
 * A symmetric D x D matrix in double precision: its upper triangle, as square blocks of NR x NR. Blocks that nothing was added
 * to take no memory, and a full matrix takes about 4 * D^2 bytes.
 */
public final class TriangularGram {
    private final int columns;
    private final int edge;
    private final double[][] blocks;

    public TriangularGram(int columns) {
        this.columns = columns;
        this.edge = Math.ceilDiv(columns, NR);
        this.blocks = new double[edge * (edge + 1) / 2][];
    }

    public void clear() {
        for (double[] block : blocks) {
            if (block != null) {
                Arrays.fill(block, 0);
            }
        }
    }

    /** Adds {@code sign * tile} (NR x NR) to block (above, across), {@code above <= across}; one thread a block. */
    public void add(int above, int across, float[] tile, double sign) {
        int index = across * (across + 1) / 2 + above;
        if (blocks[index] == null) {
            blocks[index] = new double[NR * NR];
        }
        double[] block = blocks[index];
        for (int x = 0; x < block.length; x++) {
            block[x] += sign * tile[x];
        }
    }

    /** Entry (i, j), {@code i <= j}. */
    private double get(int i, int j) {
        double[] block = blocks[j / NR * (j / NR + 1) / 2 + i / NR];
        return block == null ? 0 : block[i % NR * NR + j % NR];
    }

    /** The largest number on the diagonal. */
    public double largest() {
        double largest = 0;
        for (int i = 0; i < columns; i++) {
            largest = Math.max(largest, get(i, i));
        }
        return largest;
    }

    /** Both triangles, D x D row-major. */
    public double[] toDense() {
        double[] dense = new double[columns * columns];
        for (int i = 0; i < columns; i++) {
            for (int j = i; j < columns; j++) {
                double value = get(i, j);
                dense[i * columns + j] = value;
                dense[j * columns + i] = value;
            }
        }
        return dense;
    }

    /** Both triangles times {@code scale}, as the right operand of a product. */
    public PackedMatrix toPacked(double scale) {
        PackedMatrix packed = new PackedMatrix(columns, columns);
        for (int across = 0; across < edge; across++) {
            for (int above = 0; above <= across; above++) {
                double[] block = blocks[across * (across + 1) / 2 + above];
                if (block != null) {
                    copy(block, scale, packed, above, across);
                }
            }
        }
        return packed;
    }

    private void copy(double[] block, double scale, PackedMatrix packed, int above, int across) {
        float[] upper = packed.panel(across);
        float[] lower = packed.panel(above);
        int height = Math.min(NR, columns - above * NR);
        int width = Math.min(NR, columns - across * NR);
        for (int i = 0; i < height; i++) {
            for (int j = above == across ? i : 0; j < width; j++) {
                float value = (float) (scale * block[i * NR + j]);
                upper[(above * NR + i) * NR + j] = value;
                lower[(across * NR + j) * NR + i] = value;
            }
        }
    }
}
