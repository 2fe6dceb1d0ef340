package io.groupreduce.format;

import io.groupreduce.api.Metric;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.matrix.Matrix;
import java.nio.file.Path;
import java.util.stream.IntStream;

/** Reads the second moment of what meets a matrix: a safetensors file with {@code metric} [D, D] of F32, F16 or BF16. */
public final class MetricFile {
    private MetricFile() {}

    /**
     * The metric for a matrix of D columns.
     *
     * @throws io.groupreduce.error.FileAccessException if the file is missing or unreadable
     * @throws InvalidDataException if it has another shape, or is not the second moment of anything
     */
    public static Metric read(Path file, Matrix matrix) {
        String name = Wording.file(file);
        int columns = matrix.columns();
        Metric.requireSide(matrix.name(), columns);
        try (Safetensors safetensors = Safetensors.open(file)) {
            Matrix moment = safetensors.require("metric").matrix(name);
            if (moment.rows() != columns || moment.columns() != columns) {
                throw new InvalidDataException(name + ": 'metric' has shape [" + moment.rows() + ", " + moment.columns()
                        + "] but " + matrix.name() + " has " + columns + " columns; it must be [" + columns + ", "
                        + columns + "].");
            }
            float[] values = new float[columns * columns];
            moment.readRows(0, columns, values, 0);
            double[] wide = IntStream.range(0, values.length)
                    .mapToDouble(i -> values[i])
                    .toArray();
            return new Metric(name + ": 'metric'", columns, wide);
        }
    }
}
