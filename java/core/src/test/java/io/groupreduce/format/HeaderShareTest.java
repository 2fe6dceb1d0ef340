package io.groupreduce.format;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.GroupReduce;
import io.groupreduce.SeededData;
import io.groupreduce.api.CompressionJob;
import io.groupreduce.api.CompressionOptions;
import io.groupreduce.api.CompressionResult;
import io.groupreduce.api.CompressionSummary;
import io.groupreduce.api.Method;
import io.groupreduce.api.Progress;
import io.groupreduce.api.SizeTarget;
import io.groupreduce.api.SizeUnit;
import io.groupreduce.internal.reference.ReferenceBackend;
import io.groupreduce.matrix.BitProfile;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.matrix.ScaleFormat;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** What a matrix is said to take is what the file takes, its header included, and a size target means that. */
class HeaderShareTest {
    @TempDir
    private Path directory;

    /** As many groups as there can be, each of all eight widths. */
    private static CompressedMatrix widest(String name) {
        Arena arena = Arena.ofAuto();
        int columns = 200;
        byte[] groupOf = new byte[1000];
        List<GroupPlan> plans = new ArrayList<>();
        List<EncodedMatrix> left = new ArrayList<>();
        for (int g = 0; g < GroupPlan.MAX_GROUPS; g++) {
            int[] bits = new int[columns - g % 40];
            for (int j = 0; j < bits.length; j++) {
                bits[j] = Math.max(1, 8 - (j + g) * 8 / columns);
            }
            bits[0] = 8;
            plans.add(new GroupPlan(0, BitProfile.of(bits)));
        }
        int[] sizes = new int[plans.size()];
        for (int i = 0; i < groupOf.length; i++) {
            groupOf[i] = (byte) (i % sizes.length);
            sizes[i % sizes.length]++;
        }
        for (int g = 0; g < sizes.length; g++) {
            BitProfile profile = plans.get(g).profile();
            left.add(EncodedMatrix.allocate(arena, profile, sizes[g], profile.width(), ScaleFormat.LOG8));
        }
        List<EncodedMatrix> right =
                List.of(EncodedMatrix.allocate(arena, BitProfile.of(Codec.INT8, columns), columns, 32));
        return new CompressedMatrix(name, columns, groupOf, plans, left, right);
    }

    @Test
    void theHeaderOfTheMostGroupsStaysSmall() throws Exception {
        Path file = directory.resolve("out.safetensors");
        CompressedMatrix matrix = widest("lm_head.weight");
        CompressedFile.write(file, List.of(new CompressedEntry(matrix, Map.of())), List.of(), Map.of(), Map.of());
        try (CompressedFile read = CompressedFile.open(file)) {
            long header = read.require("lm_head.weight").headerBytes();
            assertTrue(header > 255 * 10 && header < 16_384, "header of " + header + " bytes");
            assertTrue(header <= matrix.headerBytes(), header + " of " + matrix.headerBytes());
            assertEquals(Files.size(file), read.require("lm_head.weight").bytes());
        }
    }

    /** Names that take more bytes than they have characters, two matrices, tensors and metadata of others. */
    @Test
    void theSharesAddUpToTheHeader() throws Exception {
        Path file = directory.resolve("out.safetensors");
        Path others = directory.resolve("others.safetensors");
        CompressedMatrix first = widest("é\"\\\n\u0001 漢字");
        CompressedMatrix second = CompressedFixture.matrix();
        List<Tensor> copied = List.of(FormatFixtures.i32("some \"name\"", 1, 2, 3), FormatFixtures.i64("b", 5));
        Map<String, String> metadata = Map.of("format", "p\"t\n");
        Map<String, String> tied = Map.of("embed.weight", second.name());
        List<CompressedEntry> entries =
                List.of(new CompressedEntry(first, Map.of("dtype", "F32")), new CompressedEntry(second, Map.of()));
        CompressedFile.write(file, entries, copied, metadata, tied);
        SafetensorsWriter.write(others, copied, metadata);
        try (CompressedFile read = CompressedFile.open(file)) {
            long sum = 0;
            for (CompressedMatrix matrix : List.of(first, second)) {
                CompressedMatrix found = read.require(matrix.name());
                assertTrue(found.headerBytes() > 300, matrix.name() + ": " + found.headerBytes());
                assertTrue(found.headerBytes() <= matrix.headerBytes(), matrix.name() + ": " + found.headerBytes());
                sum += found.bytes();
            }
            // The frame of a file, which counts with the first matrix, is in the file of the others once more.
            long frame = 8 + "{\"__metadata__\":{}}".length();
            String ties = ",\\\"tied\\\":{\\\"embed.weight\\\":\\\"" + second.name() + "\\\"}";
            long rest = Files.size(others) - frame + ties.length();
            assertEquals(Files.size(file), sum + rest, 16, "but for padding and digits of places");
        }
    }

