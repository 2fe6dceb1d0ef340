package io.groupreduce.examples;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.BackendSelection;
import io.groupreduce.GroupReduce;
import io.groupreduce.Request;
import io.groupreduce.api.Backend;
import io.groupreduce.api.CompressionOptions;
import io.groupreduce.api.Device;
import io.groupreduce.api.HeadOptions;
import io.groupreduce.api.ModelFile;
import io.groupreduce.api.SizeTarget;
import io.groupreduce.matrix.Matrix;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class GgufEngineTest {
    private static final int ROWS = 128;
    private static final int COLUMNS = 32;
    private static final int BLOCK_BYTES = 34;

    /** A tied model of one tensor, token_embd.weight in Q8_0: a row is one block of a binary16, 1/64 here, and 32 signed bytes. */
    private static Path model(Path file) throws IOException {
        ByteBuffer bytes = ByteBuffer.allocate(160 + ROWS * BLOCK_BYTES).order(ByteOrder.LITTLE_ENDIAN);
        bytes.put("GGUF".getBytes(StandardCharsets.US_ASCII))
                .putInt(3)
                .putLong(1)
                .putLong(1);
        text(bytes, "general.architecture").putInt(8);
        text(bytes, "llama");
        text(bytes, "token_embd.weight")
                .putInt(2)
                .putLong(COLUMNS)
                .putLong(ROWS)
                .putInt(8)
                .putLong(0);
        bytes.position((bytes.position() + 31) / 32 * 32);
        Random random = new Random(1);
        byte[] row = new byte[COLUMNS];
        for (int i = 0; i < ROWS; i++) {
            random.nextBytes(row);
            bytes.putShort((short) 0x2400).put(row);
        }
        return Files.write(file, Arrays.copyOf(bytes.array(), bytes.position()));
    }

    private static ByteBuffer text(ByteBuffer bytes, String text) {
        return bytes.putLong(text.length()).put(text.getBytes(StandardCharsets.US_ASCII));
    }

    @Test
    void saysWhatTheModelWouldSay(@TempDir Path folder) throws IOException {
        Path gguf = model(folder.resolve("model.gguf"));
        Path small = folder.resolve("small.safetensors");
        CompressionOptions options = CompressionOptions.defaults().withTarget(SizeTarget.ratio(1.1));
        try (Backend plain = BackendSelection.select(Device.REFERENCE, 1).backend()) {
            GgufEngine.compressHead(gguf, options, plain, small);
        }
        int[] prompt = {3, 1, 4};
        try (GgufEngine engine = GgufEngine.open(gguf, small, HeadOptions.defaults());
                ModelFile model = GroupReduce.openModel(gguf)) {
            int[] said = engine.generate(prompt, 6, Request.greedy());
            int[] all = Arrays.copyOf(prompt, prompt.length + said.length);
            System.arraycopy(said, 0, all, prompt.length, said.length);
            Matrix dense = model.matrix(model.outputMatrix());
            assertEquals("Q8_0", dense.storedType());
            for (int i = 0; i < said.length; i++) {
                float[] logits = logits(dense, engine.state(Arrays.copyOf(all, prompt.length + i)));
                float largest = 0;
                for (float logit : logits) {
                    largest = Math.max(largest, logit);
                }
                assertTrue(logits[said[i]] > 0.97f * largest, "token " + i);
            }
        }
    }

    private static float[] logits(Matrix dense, float[] state) {
        float[] logits = new float[dense.rows()];
        float[] row = new float[dense.columns()];
        for (int i = 0; i < logits.length; i++) {
            dense.readRow(i, row, 0);
            for (int j = 0; j < row.length; j++) {
                logits[i] += row[j] * state[j];
            }
        }
        return logits;
    }
}
