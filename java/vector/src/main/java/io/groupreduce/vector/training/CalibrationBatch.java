package io.groupreduce.vector.training;

import static io.groupreduce.vector.kernel.Lanes.NR;

import io.groupreduce.vector.kernel.Gemm;
import io.groupreduce.vector.kernel.Lanes;
import io.groupreduce.vector.kernel.PackedMatrix;
import io.groupreduce.vector.kernel.Workers;
import java.util.Arrays;

/**
 * Some hidden states and their coordinates in every basis, packed as right operands.
 *
 * <pre>z_b = R_b H,   R_b: k_b x D, H: D x B</pre>
 *
 * <p>States that fill up the last panel are zero and weigh nothing. Bytes: 8 D a state and 12 a coordinate.
 */
final class CalibrationBatch {
    private final int states;
    private final int columns;
    private final float[] hidden;
    private final int from;
    private final PackedMatrix packed;
    private final float[][] coordinates;
    private final PackedMatrix[] packedCoordinates;

    /** Takes {@code states} rows of {@code hidden}, from row {@code first} on. */
    CalibrationBatch(Workers workers, float[] hidden, int first, int states, int columns, TrainedRight right) {
        this.states = states;
        this.columns = columns;
        this.hidden = hidden;
        from = first * columns;
        packed = new PackedMatrix(columns, states);
        workers.run(packed.panels(), (panel, worker) -> {
            int count = Math.min(NR, states - panel * NR);
            int at = from + panel * NR * columns;
            packed.setColumns(panel * NR, Arrays.copyOfRange(hidden, at, at + count * columns), columns, count);
        });
        coordinates = new float[right.bases()][];
        packedCoordinates = new PackedMatrix[right.bases()];
        int padded = padded();
        for (int b = 0; b < coordinates.length; b++) {
            int rank = right.rank(b);
            coordinates[b] = new float[Lanes.padRows(rank) * padded];
            Gemm.multiply(workers, right.decoded(b), columns, rank, packed, coordinates[b], padded);
            packedCoordinates[b] = PackedMatrix.of(coordinates[b], rank, padded, padded);
        }
    }

    /** B. */
    int states() {
        return states;
    }

    /** B rounded up to whole panels. */
    int padded() {
        return Lanes.padColumns(states);
    }

    int panels() {
        return packed.panels();
    }

    /** D x NR: the hidden states of a panel. */
    float[] hidden(int panel) {
        return packed.panel(panel);
    }

    /** k_b x NR: their coordinates in a basis. */
    float[] coordinates(int basis, int panel) {
        return packedCoordinates[basis].panel(panel);
    }

    /** The coordinates in every basis with the states as the inner dimension, B rounded up x k_b. */
    PackedMatrix[] transposedCoordinates(Workers workers) {
        PackedMatrix[] transposed = new PackedMatrix[coordinates.length];
        workers.run(
                transposed.length,
                (b, worker) -> transposed[b] =
                        PackedMatrix.ofTransposed(coordinates[b], padded(), packedCoordinates[b].depth(), padded()));
        return transposed;
    }

    /** The hidden states as the inner dimension, B x D. */
    PackedMatrix stateRows() {
        float[] rows = from == 0 ? hidden : Arrays.copyOfRange(hidden, from, from + states * columns);
        return PackedMatrix.of(rows, states, columns, columns);
    }
}
