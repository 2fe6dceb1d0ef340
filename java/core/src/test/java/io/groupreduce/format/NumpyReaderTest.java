package io.groupreduce.format;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.groupreduce.GroupReduce;
import io.groupreduce.SeededData;
import io.groupreduce.api.CompressionJob;
import io.groupreduce.api.CompressionOptions;
import io.groupreduce.api.Method;
import io.groupreduce.api.Progress;
import io.groupreduce.api.SizeTarget;
import io.groupreduce.api.VocabularyChoice;
import io.groupreduce.internal.packed.PackedFixture;
import io.groupreduce.internal.reference.ReferenceBackend;
import io.groupreduce.matrix.BitProfile;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.DType;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.matrix.LittleEndian;
import io.groupreduce.matrix.ScaleFormat;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The readers in benchmarks/peers against this software, on files of every kind: what is stored bit for bit, products to rounding. */
class NumpyReaderTest {
    private static final Path READERS =
            Path.of("../../benchmarks/peers").toAbsolutePath().normalize();

    /** Writes what the reader makes of each tensor, and then all that it decoded for it; at last runs it as a person does. */
    private static final String ALL = """
            import runpy, sys
            import numpy as np
            sys.path.insert(0, sys.argv[1])
            import read_groupreduce as reader

            decode, parts = reader.decode, []
            def recorded(*about):
                parts.append(decode(*about))
                return parts[-1]
            reader.decode = recorded

            for line in open(sys.argv[2], encoding="utf-8"):
                path, name, out = line[:-1].split("\\t")
                found = reader.read(reader.File(path), name)
                np.concatenate([part.ravel() for part in [found, *parts]]).astype("<f4").tofile(out)
                parts.clear()

            sys.argv[1:] = [path, name, out + ".npy"]
            runpy.run_path(reader.__file__, run_name="__main__")
            assert np.array_equal(np.load(out + ".npy"), found)
            """;

    private static final int COLUMNS = 45;

    private final ReferenceBackend backend = new ReferenceBackend();
    private final List<Path> files = new ArrayList<>();

    @TempDir
    private Path directory;

    @BeforeAll
    static void numpyIsThere() throws Exception {
        String reason = "python3 with NumPy is not there, so the readers in benchmarks/peers were not tried";
        try {
            assumeTrue(run("-c", "import numpy").isEmpty(), reason);
        } catch (IOException e) {
            assumeTrue(false, reason);
        }
    }

    /** What python3 printed; empty where all went well. */
    private static String run(Object... arguments) throws Exception {
        List<String> command = new ArrayList<>(List.of("python3", "-B"));
        Stream.of(arguments).map(Object::toString).forEach(command::add);
        Path printed = Files.createTempFile("python", ".txt");
        Process process = new ProcessBuilder(command)
                .redirectErrorStream(true)
                .redirectOutput(printed.toFile())
                .start();
        boolean ended = process.waitFor(60, TimeUnit.SECONDS);
        String text = Files.readString(printed);
        Files.delete(printed);
        return ended && process.exitValue() == 0 ? text : text + " failed";
    }

    @Test
    void theReadersAreShort() throws IOException {
        for (String reader : new String[] {"read_groupreduce.py", "unpack_groupreduce.py"}) {
            long lines = Files.readAllLines(READERS.resolve(reader)).stream()
                    .filter(line -> !line.isBlank())
                    .count();
            assertTrue(lines <= 65, reader + " has " + lines + " lines");
        }
    }

    @Test
    void everyTensorOfEveryFileIsRead() throws Exception {
        craftedFiles();
        packedFile();
        compressedFiles();
        List<String> wanted = new ArrayList<>();
        for (Path file : files) {
            try (CompressedFile opened = CompressedFile.open(file)) {
                names(opened).forEach(name -> wanted.add(file + "\t" + name + "\t" + found(file, name)));
            }
        }
        Path script = Files.writeString(directory.resolve("all.py"), ALL);
        Path list = Files.write(directory.resolve("wanted"), wanted);
        assertEquals("", run(script, READERS, list));
        for (Path file : files) {
            assertRead(file);
        }
    }

