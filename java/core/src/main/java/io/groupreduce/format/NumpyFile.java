package io.groupreduce.format;

import io.groupreduce.error.FileAccessException;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.error.MalformedFileException;
import io.groupreduce.matrix.DType;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Reads a matrix from a NumPy {@code .npy} file: versions 1 to 3, C order, {@code <f4} or {@code <f2}. */
public final class NumpyFile {
    /** What the one tensor of a {@code .npy} file is called. */
    public static final String TENSOR = "matrix";

    private static final ValueLayout.OfShort U16 = ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfInt U32 = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final byte[] MAGIC = {(byte) 0x93, 'N', 'U', 'M', 'P', 'Y'};
    /** Enough for any array of numbers; only structured types have longer headers. */
    private static final int LONGEST_HEADER = 1 << 16;

    private static final Pattern DESCR = Pattern.compile("['\"]descr['\"]\\s*:\\s*['\"]([^'\"]*)['\"]");
    private static final Pattern STRUCTURED = Pattern.compile("['\"]descr['\"]\\s*:\\s*\\[");
    private static final Pattern ORDER = Pattern.compile("['\"]fortran_order['\"]\\s*:\\s*(True|False)");
    private static final Pattern SHAPE = Pattern.compile("['\"]shape['\"]\\s*:\\s*\\(([0-9,\\s]*)\\)");

    private NumpyFile() {}

    /**
     * The matrix of a file, as the tensor {@value #TENSOR}, mapped until {@code arena} closes.
     *
     * @throws FileAccessException if the file is missing or unreadable
     * @throws MalformedFileException if it is not a {@code .npy} file or is cut off
     * @throws InvalidDataException if it holds something else than a C-ordered matrix of little-endian float32 or float16
     */
    public static Tensor open(Path file, Arena arena) {
        Parts parts = split(file, InputFile.map(file, arena));
        DType type = type(file, parts.header());
        if (group(file, parts.header(), ORDER, "fortran_order").equals("True")) {
            throw invalid(file, "is in Fortran order; save it with numpy.save(FILE, numpy.ascontiguousarray(matrix)).");
        }
        long[] shape = shape(file, group(file, parts.header(), SHAPE, "shape"));
        if (shape.length != 2) {
            throw invalid(file, "has shape " + Wording.shape(shape) + "; a matrix of shape (rows, columns) is needed.");
        }
        requireBytes(file, parts.data().byteSize(), type, shape);
        return new Tensor(TENSOR, type, shape, parts.data());
    }

    private record Parts(String header, MemorySegment data) {}

    private static Parts split(Path file, MemorySegment content) {
        long size = content.byteSize();
        if (size < MAGIC.length + 2 || content.asSlice(0, MAGIC.length).mismatch(MemorySegment.ofArray(MAGIC)) >= 0) {
            throw malformed(file, "is not a NumPy file: it does not start with the bytes of the .npy format.");
        }
        int version = content.get(ValueLayout.JAVA_BYTE, MAGIC.length);
        if (version < 1 || version > 3) {
            throw malformed(file, "has the unknown .npy version " + version + "; save it again with numpy.save.");
        }
        int lengthAt = MAGIC.length + 2;
        int textAt = lengthAt + (version == 1 ? Short.BYTES : Integer.BYTES);
        if (size < textAt) {
            throw malformed(file, "is cut off in its header; write or download it again.");
        }
        long length = version == 1
                ? Short.toUnsignedLong(content.get(U16, lengthAt))
                : Integer.toUnsignedLong(content.get(U32, lengthAt));
        if (length > size - textAt) {
            throw malformed(file, "is cut off in its header; write or download it again.");
        }
        if (length > LONGEST_HEADER) {
            throw malformed(
                    file, "has a header of " + length + " bytes, more than the " + LONGEST_HEADER + " of any matrix.");
        }
        Charset charset = version == 3 ? StandardCharsets.UTF_8 : StandardCharsets.ISO_8859_1;
        String header = new String(content.asSlice(textAt, length).toArray(ValueLayout.JAVA_BYTE), charset);
        return new Parts(header, content.asSlice(textAt + length));
    }

    private static DType type(Path file, String header) {
        if (STRUCTURED.matcher(header).find()) {
            throw invalid(file, "holds records; save one float32 matrix with numpy.save.");
        }
        String descr = group(file, header, DESCR, "descr");
        return switch (descr) {
            case "<f4" -> DType.F32;
            case "<f2" -> DType.F16;
            default ->
                throw invalid(
                        file,
                        "holds elements of type " + Wording.quoted(descr)
                                + "; save it with numpy.save(FILE, matrix.astype('<f4')).");
        };
    }

    private static String group(Path file, String header, Pattern pattern, String key) {
        Matcher matcher = pattern.matcher(header);
        if (!matcher.find()) {
            throw malformed(file, "has a .npy header without a readable " + key + "; save it again with numpy.save.");
        }
        return matcher.group(1);
    }

    private static long[] shape(Path file, String text) {
        String[] sides = text.isBlank() ? new String[0] : text.strip().split("\\s*,\\s*");
        long[] shape = new long[sides.length];
        for (int i = 0; i < sides.length; i++) {
            try {
                shape[i] = Long.parseLong(sides[i]);
            } catch (NumberFormatException e) {
                throw malformed(file, "has an unreadable shape in its .npy header; save it again with numpy.save.");
            }
        }
        return shape;
    }

    private static void requireBytes(Path file, long there, DType type, long[] shape) {
        long needed;
        try {
            needed = Tensor.storedBytes(type, shape);
        } catch (ArithmeticException e) {
            throw malformed(file, "claims the impossible shape " + Wording.shape(shape) + ".");
        }
        if (there != needed) {
            throw malformed(
                    file,
                    "has " + there + " bytes of data but shape " + Wording.shape(shape) + " needs " + needed
                            + "; write or download it again.");
        }
    }

    private static MalformedFileException malformed(Path file, String what) {
        return new MalformedFileException(Wording.file(file) + " " + what);
    }

    private static InvalidDataException invalid(Path file, String what) {
        return new InvalidDataException(Wording.file(file) + " " + what);
    }
}
