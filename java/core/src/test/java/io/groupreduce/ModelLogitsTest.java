package io.groupreduce;

import static io.groupreduce.SoftmaxHeadTest.assertFails;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.api.CompressedModel;
import io.groupreduce.api.CompressionJob;
import io.groupreduce.api.CompressionOptions;
import io.groupreduce.api.Device;
import io.groupreduce.api.Evaluation;
import io.groupreduce.api.HeadOptions;
import io.groupreduce.api.Method;
import io.groupreduce.api.ModelFile;
import io.groupreduce.api.Progress;
import io.groupreduce.api.SizeTarget;
import io.groupreduce.api.VocabularyChoice;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.format.CompressedFile;
import io.groupreduce.format.SafetensorsWriter;
import io.groupreduce.format.Tensor;
import io.groupreduce.internal.reference.ReferenceBackend;
import io.groupreduce.matrix.DType;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Models whose logits are more than A h, from the file to the head: their own perplexity, or a refusal. */
class ModelLogitsTest {
    private static final int ROWS = 80;
    private static final int COLUMNS = 8;
    private static final int STATES = 200;
    private static final String MATRIX = "model.embed_tokens.weight";
    /** Rows and configuration of these small models need not fit each other. */
    private static final VocabularyChoice CHOICE = new VocabularyChoice(MATRIX, null, null);

    @TempDir
    private Path directory;

    private final ReferenceBackend backend = new ReferenceBackend();
    private final List<String> told = new ArrayList<>();
    private final SplittableRandom random = new SplittableRandom(4);
    private final float[] matrix = new float[ROWS * COLUMNS];
    private final float[] hidden = new float[STATES * COLUMNS];
    private final float[] bias = new float[ROWS];
    private int[] targets = new int[STATES];
    private Path model;
    private Path states;

    @BeforeEach
    void draw() throws IOException {
        model = Files.createDirectory(directory.resolve("model"));
        states = directory.resolve("hidden.safetensors");
        for (float[] numbers : new float[][] {matrix, hidden}) {
            for (int i = 0; i < numbers.length; i++) {
                numbers[i] = (float) random.nextGaussian();
            }
        }
        for (int i = 0; i < ROWS; i++) {
            bias[i] = (float) (3 - 1.5 * Math.log1p(i));
        }
    }

    /** scale * (A h) + bias, and its log-sum-exp at the end. */
    private double[] logits(int state, double scale, boolean biased) {
        double[] logits = new double[ROWS + 1];
        double sum = 0;
        for (int i = 0; i < ROWS; i++) {
            for (int j = 0; j < COLUMNS; j++) {
                logits[i] += scale * matrix[i * COLUMNS + j] * hidden[state * COLUMNS + j];
            }
            logits[i] += biased ? bias[i] : 0;
            sum += Math.exp(logits[i]);
        }
        logits[ROWS] = Math.log(sum);
        return logits;
    }

    /** Writes a model and states whose targets are drawn from the softmax; returns its perplexity on them. */
    private double write(String config, double scale, String biasName, long... biasShape) throws IOException {
        double loss = 0;
        for (int t = 0; t < STATES; t++) {
            double[] logits = logits(t, scale, biasName != null);
            double best = Double.NEGATIVE_INFINITY;
            for (int i = 0; i < ROWS; i++) {
                double noisy = logits[i] - Math.log(-Math.log(random.nextDouble()));
                targets[t] = noisy > best ? i : targets[t];
                best = Math.max(best, noisy);
            }
            loss += logits[ROWS] - logits[targets[t]];
        }
        Files.writeString(model.resolve("config.json"), config);
        List<Tensor> tensors = new ArrayList<>(List.of(tensor(MATRIX, matrix, ROWS, COLUMNS)));
        if (biasName != null) {
            tensors.add(tensor(biasName, bias, biasShape));
        }
        tensors.add(tensor("norm.weight", new float[3], 3));
        SafetensorsWriter.write(model.resolve("model.safetensors"), tensors, Map.of());
        writeStates(STATES);
        return Math.exp(loss / STATES);
    }

    private void writeStates(int count) {
        Tensor its = tensor("hidden", Arrays.copyOf(hidden, count * COLUMNS), count, COLUMNS);
        MemorySegment tokens = MemorySegment.ofArray(Arrays.copyOf(targets, count));
        SafetensorsWriter.write(
                states, List.of(its, new Tensor("targets", DType.I32, new long[] {count}, tokens)), Map.of());
    }

    private static Tensor tensor(String name, float[] values, long... shape) {
        return new Tensor(name, DType.F32, shape, MemorySegment.ofArray(values));
    }

