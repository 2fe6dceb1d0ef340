package io.groupreduce.format;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.groupreduce.matrix.BitProfile;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.DType;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.matrix.ScaleFormat;
import java.io.ByteArrayOutputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.function.Function;

/**
 * A compressed file of every kind of group and number, in pieces that a test can damage before it puts them together without
 * the checks of the writer.
 */
final class CompressedFixture {
    static final String NAME = "lm_head.weight";
    static final int ROWS = 61;
    static final int COLUMNS = 41;
    private static final int[] BASES = {0, 1, 0, GroupPlan.DENSE, GroupPlan.ZERO, GroupPlan.DENSE, 2, 3, GroupPlan.DENSE
    };
    private static final BitProfile[] PROFILES = {
        BitProfile.of(Codec.INT8, 3),
        BitProfile.of(6, 6, 4, 4, 1),
        BitProfile.of(Codec.BF16, 2),
        BitProfile.of(Codec.INT8, COLUMNS),
        BitProfile.EMPTY,
        BitProfile.of(Codec.F32, COLUMNS),
        BitProfile.of(Codec.F32, 4),
        BitProfile.of(Codec.INT3, 5),
        BitProfile.of(Codec.INT3, COLUMNS)
    };
    private static final int[] RIGHT_RANKS = {3, 5, 4, 6};
    private static final Codec[] RIGHT_CODECS = {Codec.F32, Codec.INT8, Codec.INT4, Codec.INT3};

    private static final ObjectMapper JSON = new ObjectMapper();

    final Map<String, Tensor> tensors = new LinkedHashMap<>();
    String metadata;

    /** The undamaged pieces. */
    static CompressedFixture of(Path directory) {
        return of(directory, matrix());
    }

    /** The undamaged pieces of a file of another matrix of the same name. */
    static CompressedFixture of(Path directory, CompressedMatrix matrix) {
        Path file = directory.resolve("valid.safetensors");
        Map<String, Object> document = new LinkedHashMap<>();
        document.put("dtype", "F16");
        CompressedFile.write(
                file,
                List.of(new CompressedEntry(matrix, document)),
                List.of(FormatFixtures.i32("other", 1, 2, 3)),
                Map.of(),
                Map.of("embed.weight", NAME));
        CompressedFixture fixture = new CompressedFixture();
        try (Safetensors raw = Safetensors.open(file)) {
            fixture.metadata = raw.metadata().get(CompressedFile.METADATA_KEY);
            raw.tensors()
                    .values()
                    .forEach(t -> fixture.put(t.name(), t.type(), t.data().toArray(ValueLayout.JAVA_BYTE), t.shape()));
        }
        return fixture;
    }

    /** The compressed matrix of the file, in memory: three bits have LOG8 scales, other codes bfloat16 ones, and there is a bias. */
    static CompressedMatrix matrix() {
        Random random = new Random(5);
        byte[] groupOf = new byte[ROWS];
        int[] sizes = new int[BASES.length];
        for (int i = 0; i < ROWS; i++) {
            groupOf[i] = (byte) (i % BASES.length);
            sizes[i % BASES.length]++;
        }
        List<GroupPlan> plans = new ArrayList<>();
        List<EncodedMatrix> left = new ArrayList<>();
        for (int g = 0; g < BASES.length; g++) {
            plans.add(new GroupPlan(BASES[g], PROFILES[g]));
            int block = BASES[g] == GroupPlan.DENSE ? CompressedMatrix.SCALE_BLOCK : PROFILES[g].width();
            left.add(BASES[g] == GroupPlan.ZERO ? null : encoded(random, PROFILES[g], sizes[g], block));
        }
        List<EncodedMatrix> right = new ArrayList<>();
        for (int b = 0; b < RIGHT_RANKS.length; b++) {
            right.add(encoded(random, BitProfile.of(RIGHT_CODECS[b], COLUMNS), RIGHT_RANKS[b], COLUMNS));
        }
        float[] bias = new float[ROWS];
        for (int i = 0; i < ROWS; i++) {
            bias[i] = (float) random.nextGaussian();
        }
        return new CompressedMatrix(NAME, COLUMNS, groupOf, plans, left, right).withBias(bias);
    }

    private static EncodedMatrix encoded(Random random, BitProfile profile, int rows, int block) {
        ScaleFormat scales = profile.most() == 3 ? ScaleFormat.LOG8 : ScaleFormat.BF16;
        EncodedMatrix matrix = EncodedMatrix.allocate(Arena.ofAuto(), profile, rows, block, scales);
        float[] row = new float[profile.width()];
        for (int r = 0; r < rows; r++) {
            for (int j = 0; j < row.length; j++) {
                row[j] = (float) random.nextGaussian();
            }
            matrix.encodeRow(r, row, 0);
        }
        return matrix;
    }

    /** Where the numbers of a part begin in {@code NAME.codes}, or with {@code EncodedMatrix::scales} its scales in {@code NAME.scales}. */
    static int start(Function<EncodedMatrix, MemorySegment> kind, Function<CompressedMatrix, EncodedMatrix> part) {
        CompressedMatrix matrix = matrix();
        EncodedMatrix wanted = part.apply(matrix);
        return (int) matrix.parts()
                .takeWhile(each -> each != wanted)
                .map(kind)
                .filter(Objects::nonNull)
                .mapToLong(MemorySegment::byteSize)
                .sum();
    }

    /** Adds or replaces a tensor. */
    void put(String name, DType type, byte[] data, long... shape) {
        tensors.put(name, new Tensor(name, type, shape, MemorySegment.ofArray(data)));
    }

    /** The part of the matrix with this suffix. */
    Tensor part(String suffix) {
        return tensors.get(NAME + "." + suffix);
    }

    /** Replaces a part of the matrix. */
    void putPart(String suffix, DType type, byte[] data, long... shape) {
        put(NAME + "." + suffix, type, data, shape);
    }

    /** The bytes of a part, to be changed and put back. */
    byte[] bytes(String suffix) {
        return part(suffix).data().toArray(ValueLayout.JAVA_BYTE);
    }

    /** Replaces text of the metadata that must be there. */
    void replaceMetadata(String what, String with) {
        if (!metadata.contains(what)) {
            throw new IllegalArgumentException(metadata + " lacks " + what);
        }
        metadata = metadata.replace(what, with);
    }

    /** A safetensors file with a correct header, whatever its tensors and metadata mean. */
    Path write(Path file) {
        ObjectNode header = JSON.createObjectNode();
        header.putObject(SafetensorsHeader.METADATA).put(CompressedFile.METADATA_KEY, metadata);
        ByteArrayOutputStream data = new ByteArrayOutputStream();
        for (Tensor tensor : tensors.values()) {
            ObjectNode entry = header.putObject(tensor.name());
            entry.put("dtype", tensor.type().name());
            for (long side : tensor.shape()) {
                entry.withArray("shape").add(side);
            }
            entry.withArray("shape");
            entry.putArray("data_offsets").add(data.size()).add(data.size() + tensor.bytes());
            data.writeBytes(tensor.data().toArray(ValueLayout.JAVA_BYTE));
        }
        try {
            byte[] content = FormatFixtures.safetensors(JSON.writeValueAsString(header), data.toByteArray());
            return FormatFixtures.write(file.getParent(), file.getFileName().toString(), content);
        } catch (JsonProcessingException e) {
            throw new IllegalStateException(e);
        }
    }
}