    /** With options and figures that are as long as they come. */
    @Test
    void theMostIsEnoughForTheLongestDocument() {
        CompressionOptions options = CompressionOptions.defaults()
                .withTarget(new SizeTarget(0, 1_234_567_890_123L, SizeUnit.PARAMETERS))
                .withCodec(Codec.INT8)
                .withRightCodec(Codec.INT8)
                .withAlpha(0.12345678901234567)
                .withGroups(16)
                .withMinRank(46_340)
                .withRefineRounds(1000)
                .withTimePrice(0.12345678901234567)
                .withCalibrationEpochs(1000);
        CompressedMatrix matrix = widest("lm_head.weight").withBias(new float[1000]);
        CompressionSummary summary = CompressionSummary.of(
                        Matrix.of("m", new float[200_000], 1000, 200),
                        1,
                        options,
                        false,
                        1.2345678901e-300,
                        1.2345678901e-301,
                        1,
                        List.of(),
                        List.of(),
                        null)
                .calibrated(1, 1.2345678901e-301, 0.00012345678901234, List.of(0.012345678901234, 0.0012345678901234));
        Path file = directory.resolve("out.safetensors");
        CompressedEntry entry = CompressedEntry.of(new CompressionResult(matrix, summary), matrix.name(), Logits.PLAIN);
        CompressedFile.write(file, List.of(entry), List.of(), Map.of(), Map.of());
        try (CompressedFile read = CompressedFile.open(file)) {
            long header = read.require(matrix.name()).headerBytes();
            assertTrue(header <= matrix.headerBytes(), header + " of " + matrix.headerBytes());
            assertTrue(header >= matrix.headerBytes() - 200, header + " of " + matrix.headerBytes());
        }
    }

    @ParameterizedTest
    @EnumSource
    void aFileMeetsItsSize(Method method) throws Exception {
        int rows = 1200;
        int columns = 40;
        Path input = directory.resolve("a directory whose name is not to count").resolve("model.safetensors");
        Files.createDirectories(input.getParent());
        float[] values = SeededData.powerLaw(3, rows, columns, 0.6);
        SafetensorsWriter.write(
                input, List.of(FormatFixtures.f32("lm_head.weight", new long[] {rows, columns}, values)), Map.of());
        Path counts = directory.resolve("counts.txt");
        List<String> lines = new ArrayList<>();
        for (long count : SeededData.zipfCounts(3, rows, 1e5)) {
            lines.add(Long.toString(count));
        }
        Files.write(counts, lines);
        for (double ratio : new double[] {4, 10, 26}) {
            Path output = directory.resolve("out.safetensors");
            CompressionOptions options =
                    CompressionOptions.defaults().withMethod(method).withTarget(SizeTarget.ratio(ratio));
            options = method == Method.RATE_DISTORTION ? options : options.withCodec(Codec.INT8);
            CompressionJob job = CompressionJob.of(input, output)
                    .withCounts(method.weighted() ? counts : null)
                    .withOverwrite(true)
                    .withOptions(options);
            CompressionSummary summary;
            try (ReferenceBackend backend = new ReferenceBackend()) {
                summary = GroupReduce.compress(job, backend, Progress.NONE, sentence -> {})
                        .get(0);
            }
            long size = Files.size(output);
            long target = (long) (values.length * 4 / ratio);
            assertEquals(size, summary.bytes(), "what is reported is the file's size");
            assertEquals((double) values.length * 4 / size, summary.ratio());
            assertTrue(size <= target, size + " of " + target);
            // The others take steps of a whole direction.
            boolean fills = method != Method.RATE_DISTORTION || size >= 0.99 * target - 500;
            assertTrue(fills, size + " of " + target);
        }
    }
}
