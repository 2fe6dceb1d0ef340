package io.groupreduce.models.run;

import io.groupreduce.api.Progress;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.format.Model;
import io.groupreduce.format.SafetensorsWriter;
import io.groupreduce.format.Tensor;
import io.groupreduce.format.Wording;
import io.groupreduce.matrix.DType;
import io.groupreduce.matrix.LittleEndian;
import io.groupreduce.models.onnx.OnnxFile;
import io.groupreduce.models.onnx.Place;
import io.groupreduce.models.onnx.Places;
import io.groupreduce.models.text.Tokenizer;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.function.Consumer;

/**
 * Collects what meets a model's output matrix: runs the model over text, up to its output layer. A model that writes on is asked for the next
 * token at each position; one that sees the whole text for tokens that are masked.
 */
public final class Collector {
    /** Tokenizers have fewer tokens than matrices have rows, which are padded to a round number, but by no more than this. */
    private static final int PADDING = 1024;

    private static final List<String> MASKS = List.of("[MASK]", "<mask>");

    /** Sequences that are tried before the others, and their most tokens: whole logits are large. */
    private static final int TRIED = 4;

    private static final int TRIED_LENGTH = 64;

    /** The largest number of F16. */
    private static final float MOST_HALF = 65504;

    /** Share of the time until the first sequence of the run. */
    private static final double PREPARING = 0.1;

    private final CollectJob job;
    private final Progress progress;
    private final Consumer<String> tell;

    private Collector(CollectJob job, Progress progress, Consumer<String> tell) {
        this.job = job;
        this.progress = progress;
        this.tell = tell;
    }

    /**
     * Writes a file with {@code hidden} [T, D] and {@code targets} [T].
     *
     * @param tell hears in a sentence what a user should know
     * @throws InvalidDataException if the model has no output layer, is not understood, or does not fit tokenizer and text
     * @throws io.groupreduce.error.DeviceException if the runtime fails
     */
    public static Collected collect(CollectJob job, Progress progress, Consumer<String> tell) {
        return new Collector(job, progress, tell).collect();
    }

    private Collected collect() {
        try (OnnxFile file = OnnxFile.open(job.model());
                Model model = Model.open(job.model(), job.choice());
                Tokenizer tokenizer = Tokenizer.open(job.tokenizer())) {
            List<Place> places =
                    Places.all(file, job.choice()).stream().filter(Place::taken).toList();
            List<Place> outputs = places.stream()
                    .filter(place -> place.role() == Model.Role.OUTPUT)
                    .toList();
            if (outputs.isEmpty()) {
                Place table = Sensitivity.table(job.model(), places);
                requireFits(tokenizer, table.rows());
                return new Sensitivity(job, file, table, progress, tell).collect(tokenizer);
            }
            OutputLayer layer = new OutputLayer(file, model, place(outputs, model));
            requireFits(tokenizer, layer.matrix().rows());
            int fixed;
            Trial trial;
            Sequences texts;
            try (Runner runner = layer.open(true, job.threads())) {
                fixed = (int) runner.length();
                if (fixed > 0 && job.length() > 0 && fixed != job.length()) {
                    throw new InvalidDataException(Wording.file(job.model()) + " takes sequences of " + fixed
                            + " tokens alone; leave --length out.");
                }
                int length = job.length() > 0 ? job.length() : fixed > 0 ? fixed : CollectJob.USUAL_LENGTH;
                texts = new Sequences(
                        tokenizer, job.texts(), length, job.threads(), (step, f) -> progress.at(step, PREPARING * f));
                trial = new Trial(layer, tokenizer, texts, runner);
            }
            return run(file, layer, texts, trial);
        }
    }

    private Place place(List<Place> found, Model model) {
        String name = model.outputMatrix();
        String original = model.duplicates()
                .getOrDefault(found.getFirst().tensor(), found.getFirst().tensor());
        if (found.size() > 1 || !original.equals(name)) {
            throw new InvalidDataException(Wording.file(job.model()) + " has the output layers "
                    + Wording.some(found.stream().map(Place::tensor).toList()) + ", and states of "
                    + Wording.quoted(name) + " alone are wanted; models with one output layer can be run.");
        }
        return found.getFirst();
    }

    private void requireFits(Tokenizer tokenizer, long rows) {
        int least = 0;
        for (int id = 0; id < tokenizer.size(); id++) {
            // A tokenizer may serve a larger model too, with special tokens that text does not have.
            least = tokenizer.token(id) != null && !tokenizer.isSpecial(id) ? id + 1 : least;
        }
        if (least > rows || tokenizer.size() < rows - PADDING || 2L * tokenizer.size() < rows) {
            throw new InvalidDataException(Wording.file(job.tokenizer()) + " has " + tokenizer.size()
                    + " tokens, but the vocabulary of " + Wording.file(job.model()) + " has " + rows
                    + " rows; take the tokenizer that belongs to the model.");
        }
    }

    /** What a few sequences tell of the model. */
    private final class Trial {
        /** The token that hides others; -1 for a model that guesses the next one. */
        private final int mask;

        private final double crossEntropy;

