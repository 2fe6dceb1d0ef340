package io.groupreduce.benchmarks;

import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import java.io.IOException;
import java.nio.LongBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;

/**
 * What ONNX models of sentences take in ONNX Runtime, one thread: bytes of the file, memory of a session, each in a process of its own, and time of a
 * sentence, in turn in one process. The first model is what the others are compared with. Arguments: {@code [--tokens N] MODEL.onnx...}
 */
public final class SentenceModels {
    private static final int ROUNDS = 400;
    private static final int WARM_UP = 200;
    private static final int SESSION_RUNS = 30;

    private SentenceModels() {}

    /** A Markdown table; or, after {@code --memory}, one number for the process that made it. */
    public static void main(String[] arguments) throws Exception {
        List<String> files = new ArrayList<>(List.of(arguments));
        int tokens = 16;
        if (files.getFirst().equals("--tokens")) {
            tokens = Integer.parseInt(files.get(1));
            files.subList(0, 2).clear();
        }
        if (files.getFirst().equals("--memory")) {
            System.out.println(memory(files.get(1), tokens));
            return;
        }
        double[][] micros = time(files, tokens);
        double first = median(micros[0]);
        System.out.println("| model | MB | memory of a session, MB | us for " + tokens
                + " tokens, median (10 % to 90 %) | ratio |");
        System.out.println("|---|---|---|---|---|");
        for (int i = 0; i < files.size(); i++) {
            double[] own = micros[i];
            System.out.printf(
                    Locale.ROOT,
                    "| %s | %.2f | %.1f | %.0f (%.0f to %.0f) | %.2f |%n",
                    Path.of(files.get(i)).getFileName(),
                    Files.size(Path.of(files.get(i))) / 1e6,
                    inProcess(files.get(i), tokens) / 1e6,
                    median(own),
                    own[own.length / 10],
                    own[own.length * 9 / 10],
                    median(own) / first);
        }
    }

    private static OrtSession open(String file) throws OrtException {
        OrtSession.SessionOptions options = new OrtSession.SessionOptions();
        options.setIntraOpNumThreads(1);
        return OrtEnvironment.getEnvironment().createSession(file, options);
    }

    private static void run(OrtSession session, long[] ids) throws OrtException {
        OrtEnvironment environment = OrtEnvironment.getEnvironment();
        long[] ones = new long[ids.length];
        Arrays.fill(ones, 1);
        Map<String, OnnxTensor> given = new HashMap<>();
        try {
            for (String name : session.getInputNames()) {
                long[] values = name.contains("mask") ? ones : name.contains("type") ? new long[ids.length] : ids;
                given.put(name, OnnxTensor.createTensor(environment, LongBuffer.wrap(values), new long[] {1, ids.length
                }));
            }
            session.run(given).close();
        } finally {
            given.values().forEach(OnnxTensor::close);
        }
    }

    /** Ids between those of special and of rare tokens. */
    private static long[] sentence(Random random, int tokens) {
        return random.longs(tokens, 1000, 20_000).toArray();
    }

    /** By model, ascending. */
    private static double[][] time(List<String> files, int tokens) throws OrtException {
        List<OrtSession> sessions = new ArrayList<>();
        for (String file : files) {
            sessions.add(open(file));
        }
        Random random = new Random(1);
        double[][] micros = new double[files.size()][ROUNDS];
        for (int round = -WARM_UP; round < ROUNDS; round++) {
            long[] ids = sentence(random, tokens);
            for (int i = 0; i < micros.length; i++) {
                long start = System.nanoTime();
                run(sessions.get(i), ids);
                if (round >= 0) {
                    micros[i][round] = (System.nanoTime() - start) / 1e3;
                }
            }
        }
        Arrays.stream(micros).forEach(Arrays::sort);
        return micros;
    }

    private static double median(double[] ascending) {
        return ascending[ascending.length / 2];
    }

    private static long inProcess(String file, int tokens) throws IOException, InterruptedException {
        Path java = Path.of(System.getProperty("java.home"), "bin", "java");
        ProcessBuilder builder = new ProcessBuilder(
                java.toString(),
                "-Xmx256m",
                "--enable-native-access=ALL-UNNAMED",
                SentenceModels.class.getName(),
                "--tokens",
                Integer.toString(tokens),
                "--memory",
                file);
        // ONNX Runtime 1.29 does not survive long command lines.
        builder.environment().put("CLASSPATH", System.getProperty("java.class.path"));
        Process process = builder.redirectError(ProcessBuilder.Redirect.INHERIT).start();
        String told = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        if (process.waitFor() != 0) {
            throw new IOException("the process for " + file + " failed");
        }
        return Long.parseLong(told.strip());
    }

    /** Bytes of memory of its own that a session takes, what it needs to run included. */
    private static long memory(String file, int tokens) throws Exception {
        OrtEnvironment.getEnvironment();
        System.gc();
        long before = anonymous();
        try (OrtSession session = open(file)) {
            Random random = new Random(1);
            for (int i = 0; i < SESSION_RUNS; i++) {
                run(session, sentence(random, tokens));
            }
            System.gc();
            return anonymous() - before;
        }
    }

    private static long anonymous() throws IOException {
        return Files.readAllLines(Path.of("/proc/self/smaps_rollup")).stream()
                .filter(line -> line.startsWith("Anonymous:"))
                .mapToLong(line -> 1024 * Long.parseLong(line.replaceAll("[^0-9]", "")))
                .findFirst()
                .orElseThrow();
    }
}
