package io.groupreduce.benchmarks.head;

import io.groupreduce.BackendSelection;
import io.groupreduce.GroupReduce;
import io.groupreduce.api.Backend;
import io.groupreduce.api.Device;
import io.groupreduce.api.Evaluation;
import io.groupreduce.matrix.CompressedMatrix;
import java.util.Locale;

/** What a head's speed is bought with: its softmax against the dense one. */
final class Quality {
    /** Hidden states that are judged: a dense softmax of the largest size takes seconds for them. */
    private static final int STATES = 128;

    private final HeadModel model;

    Quality(HeadModel model) {
        this.model = model;
    }

    /** The mean KL divergence in nats, as a table says it. */
    String kl(CompressedMatrix matrix) {
        Queries queries = model.queries().first(STATES);
        int threads = Runtime.getRuntime().availableProcessors();
        try (Backend backend = BackendSelection.select(Device.CPU, threads).backend()) {
            Evaluation evaluation =
                    GroupReduce.evaluate(backend, model.dense(), model.bias(), matrix, queries.hidden(), null);
            return String.format(Locale.ROOT, "%.4f", evaluation.kl().mean());
        }
    }
}
