package io.groupreduce.models.onnx;

import io.groupreduce.api.VocabularyChoice;
import io.groupreduce.format.ForeignModel;
import io.groupreduce.format.ModelReader;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.Locale;

/** Reads ONNX models. */
public final class OnnxReader implements ModelReader {
    /** Tags of the fields that may follow the version of the format, which stands first. */
    private static final String SECOND = "\u0012\u001a\":B";

    private static final int NEWEST = 31;

    @Override
    public boolean reads(Path file, MemorySegment content) {
        String name = file.toString().toLowerCase(Locale.ROOT);
        if (name.endsWith(".onnx")) {
            return true;
        }
        if (content.byteSize() < 3 || name.endsWith(".safetensors") || name.endsWith(".npy")) {
            return false;
        }
        byte version = content.get(ValueLayout.JAVA_BYTE, 1);
        return content.get(ValueLayout.JAVA_BYTE, 0) == 0x08
                && version >= 1
                && version <= NEWEST
                && SECOND.indexOf(content.get(ValueLayout.JAVA_BYTE, 2)) >= 0;
    }

    @Override
    public ForeignModel open(Path file, VocabularyChoice choice) {
        OnnxFile onnx = OnnxFile.open(file);
        try {
            return new OnnxModel(onnx, choice);
        } catch (Throwable e) {
            onnx.close();
            throw e;
        }
    }
}
