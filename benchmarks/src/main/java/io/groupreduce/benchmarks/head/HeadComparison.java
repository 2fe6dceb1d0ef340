package io.groupreduce.benchmarks.head;

import io.groupreduce.benchmarks.OpenBlas;
import io.groupreduce.error.GroupReduceException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.function.Consumer;

/**
 * The fused softmax and its peers in turn in one process, as Markdown tables of medians (least-most). See {@link HeadArguments}
 * for the command line. Sections: {@code prepare} makes the files that the others need; {@code kernels} reads plain left factors
 * against the read bandwidth; {@code heads} answers top-10 queries against every dense peer; {@code factors} and {@code
 * perplexity} run against OpenBLAS on the same factors; {@code pruning} shows what bounds save; {@code requests} what a
 * request costs beside a plain one; {@code scaling} sets many threads against few.
 */
public final class HeadComparison {
    private HeadComparison() {}

    public static void main(String[] arguments) throws IOException {
        HeadArguments options;
        try {
            options = HeadArguments.parse(arguments);
        } catch (GroupReduceException e) {
            System.err.println(e.getMessage());
            System.exit(2);
            return;
        }
        describe(arguments);
        OpenBlas blas = new OpenBlas();
        if (options.runs("kernels")) {
            new KernelSection(options, blas).run();
        }
        forEachModel(options, model -> {
            if (options.runs("prepare")) {
                new HeadsSection(options, blas, model).prepare();
            }
            if (options.runs("heads")) {
                new HeadsSection(options, blas, model).run();
            }
            if (options.runs("factors")) {
                new FactorSection(options, blas, model).top();
            }
            if (options.runs("perplexity")) {
                new FactorSection(options, blas, model).perplexity();
            }
            if (options.runs("pruning")) {
                new PruningSection(options, model).run();
            }
            if (options.runs("requests")) {
                new RequestsSection(options, model).run();
            }
            if (options.runs("scaling")) {
                new ScalingSection(options, model).run();
            }
        });
    }

    private static void forEachModel(HeadArguments options, Consumer<HeadModel> work) {
        if (HeadArguments.SECTIONS.stream().allMatch(s -> s.equals("kernels") || !options.runs(s))) {
            return;
        }
        if (options.model() != null) {
            try (HeadModel model = HeadModel.ofFolder(options.model())) {
                work.accept(model);
            }
            return;
        }
        for (HeadShape size : options.sizes()) {
            try (HeadModel model = HeadModel.synthetic(size, options.cache())) {
                work.accept(model);
            }
        }
    }

    private static void describe(String[] arguments) throws IOException {
        System.out.printf(
                Locale.ROOT,
                "%s, %d cores, Java %s, commit %s%n%n`HeadComparison %s`%n",
                processor(),
                Runtime.getRuntime().availableProcessors(),
                Runtime.version(),
                System.getProperty("groupreduce.commit", "unknown"),
                String.join(" ", arguments));
    }

    private static String processor() throws IOException {
        Path info = Path.of("/proc/cpuinfo");
        if (!Files.isReadable(info)) {
            return System.getProperty("os.arch");
        }
        return Files.readAllLines(info).stream()
                .filter(line -> line.startsWith("model name"))
                .findFirst()
                .map(line -> line.substring(line.indexOf(':') + 1).strip())
                .orElse(System.getProperty("os.arch"));
    }
}
