package io.groupreduce.format;

import io.groupreduce.error.FileAccessException;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.error.MalformedFileException;
import io.groupreduce.matrix.DType;
import io.groupreduce.matrix.LittleEndian;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/** Reads a matrix from a NumPy {@code .npy} file: versions 1 to 3, C order, {@code <f4} or {@code <f2}. */
public final class NumpyFile {
    /** What the one tensor of a {@code .npy} file is called. */
    public static final String TENSOR = "matrix";

    private static final byte[] MAGIC = {(byte) 0x93, 'N', 'U', 'M', 'P', 'Y'};
    /** Enough for any array of numbers; only structured types have longer headers. */
    private static final int LONGEST_HEADER = 1 << 16;

    private static final Pattern DESCR = Pattern.compile("['\"]descr['\"]\\s*:\\s*['\"]([^'\"]*)['\"]");
    private static final Pattern STRUCTURED = Pattern.compile("['\"]descr['\"]\\s*:\\s*\\[");
    private static final Pattern ORDER = Pattern.compile("['\"]fortran_order['\"]\\s*:\\s*(True|False)");
    private static final Pattern SHAPE = Pattern.compile("['\"]shape['\"]\\s*:\\s*\\(([0-9L,\\s]*)\\)");

    private final Path file;
    private final MemorySegment data;
    private final String header;

    private NumpyFile(Path file, MemorySegment content) {
        this.file = file;
        long size = content.byteSize();
        if (size < MAGIC.length + 2 || content.asSlice(0, MAGIC.length).mismatch(MemorySegment.ofArray(MAGIC)) >= 0) {
            throw malformed(FileKind.of(file, content)
                    .filter(what -> !FileKind.isNumpy(content))
                    .orElse("is not a NumPy file: it does not start with the bytes of the .npy format"));
        }
        int version = content.get(ValueLayout.JAVA_BYTE, MAGIC.length);
        if (version < 1 || version > 3) {
            throw malformed("has the unknown .npy version " + version + "; save it again with numpy.save");
        }
        int lengthAt = MAGIC.length + 2;
        int textAt = lengthAt + (version == 1 ? Short.BYTES : Integer.BYTES);
        long length = size < textAt
                ? Long.MAX_VALUE
                : version == 1
                        ? Short.toUnsignedLong(content.get(LittleEndian.I16, lengthAt))
                        : Integer.toUnsignedLong(content.get(LittleEndian.I32, lengthAt));
        if (length > size - textAt) {
            throw malformed("is cut off in its header; write or download it again");
        }
        if (length > LONGEST_HEADER) {
            throw malformed("has a header of " + length + " bytes, more than the " + LONGEST_HEADER + " of any matrix");
        }
        byte[] text = content.asSlice(textAt, length).toArray(ValueLayout.JAVA_BYTE);
        header = new String(text, version == 3 ? StandardCharsets.UTF_8 : StandardCharsets.ISO_8859_1);
        data = content.asSlice(textAt + length);
    }

    /**
     * The matrix of a file, as the tensor {@value #TENSOR}, mapped until {@code arena} closes.
     *
     * @throws FileAccessException if the file is missing or unreadable
     * @throws MalformedFileException if it is not a {@code .npy} file or is cut off
     * @throws InvalidDataException if it holds something else than a C-ordered matrix of little-endian float32 or float16
     */
    public static Tensor open(Path file, Arena arena) {
        return new NumpyFile(file, InputFile.map(file, arena)).tensor();
    }

    private Tensor tensor() {
        if (STRUCTURED.matcher(header).find()) {
            throw invalid("holds records; save one float32 matrix with numpy.save");
        }
        String descr = value(DESCR, "descr");
        if (!descr.equals("<f4") && !descr.equals("<f2")) {
            throw invalid("holds elements of type " + Wording.quoted(descr) + advice(descr));
        }
        if (value(ORDER, "fortran_order").equals("True")) {
            throw invalid("is in Fortran order; save it with numpy.save(FILE, numpy.ascontiguousarray(matrix))");
        }
        DType type = descr.equals("<f4") ? DType.F32 : DType.F16;
        long[] shape = shape();
        if (shape.length != 2) {
            throw invalid("has shape " + Wording.shape(shape) + "; a matrix of shape (rows, columns) is needed");
        }
        if (shape[0] == 0 || shape[1] == 0) {
            throw invalid(
                    "has shape " + Wording.shape(shape) + ", which holds no number; save a matrix of rows and columns");
        }
        long needed;
        try {
            needed = Tensor.storedBytes(type, shape);
        } catch (ArithmeticException e) {
            throw malformed("claims the impossible shape " + Wording.shape(shape));
        }
        if (data.byteSize() != needed) {
            throw malformed("has " + data.byteSize() + " bytes of data but shape " + Wording.shape(shape) + " needs "
                    + needed + "; write or download it again");
        }
        return new Tensor(TENSOR, type, shape, data);
    }

    private static String advice(String descr) {
        return switch (descr.replaceAll("[<>|=0-9]", "")) {
            case "f" -> "; save it with numpy.save(FILE, matrix.astype('<f4'))";
            case "O" -> ", Python objects; save one matrix of numbers: numpy.save(FILE, numpy.asarray(matrix, '<f4'))";
            case "V" ->
                ", raw bytes, as bfloat16 is saved; save it with numpy.save(FILE, matrix.astype('<f4')) before it is"
                        + " written to a file";
            default ->
                "; save the floats of the matrix, not codes or text, with numpy.save(FILE, floats.astype('<f4'))";
        };
    }

    /** Python 2 wrote a side as 400L. */
    private long[] shape() {
        String sides = value(SHAPE, "shape").replace("L", "").strip();
        try {
            return Stream.of(sides.isEmpty() ? new String[0] : sides.split("\\s*,\\s*"))
                    .mapToLong(Long::parseLong)
                    .toArray();
        } catch (NumberFormatException e) {
            throw malformed("has an unreadable shape in its .npy header; save it again with numpy.save");
        }
    }

    private String value(Pattern pattern, String key) {
        Matcher matcher = pattern.matcher(header);
        if (!matcher.find()) {
            throw malformed("has a .npy header without a readable " + key + "; save it again with numpy.save");
        }
        return matcher.group(1);
    }

    private MalformedFileException malformed(String what) {
        return new MalformedFileException(Wording.file(file) + " " + what + ".");
    }

    private InvalidDataException invalid(String what) {
        return new InvalidDataException(Wording.file(file) + " " + what + ".");
    }
}
