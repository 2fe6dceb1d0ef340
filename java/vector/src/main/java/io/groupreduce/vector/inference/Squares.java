package io.groupreduce.vector.inference;

import static io.groupreduce.vector.inference.Codes.TILE;

import io.groupreduce.vector.inference.TileLayout.Run;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/**
 * What rows of a tile have, before their scales, of {@link TailBounds#STEP} directions at a time: the sum of squares. A byte is looked up
 * for all directions that share it, with no vectors: it is computed once for every tile, when decoding would wait to be compiled.
 */
final class Squares {
    private final PackedHead head;
    /** By group and byte of a row of its tiles, a table by content; {@code null} where numbers are no codes. */
    private final double[][][] tables;

    /** Likewise, where in {@link #sums} its step begins. */
    private final int[][] steps;

    private final byte[] codes;
    private final double[] sums;

    Squares(PackedHead head) {
        this.head = head;
        tables = new double[head.groups.length][][];
        int most = 0;
        int mostSteps = 0;
        steps = new int[tables.length][];
        for (int g = 0; g < tables.length; g++) {
            PackedHead.Group group = head.groups[g];
            if (group.rank() > 0 && group.layout().runs[0].kept().bytes == TILE) {
                tables[g] = new double[(int) group.tileBytes() / TILE][];
                steps[g] = new int[tables[g].length];
                findTables(group.layout(), tables[g], steps[g]);
            }
            most = (int) Math.max(most, group.tileBytes());
            mostSteps = Math.max(mostSteps, Math.ceilDiv(group.rank(), TailBounds.STEP));
        }
        codes = new byte[most];
        sums = new double[mostSteps * TILE];
    }

    private static void findTables(TileLayout layout, double[][] tables, int[] steps) {
        for (Run run : layout.runs) {
            int together = run.kept().together;
            for (int d = run.from(); d < run.end(); d += together) {
                int row = run.at(d) / TILE;
                boolean same = d > run.from() && d + together <= run.end();
                for (int j = d; j < d + together && same; j++) {
                    same = layout.step[j] == layout.step[j - together];
                }
                tables[row] = same ? tables[row - 1] : table(layout, run, d);
                steps[row] = d / TailBounds.STEP * TILE;
            }
        }
    }

    private static double[] table(TileLayout layout, Run run, int first) {
        double[] table = new double[1 << Byte.SIZE];
        int bits = run.kept().fieldBits();
        for (int content = 0; content < table.length; content++) {
            for (int d = first; d < Math.min(run.end(), first + run.kept().together); d++) {
                int above = (byte) content << Integer.SIZE - bits * (run.field(d) + 1);
                boolean signed = run.signed(d) || run.kept().together == 1;
                int field = signed ? above >> Integer.SIZE - bits : above >>> Integer.SIZE - bits;
                double value = run.kept().together == 1 ? field : (double) layout.step[d] * field + layout.origin[d];
                table[content] += value * value;
            }
        }
        return table;
    }

    /** Takes up a tile. */
    void read(int tile) {
        PackedHead.Group group = head.group(tile);
        int bytes = (int) group.tileBytes();
        MemorySegment.copy(head.codes, ValueLayout.JAVA_BYTE, group.codesAt(tile), codes, 0, bytes);
        Arrays.fill(sums, 0);
        if (bytes == 0) {
            return;
        }
        int g = head.groupOfTile[tile];
        if (tables[g] != null) {
            add(codes, tables[g], steps[g], sums);
            return;
        }
        Run run = group.layout().runs[0];
        for (int d = 0; d < run.end(); d++) {
            addFloats(run.kept().bytes / TILE, run.at(d), d / TailBounds.STEP * TILE);
        }
    }

    /** A method of its own, without calls, like {@code TilePacker.fill}. */
    private static void add(byte[] codes, double[][] tables, int[] steps, double[] sums) {
        for (int c = 0, at = 0; c < steps.length; c++, at += TILE) {
            double[] table = tables[c];
            int to = steps[c];
            for (int i = 0; i < TILE && table != null; i++) {
                sums[to + i] += table[codes[at + i] & 0xff];
            }
        }
    }

    /** The upper bytes of binary32. */
    private void addFloats(int bytes, int at, int to) {
        for (int i = 0; i < TILE; i++) {
            int bits = 0;
            for (int b = 0; b < bytes; b++) {
                bits |= (codes[at + i * bytes + b] & 0xff) << Integer.SIZE - Byte.SIZE * (bytes - b);
            }
            double value = Float.intBitsToFloat(bits);
            sums[to + i] += value * value;
        }
    }

    /**
     * Adds the sums of a step, times squared scales, to what rows have so far.
     *
     * @param scales of the tile's rows, from {@code from} on
     * @return the largest of the first {@code rows} afterwards
     */
    double addTo(double[] rest, int step, float[] scales, int from, int rows) {
        double largest = 0;
        for (int i = 0, at = step * TILE; i < rows; i++, at++) {
            rest[i] += (double) scales[from + i] * scales[from + i] * sums[at];
            largest = Math.max(largest, rest[i]);
        }
        return largest;
    }
}