    private static List<String> names(CompressedFile file) {
        return Stream.of(file.matrices(), file.tied(), file.copied())
                .flatMap(named -> named.keySet().stream())
                .toList();
    }

    private static Path found(Path file, String name) {
        return Path.of(file + "." + name);
    }

    private void assertRead(Path file) throws IOException {
        Path dense = Path.of(file + ".dense");
        try (CompressedFile opened = CompressedFile.open(file)) {
            DenseExport.write(opened, dense);
            try (Safetensors exported = Safetensors.open(dense)) {
                for (String name : names(opened)) {
                    float[] found = MemorySegment.ofArray(Files.readAllBytes(found(file, name)))
                            .toArray(LittleEndian.F32);
                    String where = file.getFileName() + ", " + name;
                    Tensor copied = opened.copied().get(name);
                    if (copied == null) {
                        CompressedMatrix matrix = opened.require(name);
                        assertProducts(where, matrix, exported.require(name), found);
                        assertParts(where, matrix, found);
                    } else {
                        assertArrayEquals(copied.floats(), found, where);
                    }
                }
            }
        }
    }

    /** Bit for bit, but for the sign of a zero. */
    private static void assertParts(String where, CompressedMatrix matrix, float[] found) {
        int at = matrix.rows() * matrix.columns();
        for (EncodedMatrix part : matrix.parts().toList()) {
            float[] row = new float[part.width()];
            for (int r = 0; r < part.rows(); r++) {
                part.decodeRow(r, row, 0);
                for (int j = 0; j < row.length; j++) {
                    String what = where + ", " + part.profile() + ", row " + r + ", number " + j;
                    float read = found[at++];
                    assertTrue(row[j] == read, () -> what + ": " + read);
                }
            }
        }
        assertEquals(found.length, at, where);
    }

    /** A sum of k products is off by at most k roundings of all their sizes; then export rounds it to the type of the source. */
    private static void assertProducts(String where, CompressedMatrix matrix, Tensor dense, float[] found) {
        int columns = matrix.columns();
        float[] exported = dense.floats();
        double[] sizes = new double[columns];
        for (int i = 0; i < matrix.rows(); i++) {
            int rank = sizes(matrix, i, sizes);
            for (int j = 0; j < columns; j++) {
                float expected = exported[i * columns + j];
                double bound = 2 * rank * 0x1p-24 * sizes[j] + rounding(dense.type(), expected);
                assertEquals(expected, found[i * columns + j], bound, where + ", row " + i + ", column " + j);
            }
        }
    }

    /** How many products a row adds up, and the sum of their sizes by column; 0 of rows that are no products. */
    private static int sizes(CompressedMatrix matrix, int row, double[] sizes) {
        Arrays.fill(sizes, 0);
        GroupPlan plan = matrix.groups().get(matrix.group(row));
        if (!plan.isLowRank()) {
            return 0;
        }
        float[] coordinates = new float[plan.rank()];
        matrix.left(matrix.group(row)).decodeRow(matrix.slot(row), coordinates, 0);
        float[] right = matrix.decodedRight(plan.basis());
        for (int k = 0; k < plan.rank(); k++) {
            for (int j = 0; j < sizes.length; j++) {
                sizes[j] += Math.abs((double) coordinates[k] * right[k * sizes.length + j]);
            }
        }
        return plan.rank();
    }

    private static double rounding(DType type, float value) {
        return switch (type) {
            case F16 -> Math.max(0x1p-25, 0x1p-11 * Math.abs(value));
            case BF16 -> 0x1p-8 * Math.abs(value);
            default -> 0;
        };
    }

