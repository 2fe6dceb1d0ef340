package consumer;

import io.groupreduce.api.Device;
import io.groupreduce.BackendSelection;
import io.groupreduce.GroupReduce;
import io.groupreduce.SoftmaxHead;
import io.groupreduce.States;
import io.groupreduce.api.CompressionOptions;
import io.groupreduce.api.CompressionResult;
import io.groupreduce.api.HeadOptions;
import io.groupreduce.api.Progress;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.api.Backend;
import java.lang.foreign.Arena;
import java.util.SplittableRandom;

/** Compresses, asks a head, and says what it sees of the library. */
public final class Main {
    public static void main(String[] args) throws Exception {
        Module own = Main.class.getModule();
        Module core = SoftmaxHead.class.getModule();
        System.out.println("modules: " + own.getName() + ", " + core.getName());
        System.out.println("backends: "
                + BackendSelection.devices().stream()
                        .map(status -> status.device().replaceAll(":.*", ""))
                        .distinct()
                        .toList());
        System.out.println("open: "
                + core.getPackages().stream()
                        .filter(name -> core.isExported(name, own))
                        .sorted()
                        .toList());
        try {
            Class.forName("io.groupreduce.internal.select.GumbelNoise")
                    .getMethod("of", int.class)
                    .invoke(null, 1);
        } catch (IllegalAccessException e) {
            System.out.println("refused: " + e.getMessage().contains("does not export io.groupreduce.internal.select"));
        }
        int rows = 400;
        int columns = 24;
        float[] values = new float[rows * columns];
        SplittableRandom random = new SplittableRandom(1);
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) random.nextGaussian();
        }
        try (Arena arena = Arena.ofShared();
                Backend backend = BackendSelection.select(Device.CPU, 2).backend()) {
            CompressionResult result = GroupReduce.compress(
                    backend,
                    Matrix.of("matrix", values, rows, columns),
                    null,
                    null,
                    CompressionOptions.defaults(),
                    arena,
                    Progress.NONE);
            float[] logits = new float[rows];
            try (SoftmaxHead head = SoftmaxHead.of(backend, result.matrix(), null, HeadOptions.defaults())) {
                float[] hidden = new float[columns];
                result.matrix().decodeRows(7, 1, hidden, 0);
                head.logits(States.of(hidden), logits);
                int best = head.greedy(States.of(hidden))[0];
                boolean largest = true;
                for (float logit : logits) {
                    largest &= logit <= logits[best];
                }
                System.out.println(backend.name() + ": " + largest);
            }
        }
    }
}
