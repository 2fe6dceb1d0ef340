package io.groupreduce.benchmarks;

import io.groupreduce.testkit.SyntheticMatrix;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;

/**
 * Writes a seeded matrix as {@code matrix.npy} and its Zipf counts as {@code counts.txt}, row by row, so that this software
 * and a peer read the same bytes. Arguments: folder, rows, columns, seed.
 */
public final class SyntheticModel {
    private static final double DECAY = 0.5;
    private static final double TOKENS_PER_ROW = 1000;
    private static final int HEADER_BYTES = 128;

    private SyntheticModel() {}

    public static void main(String[] arguments) throws IOException {
        Path folder = Path.of(arguments[0]);
        int rows = Integer.parseInt(arguments[1]);
        int columns = Integer.parseInt(arguments[2]);
        long seed = Long.parseLong(arguments[3]);
        Files.createDirectories(folder);
        writeMatrix(folder.resolve("matrix.npy"), rows, columns, seed);
        List<String> lines = new ArrayList<>();
        for (long count : SyntheticMatrix.zipfCounts(seed, rows, TOKENS_PER_ROW * rows)) {
            lines.add(Long.toString(count));
        }
        Files.write(folder.resolve("counts.txt"), lines);
    }

    private static void writeMatrix(Path file, int rows, int columns, long seed) throws IOException {
        String description = "{'descr': '<f4', 'fortran_order': False, 'shape': (" + rows + ", " + columns + "), }";
        ByteBuffer header = ByteBuffer.allocate(HEADER_BYTES).order(ByteOrder.LITTLE_ENDIAN);
        header.put(new byte[] {(byte) 0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0});
        header.putShort((short) (HEADER_BYTES - 10));
        header.put(description.getBytes(StandardCharsets.US_ASCII));
        while (header.position() < HEADER_BYTES - 1) {
            header.put((byte) ' ');
        }
        header.put((byte) '\n');

        SyntheticMatrix generator = new SyntheticMatrix(seed, columns, DECAY);
        int tile = 256;
        float[] values = new float[tile * columns];
        ByteBuffer bytes =
                ByteBuffer.allocateDirect(values.length * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        try (FileChannel channel = FileChannel.open(
                file, StandardOpenOption.CREATE, StandardOpenOption.WRITE, StandardOpenOption.TRUNCATE_EXISTING)) {
            write(channel, header.flip());
            for (int first = 0; first < rows; first += tile) {
                int count = Math.min(tile, rows - first);
                generator.next(values, count);
                bytes.clear();
                bytes.asFloatBuffer().put(values, 0, count * columns);
                write(channel, bytes.limit(count * columns * Float.BYTES));
            }
        }
    }

    private static void write(FileChannel channel, ByteBuffer bytes) throws IOException {
        while (bytes.hasRemaining()) {
            channel.write(bytes);
        }
    }
}