    private void write(String file, List<CompressedMatrix> matrices, List<Tensor> copied) {
        files.add(directory.resolve(file));
        List<CompressedEntry> entries = matrices.stream()
                .map(matrix -> new CompressedEntry(matrix, Map.of()))
                .toList();
        CompressedFile.write(files.getLast(), entries, copied, Map.of("format", "pt"), Map.of());
    }

    /** Groups and right factors of all widths and of falling ones, every kind of scale, an empty group, one row, a bias. */
    private void craftedFiles() {
        List<Tensor> copied = List.of(FormatFixtures.f32("other", new long[] {3}, 1, 2, 3));
        EncodedMatrix row = encoded(new Random(1), BitProfile.of(Codec.INT4, COLUMNS), 1, 32, ScaleFormat.F32);
        List<GroupPlan> dense = List.of(GroupPlan.dense(COLUMNS, Codec.INT4));
        CompressedMatrix one = new CompressedMatrix("row", COLUMNS, new byte[1], dense, List.of(row), List.of());
        write("crafted", List.of(matrix(7), CompressedFixture.matrix(), one), copied);
    }

    /** Shifts and escapes, several blocks, no rows but zeros, one row, one column, 255 groups; an unpacked matrix beside them. */
    private void packedFile() {
        int[] many = IntStream.range(0, GroupPlan.MAX_GROUPS).map(g -> g % 4).toArray();
        List<CompressedMatrix> matrices = List.of(
                PackedFixture.of(1, 4099, 7, 6, 0, 3, 6).matrix("several"),
                PackedFixture.of(2, 50, 130, 90, 120).matrix("long"),
                PackedFixture.of(3, 1, 9, 5).matrix("row"),
                PackedFixture.of(4, 2049, 1, 0, 1).matrix("column"),
                PackedFixture.of(5, 1, 1, 1).matrix("number"),
                PackedFixture.of(6, 2048, 3, 0).matrix("zeros"),
                PackedFixture.of(7, 500, 4, many).matrix("groups"),
                matrix(7));
        write("packed", matrices, List.of());
    }

    /** What this software makes: every method, codec and type of source, several bases, packed, only what is compressed. */
    private void compressedFiles() throws IOException {
        CompressionOptions options =
                CompressionOptions.defaults().withGroups(2).withRefineRounds(1).withAlpha(0.5);
        Path model = model("model", DType.F32, 120, 36);
        for (Codec codec : Codec.values()) {
            int ratio = codec.scaled() ? 6 : 2;
            CompressionOptions paper = options.withMethod(Method.GROUPREDUCE).withCodec(codec);
            compress("paper " + codec, model, ratio, paper, codec == Codec.INT8);
            CompressionOptions ours = options.withCodec(codec);
            // To search for a codec of right factors takes long, and is seen below.
            compress("ours " + codec, model, ratio, ours.withRightCodec(Codec.INT8), false);
        }
        CompressionOptions fewBits = options.withRightCodec(Codec.INT4);
        compress("svd", model, 5, fewBits.withMethod(Method.SVD), false);
        compress("weighted", model, 5, fewBits.withMethod(Method.WEIGHTED_SVD), false);
        compress("half", model("halves", DType.F16, 400, 12), 3, options, false);
        compress("brain", model("brains", DType.BF16, 500, 12), 4, options, false);
        compress("column", model("columns", DType.F32, 1000, 1), 1.2, options, false);
        CompressionOptions packed = options.withGroups(1).withPacked(true);
        compress("long", model("longs", DType.F32, 300, 24), 6, packed, true);
        compress("short", model("shorts", DType.F32, 300, 3), 2, packed, false);
    }

    private void compress(String file, Path model, double ratio, CompressionOptions options, boolean only) {
        files.add(directory.resolve(file));
        CompressionJob job = new CompressionJob(
                model,
                files.getLast(),
                List.of(),
                VocabularyChoice.NONE,
                null,
                Map.of(),
                Map.of(),
                null,
                options.withTarget(SizeTarget.ratio(ratio)),
                only,
                false);
        GroupReduce.compress(job, backend, Progress.NONE, line -> {});
    }

