package io.groupreduce.internal.compress;

import io.groupreduce.internal.packed.Census;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/** What blocks of rounded rows come to, summed up in order. */
final class RowTally {
    private final Census census = new Census();
    private final double[] rowsOf = new double[RoundedRows.KEYS];
    private final double[] gainOf = new double[RoundedRows.KEYS];
    private final int[] keys;
    private final double[] energies;
    private final double[] errors;
    private int raised;

    RowTally(List<RoundedRows> blocks, int rank) {
        energies = new double[rank];
        errors = new double[rank];
        for (RoundedRows block : blocks) {
            census.add(block.census());
            for (int r = 0; r < block.keys().length; r++) {
                rowsOf[block.keys()[r]]++;
                gainOf[block.keys()[r]] += block.gains()[r];
            }
            raised += block.raised();
            for (int k = 0; k < rank; k++) {
                energies[k] += block.energies()[k];
                errors[k] += block.errors()[k];
            }
        }
        keys = IntStream.range(0, rowsOf.length).filter(key -> rowsOf[key] > 0).toArray();
    }

    Census census() {
        return census;
    }

    /** The keys of groups with rows, in rising order. */
    int[] keys() {
        return keys;
    }

    /** How many rows each of these groups has. */
    double[] rows() {
        return Arrays.stream(keys).mapToDouble(key -> rowsOf[key]).toArray();
    }

    /** By key, how much larger rows are than directions tell, in eighths of an octave. */
    byte[] gains() {
        byte[] gains = new byte[RoundedRows.KEYS];
        for (int key : keys) {
            long mean = Math.round(gainOf[key] / rowsOf[key]);
            gains[key] = (byte) Math.clamp(mean, Byte.MIN_VALUE, Byte.MAX_VALUE);
        }
        return gains;
    }

    /** By direction, the weighted energy of what is kept. */
    double[] energies() {
        return energies;
    }

    /** By direction, the weighted energy of what is lost. */
    double[] errors() {
        return errors;
    }

    /** Rows whose step was raised. */
    int raised() {
        return raised;
    }
}
