package consumer;

import io.groupreduce.BackendSelection;
import io.groupreduce.GroupReduce;
import io.groupreduce.SoftmaxHead;
import io.groupreduce.api.CompressionOptions;
import io.groupreduce.api.CompressionResult;
import io.groupreduce.api.HeadOptions;
import io.groupreduce.api.Progress;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.spi.Backend;
import io.groupreduce.spi.BackendProvider;
import java.lang.foreign.Arena;
import java.util.List;
import java.util.ServiceLoader;
import java.util.SplittableRandom;

/** Compresses, asks a head, and says what it sees of the library. */
public final class Main {
    public static void main(String[] args) throws Exception {
        Module own = Main.class.getModule();
        Module core = SoftmaxHead.class.getModule();
        System.out.println("modules: " + own.getName() + ", " + core.getName());
        List<String> providers = ServiceLoader.load(BackendProvider.class).stream()
                .map(provider -> provider.type().getModule().getName())
                .sorted()
                .toList();
        System.out.println("providers: " + providers);
        List<String> internal =
                core.getPackages().stream().filter(name -> name.contains("internal")).toList();
        System.out.println("open: "
                + internal.stream().filter(name -> core.isExported(name, own)).toList());
        System.out.println("hidden: " + (internal.size() > 3));
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
                Backend backend = BackendSelection.select("cpu", 2).backend()) {
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
                head.logits(hidden, logits);
                int best = head.greedy(hidden)[0];
                boolean largest = true;
                for (float logit : logits) {
                    largest &= logit <= logits[best];
                }
                System.out.println(backend.name() + ": " + largest);
            }
        }
    }
}