    /** An embedding of which the softmax is a copy, another matrix, whose last rows are zeros, and what is not compressed. */
    private Path model(String name, DType type, int rows, int columns) throws IOException {
        float[] values = SeededData.powerLaw(3, rows, columns, 0.6);
        Arrays.fill(values, (rows - rows / 20) * columns, values.length, 0);
        Path file = directory.resolve(name + ".safetensors");
        List<Tensor> tensors = List.of(
                tensor("model.embed_tokens.weight", type, values, rows, columns),
                tensor("lm_head.weight", type, values, rows, columns),
                tensor("lm_head.bias", type, Arrays.copyOf(values, rows), rows),
                tensor("norm.weight", DType.BF16, new float[] {1, 2, 3}, 3));
        SafetensorsWriter.write(file, tensors, Map.of("format", "pt"));
        return file;
    }

    private static Tensor tensor(String name, DType type, float[] values, long... shape) {
        MemorySegment data = MemorySegment.ofArray(new byte[type.bytes() * values.length]);
        for (int i = 0; i < values.length; i++) {
            DenseExport.store(data, type, i, values[i]);
        }
        return new Tensor(name, type, shape, data);
    }

    /** Groups of all widths and of falling ones, with every kind of scale, on two bases, an empty group among them. */
    private static CompressedMatrix matrix(long seed) {
        Random random = new Random(seed);
        List<GroupPlan> plans = new ArrayList<>();
        List<EncodedMatrix> left = new ArrayList<>();
        int rank = 20;
        for (int bits : new int[] {1, 2, 3, 4, 5, 6, 7, 8, 16, 32}) {
            plans.add(new GroupPlan(bits % 2, BitProfile.constant(bits, rank - bits / 2)));
        }
        plans.add(new GroupPlan(1, BitProfile.of(8, 8, 6, 5, 5, 5, 3, 2, 2, 1, 1, 1, 1)));
        plans.add(new GroupPlan(0, BitProfile.of(6, 6, 4, 4, 4, 4, 1, 1, 1)));
        plans.add(new GroupPlan(GroupPlan.DENSE, BitProfile.constant(5, COLUMNS)));
        plans.add(GroupPlan.zero());
        plans.add(new GroupPlan(0, BitProfile.of(3, 1)));
        int used = plans.size() - 1;
        byte[] groupOf = new byte[90];
        int[] sizes = new int[plans.size()];
        for (int i = 0; i < groupOf.length; i++) {
            groupOf[i] = (byte) random.nextInt(used);
            sizes[groupOf[i]]++;
        }
        for (int g = 0; g < plans.size(); g++) {
            ScaleFormat scales = ScaleFormat.values()[g % 3];
            GroupPlan plan = plans.get(g);
            left.add(plan.isZero() ? null : encoded(random, plan.profile(), sizes[g], plan.block(), scales));
        }
        List<EncodedMatrix> right = List.of(
                encoded(random, BitProfile.constant(8, COLUMNS), rank, 32, ScaleFormat.BF16),
                encoded(random, BitProfile.constant(16, COLUMNS), rank, COLUMNS, ScaleFormat.BF16));
        return new CompressedMatrix("plain", COLUMNS, groupOf, plans, left, right);
    }

    private static EncodedMatrix encoded(Random random, BitProfile profile, int rows, int block, ScaleFormat scales) {
        EncodedMatrix matrix = EncodedMatrix.allocate(Arena.ofAuto(), profile, rows, block, scales);
        float[] row = new float[profile.width()];
        for (int r = 0; r < rows; r++) {
            for (int j = 0; j < row.length; j++) {
                row[j] = (float) random.nextGaussian();
            }
            matrix.encodeRow(r, row, 0, null);
        }
        return matrix;
    }
}
