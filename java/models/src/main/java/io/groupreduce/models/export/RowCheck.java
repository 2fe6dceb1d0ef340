package io.groupreduce.models.export;

import io.groupreduce.matrix.CompressedMatrix;
import java.util.Arrays;
import java.util.stream.IntStream;

/** How far rows that a graph gives are from those of a compressed matrix. */
final class RowCheck implements PlaceCheck {
    /** Larger vocabularies are looked at in so many rows at equal distances, beside the first and the last of each group. */
    private static final int MOST_ROWS = 1 << 14;

    private static final int BATCH = 1024;

    private double ownSquares;
    private double difference;
    private double shifted;
    private double worst;
    private int worstRow;
    private int rows;

    /** Compares the rows that are looked at. */
    static RowCheck of(PlacedRows graph, CompressedMatrix matrix) {
        RowCheck check = new RowCheck();
        int[] ids = sample(matrix);
        check.rows = ids.length;
        float[] previous = new float[matrix.columns()];
        matrix.decodeRows(ids[ids.length - 1], 1, previous, 0);
        for (int from = 0; from < ids.length; from += BATCH) {
            int[] batch = Arrays.copyOfRange(ids, from, Math.min(ids.length, from + BATCH));
            float[] given = graph.of(batch);
            for (int i = 0; i < batch.length; i++) {
                float[] row = new float[matrix.columns()];
                matrix.decodeRows(batch[i], 1, row, 0);
                check.add(batch[i], given, i * row.length, row, previous);
                previous = row;
            }
        }
        return check;
    }

    private static int[] sample(CompressedMatrix matrix) {
        int count = matrix.rows();
        if (count <= MOST_ROWS) {
            return IntStream.range(0, count).toArray();
        }
        int[] first = new int[matrix.groups().size()];
        int[] last = new int[first.length];
        Arrays.fill(first, -1);
        for (int i = 0; i < count; i++) {
            int g = matrix.group(i);
            first[g] = first[g] < 0 ? i : first[g];
            last[g] = i;
        }
        IntStream even = IntStream.range(0, MOST_ROWS).map(i -> (int) ((long) i * count / MOST_ROWS));
        IntStream ends = IntStream.concat(Arrays.stream(first).filter(i -> i >= 0), Arrays.stream(last));
        return IntStream.concat(IntStream.concat(even, ends), IntStream.of(count - 1))
                .distinct()
                .sorted()
                .toArray();
    }

    private void add(int id, float[] given, int at, float[] row, float[] other) {
        double own = 0;
        double apart = 0;
        double fromOther = 0;
        double norm = 0;
        for (int j = 0; j < row.length; j++) {
            double value = given[at + j];
            own += value * value;
            norm += (double) row[j] * row[j];
            apart += (value - row[j]) * (value - row[j]);
            fromOther += (value - other[j]) * (value - other[j]);
        }
        ownSquares += own;
        difference += apart;
        shifted += fromOther;
        double relative = apart == 0 ? 0 : Math.sqrt(apart / norm);
        // What is no number stays the worst.
        if (Double.isNaN(relative) || relative > worst) {
            worst = relative;
            worstRow = id;
        }
    }

    @Override
    public int counted() {
        return rows;
    }

    @Override
    public double error() {
        return difference == 0 ? 0 : Math.sqrt(difference / ownSquares);
    }

    /** The largest difference of a row as a share of its norm. */
    double worst() {
        return worst;
    }

    int worstRow() {
        return worstRow;
    }

    @Override
    public double nearness() {
        return shifted == 0 ? 0 : Math.sqrt(difference / shifted);
    }
}