        private Trial(OutputLayer layer, Tokenizer tokenizer, Sequences texts, Runner runner) {
            List<int[]> some = new ArrayList<>();
            int most = runner.length() > 0 ? texts.length() : Math.min(texts.length(), texts.start() + TRIED_LENGTH);
            texts.forEach(
                    (int) Math.min(TRIED, texts.count()), 0, (index, tokens) -> some.add(Arrays.copyOf(tokens, most)));
            some.forEach(tokens -> job.requireBelow(layer.matrix().rows(), tokens));
            boolean causal = layer.isCausal(runner, some.getFirst());
            mask = causal ? -1 : mask(tokenizer);
            double sum = 0;
            int count = 0;
            for (int i = 0; i < some.size(); i++) {
                progress.at("trying the model", PREPARING);
                int content = Math.min(texts.content(), TRIED_LENGTH);
                Sampling sampling = new Sampling(content, some.size(), some.size() * content, !causal);
                Step step = new Step(sampling.positions(i), some.get(i), texts.start(), mask);
                sum += layer.check(runner, some.get(i), step.positions, step.targets);
                count += step.targets.length;
            }
            crossEntropy = sum / count;
            layer.requireKnows(crossEntropy, !causal);
        }

        private int mask(Tokenizer tokenizer) {
            return MASKS.stream()
                    .map(tokenizer::id)
                    .filter(OptionalInt::isPresent)
                    .findFirst()
                    .orElseThrow(() -> new InvalidDataException(Wording.file(job.model())
                            + " sees all tokens of a text, so it must guess masked ones, but "
                            + Wording.file(job.tokenizer()) + " has no " + String.join(" or ", MASKS)
                            + "; hidden states of it cannot be collected."))
                    .getAsInt();
        }
    }

    /** The positions and targets of one sequence, in which the targets are masked if there is a mask. */
    private static final class Step {
        private final int[] positions;
        private final int[] targets;

        private Step(int[] chosen, int[] sequence, int start, int mask) {
            positions = chosen;
            targets = new int[chosen.length];
            for (int i = 0; i < chosen.length; i++) {
                positions[i] += start;
                targets[i] = sequence[mask < 0 ? positions[i] + 1 : positions[i]];
            }
            for (int i = 0; mask >= 0 && i < chosen.length; i++) {
                sequence[positions[i]] = mask;
            }
        }
    }

    private Collected run(OnnxFile file, OutputLayer layer, Sequences texts, Trial trial) {
        int columns = layer.matrix().columns();
        long record = Integer.BYTES + (long) Float.BYTES * columns;
        Sampling sampling =
                new Sampling(texts.content(), texts.count(), job.statesOr(CollectJob.USUAL_STATES), trial.mask >= 0);
        byte[] digest = job.digest(file.files(), layer.place().input() + " " + texts.length() + " " + sampling);
        try (StateFile state = new StateFile(job.stateFile(), digest, tell);
                Runner runner = layer.open(false, job.threads())) {
            int resumed = state.done();
            texts.forEach(sampling.sequences(), resumed, (index, tokens) -> {
                progress.at("running the model", PREPARING + (1 - PREPARING) * index / sampling.sequences());
                job.requireBelow(layer.matrix().rows(), tokens);
                Step step = new Step(sampling.positions(index), tokens, texts.start(), trial.mask);
                float[] hidden = layer.states(
                        runner.run(new int[][] {tokens}, layer.place().input()), tokens.length);
                ByteBuffer records = ByteBuffer.allocate((int) (record * step.targets.length))
                        .order(ByteOrder.LITTLE_ENDIAN);
                for (int i = 0; i < step.targets.length; i++) {
                    records.putInt(step.targets[i]);
                    for (int c = 0; c < columns; c++) {
                        records.putFloat(hidden[step.positions[i] * columns + c]);
                    }
                }
                state.add(records.flip(), record * sampling.before(index));
            });
            String type = write(state, sampling.states(), columns);
            state.remove();
            return new Collected(
                    layer.place().tensor(),
                    sampling.states(),
                    columns,
                    type,
                    sampling.masked() ? Collected.Kind.MASKED_TOKENS : Collected.Kind.NEXT_TOKENS,
                    sampling.sequences(),
                    texts.length(),
                    texts.tokens(),
                    trial.crossEntropy,
                    resumed);
        }
    }

    /** Writes states and targets: F16, which has finer steps than a model's own noise, or F32 where numbers are too large for that. */
    private String write(StateFile state, int states, int columns) {
        try (Arena arena = Arena.ofConfined()) {
            boolean half = true;
            MemorySegment targets = arena.allocate((long) Integer.BYTES * states);
            MemorySegment wide = arena.allocate((long) Float.BYTES * states * columns);
            ByteBuffer record =
                    ByteBuffer.allocate(Integer.BYTES + Float.BYTES * columns).order(ByteOrder.LITTLE_ENDIAN);
            for (int t = 0; t < states; t++) {
                state.read(record.clear(), (long) record.capacity() * t);
                record.flip();
                targets.set(LittleEndian.I32, (long) Integer.BYTES * t, record.getInt());
                for (int c = 0; c < columns; c++) {
                    float value = record.getFloat();
                    half &= Math.abs(value) <= MOST_HALF;
                    wide.set(LittleEndian.F32, Float.BYTES * ((long) t * columns + c), value);
                }
            }
            MemorySegment hidden = half ? halves(wide) : wide;
            DType type = half ? DType.F16 : DType.F32;
            SafetensorsWriter.write(
                    job.output(),
                    List.of(
                            new Tensor("hidden", type, new long[] {states, columns}, hidden),
                            new Tensor("targets", DType.I32, new long[] {states}, targets)),
                    Map.of());
            return type.name();
        }
    }

    /** Rounds in place: what is written lies before what is read. */
    private static MemorySegment halves(MemorySegment wide) {
        long count = wide.byteSize() / Float.BYTES;
        for (long i = 0; i < count; i++) {
            short half = Float.floatToFloat16(wide.get(LittleEndian.F32, Float.BYTES * i));
            wide.set(LittleEndian.I16, Short.BYTES * i, half);
        }
        return wide.asSlice(0, Short.BYTES * count);
    }
}
