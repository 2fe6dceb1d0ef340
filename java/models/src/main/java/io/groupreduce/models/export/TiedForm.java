package io.groupreduce.models.export;

import io.groupreduce.api.Metric;
import io.groupreduce.format.Model.Role;
import io.groupreduce.internal.linear.Parallel;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.models.onnx.Place;
import io.groupreduce.models.rounding.MetricRounding;
import java.lang.foreign.Arena;

/** A compressed matrix that looks tokens up and makes the logits: one table of 4 bits, stored once, serves both operators. */
final class TiedForm implements Replacement {
    /** Slices whose ends are inputs. */
    private static final int LEAST_OPSET = 10;

    private static final int BITS = 4;

    private static final int BLOCK = 32;

    private final CompressedMatrix matrix;
    private final BlockMatrix table;

    /**
     * @param metric what meets the matrix as an output; {@code null} if that is not known
     * @param arena frees what is made for the model; must live until that is written
     */
    TiedForm(CompressedMatrix matrix, Metric metric, Parallel threads, Arena arena) {
        this.matrix = matrix;
        table = new BlockMatrix(matrix.name() + "/table", matrix.rows(), matrix.columns(), BITS, BLOCK, arena);
        MetricRounding rounding = metric == null
                ? MetricRounding.plain(matrix.columns(), BLOCK)
                : MetricRounding.of(both(metric), BLOCK, threads);
        rounding.round(matrix::decodeRows, matrix.rows(), table.format(), threads);
    }

    /** The mean of the output's metric and, for look-ups, of one in which all directions count alike. */
    private static Metric both(Metric metric) {
        int n = metric.columns();
        double[] sum = metric.moment().clone();
        for (int j = 0; j < n; j++) {
            sum[j * n + j] += metric.trace() / n;
        }
        return new Metric(metric.name(), n, sum);
    }

    /** Bytes of the table. */
    static long bytes(CompressedMatrix matrix) {
        return (long) matrix.rows() * BlockMatrix.rowBytes(matrix.columns(), BITS, BLOCK);
    }

    @Override
    public String form() {
        return "one table of 4 bits in blocks of 32";
    }

    @Override
    public boolean isExact() {
        return false;
    }

    @Override
    public String addTo(GraphEditor graph, Place place) {
        graph.requireOpset(LEAST_OPSET);
        if (place.role() == Role.EMBEDDING) {
            return table.lookUp(graph, place.input());
        }
        float[] bias = graph.bias(place, matrix);
        String added = bias == null ? null : graph.floats(bias, bias.length);
        return table.tiedProduct(graph, BlockMatrix.states(graph, place), added);
    }
}