    private Path compress(CompressionOptions options, boolean withStates, boolean only) {
        Path output = directory.resolve("small.safetensors");
        CompressionJob job = new CompressionJob(
                model,
                output,
                List.of(),
                CHOICE,
                null,
                Map.of(),
                Map.of(),
                withStates ? states : null,
                options,
                only,
                true);
        GroupReduce.compress(job, backend, Progress.NONE, told::add);
        return output;
    }

    private static CompressionOptions plain() {
        return CompressionOptions.defaults().withMethod(Method.SVD).withTarget(SizeTarget.ratio(1.2));
    }

    private Evaluation evaluate(Path file) {
        try (ModelFile dense = GroupReduce.openModel(model, CHOICE);
                CompressedModel small = GroupReduce.openCompressed(file)) {
            return GroupReduce.evaluate(backend, dense, MATRIX, small.require(MATRIX), dense.softmax(MATRIX, states));
        }
    }

    /** The file alone, without its config.json, gives what the evaluation says of it. */
    private void assertHeadAgrees(Path file, Evaluation evaluation) {
        try (SoftmaxHead head = SoftmaxHead.open(file, HeadOptions.defaults().withDevice(Device.REFERENCE))) {
            double loss = 0;
            for (float logProbability : head.logProbabilities(States.of(hidden), targets)) {
                loss -= logProbability;
            }
            assertEquals(Math.log(evaluation.compressedPerplexity()), loss / STATES, 1e-5);
        }
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "{\"model_type\": \"granite\", \"logits_scaling\": 4.0}       | 0.25",
                "{\"model_type\": \"cohere\", \"logit_scale\": 0.4}           | 0.4",
                "{\"model_type\": \"minicpm\", \"dim_model_base\": 4}         | 0.5",
                "{\"model_type\": \"t5\", \"d_model\": 8}                     | 0.35355339",
                "{\"model_type\": \"falcon_h1\", \"lm_head_multiplier\": 1.5} | 1.5"
            })
    void aFactorIsInPerplexityAndHeads(String config, double scale) throws IOException {
        double perplexity = write(config, scale, null);
        for (boolean only : new boolean[] {false, true}) {
            Path file = compress(plain(), true, only);
            Evaluation evaluation = evaluate(file);
            assertEquals(perplexity, evaluation.densePerplexity(), 1e-4 * perplexity);
            assertTrue(Math.abs(evaluation.lossIncrease()) < 0.2, evaluation.toString());
            assertHeadAgrees(file, evaluation);
        }
        assertTrue(told.stream().noneMatch(line -> line.contains("factor")), told.toString());
    }

    @ParameterizedTest
    @CsvSource({"cls.predictions.bias, 80, 0", "final_logits_bias, 1, 80", "vocab_projector.bias, 80, 1"})
    void aBiasIsInPerplexityAndHeads(String name, long first, long second) throws IOException {
        double perplexity = write("{}", 1, name, second == 0 ? new long[] {first} : new long[] {first, second});
        for (boolean only : new boolean[] {false, true}) {
            Path file = compress(plain(), true, only);
            Evaluation evaluation = evaluate(file);
            assertEquals(perplexity, evaluation.densePerplexity(), 1e-4 * perplexity);
            assertHeadAgrees(file, evaluation);
            try (CompressedFile written = CompressedFile.open(file)) {
                assertEquals(!only, written.copied().containsKey("norm.weight"));
                assertTrue(written.copied().containsKey(name), "a bias belongs to its matrix");
            }
        }
    }

    /** Calibration and loss limits see the same logits. */
    @Test
    void lossLimitsAndCalibrationSeeTheFactor() throws IOException {
        write("{\"logits_scaling\": 4.0}", 0.25, null);
        CompressionOptions aimed = CompressionOptions.defaults().withMaxLossIncrease(0.05);
        Evaluation evaluation = evaluate(compress(aimed, true, false));
        assertTrue(evaluation.lossIncrease() < 0.1, evaluation.toString());
        Path trained = compress(
                CompressionOptions.defaults().withTarget(SizeTarget.ratio(1.2)).withCalibrationEpochs(2), true, false);
        assertHeadAgrees(trained, evaluate(trained));
    }

    @Test
    void aBiasThatIsNotFiniteIsRefusedBeforeTheWork() throws IOException {
        write("{}", 1, "lm_head.bias", ROWS);
        bias[3] = Float.NaN;
        SafetensorsWriter.write(
                model.resolve("model.safetensors"),
                List.of(tensor(MATRIX, matrix, ROWS, COLUMNS), tensor("lm_head.bias", bias, ROWS)),
                Map.of());
        assertFails(InvalidDataException.class, () -> compress(plain(), false, false), "bias", "index 3");
        assertFalse(Files.exists(directory.resolve("small.safetensors")));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "{\"final_logit_softcapping\": 30.0}",
                "{\"model_type\": \"baichuan\", \"vocab_size\": 125696}",
                "{\"final_logits_temper\": 2}"
            })
    void whatCannotBeComputedIsRefusedWithHiddenStatesOnly(String config) throws IOException {
        write(config, 1, null);
        assertFails(
                InvalidDataException.class, () -> compress(plain(), true, false), MATRIX, "leave the hidden states");
        Path file = compress(plain(), false, false);
        assertFails(InvalidDataException.class, () -> evaluate(file), MATRIX, "leave the hidden states");
    }

    /** Two names of files and one of a tensor take up what a sentence may have. */
    private static void assertTold(Executable action, String... parts) {
        String message = assertThrows(InvalidDataException.class, action).getMessage();
        for (String part : parts) {
            assertTrue(message.contains(part), message);
        }
        assertTrue(message.endsWith(".") && message.lines().count() == 1, message);
    }

    private void sharpen(float factor) {
        for (int i = 0; i < hidden.length; i++) {
            hidden[i] *= factor;
        }
    }

    @Test
    void aFactorThatIsNotFoundIsMissed() throws IOException {
        sharpen(4);
        write("{\"logits_scaling\": 8.0}", 0.125, null);
        Files.delete(model.resolve("config.json"));
        assertFails(InvalidDataException.class, () -> compress(plain(), true, false), "quarter", "config.json");
    }

    @Test
    void aLayerBeforeTheOutputIsNamedWhereNothingCanBeChecked() throws IOException {
        write("{}", 1, null);
        Tensor layer = tensor("cls.predictions.transform.dense.weight", new float[COLUMNS * COLUMNS], COLUMNS, COLUMNS);
        Tensor output = tensor(MATRIX, matrix, ROWS, COLUMNS);
        SafetensorsWriter.write(model.resolve("model.safetensors"), List.of(output, layer), Map.of());
        compress(plain(), true, false);
        assertTrue(told.stream().noneMatch(line -> line.contains(layer.name())), told.toString());
        SafetensorsWriter.write(states, List.of(tensor("hidden", hidden, STATES, COLUMNS)), Map.of());
        compress(plain(), true, false);
        assertTrue(told.stream().anyMatch(line -> line.contains(layer.name())), told.toString());
    }

    /** A name that nobody knows. */
    @Test
    void aBiasThatIsNotFoundIsMissed() throws IOException {
        write("{}", 1, "token_prior_bias", ROWS);
        assertFails(
                InvalidDataException.class,
                () -> compress(plain(), true, false),
                "with the bias token_prior_bias",
                "--bias");
        Path file = compress(plain(), false, false);
        assertFails(InvalidDataException.class, () -> evaluate(file), "with the bias token_prior_bias");
    }

    @Test
    void anotherOrderOfRowsIsWorseThanChance() throws IOException {
        write("{}", 1, null);
        Path file = compress(plain(), true, false);
        for (int t = 0; t < STATES; t++) {
            targets[t] = (targets[t] + 1) % ROWS;
        }
        writeStates(STATES);
        assertTold(() -> compress(plain(), true, false), "worse than chance", "4.382", "--bias");
        assertTold(() -> evaluate(file), "worse than chance", MATRIX, "80 rows");
    }

    /** By accident a few tokens of a right model may all be unlikely. */
    @Test
    void aFewUnlikelyTargetsAreNoProof() throws IOException {
        write("{}", 1, null);
        Path file = compress(plain(), true, false);
        int few = 6;
        for (int t = 0; t < few; t++) {
            double[] logits = logits(t, 1, false);
            targets[t] = 0;
            for (int i = 0; i < ROWS; i++) {
                targets[t] = logits[i] < logits[targets[t]] ? i : targets[t];
            }
        }
        writeStates(few);
        assertTrue(evaluate(file).densePerplexity() > ROWS);
    }

    @Test
    void statesThatHoldTheFactorAlreadyAreTold() throws IOException {
        sharpen(4);
        write("{\"model_type\": \"t5\"}", 1 / Math.sqrt(COLUMNS), null);
        Path file = compress(plain(), true, false);
        for (int i = 0; i < hidden.length; i++) {
            hidden[i] *= (float) (1 / Math.sqrt(COLUMNS));
        }
        writeStates(STATES);
        assertFails(InvalidDataException.class, () -> compress(plain(), true, false), "hold it already", "before it");
        assertFails(InvalidDataException.class, () -> evaluate(file), "hold it already");
    }
}
