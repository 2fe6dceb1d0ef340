package io.groupreduce.format;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/** What a file is that cannot be read as what it should be, told by its first bytes, and what its owner can do about it. */
public final class FileKind {
    private static final int SEEN = 512;
    private static final String NUMPY = "\u0093NUMPY";
    private static final String ZIP = "PK\u0003\u0004";
    private static final int ZIP_NAME_LENGTH_AT = 26;
    private static final int ZIP_NAME_AT = 30;
    private static final List<String> PICKLE_SUFFIXES = List.of(".bin", ".pt", ".pth", ".ckpt", ".pkl");

    /** How a PyTorch checkpoint becomes a file that can be read. */
    private static final String PICKLE =
            "is a PyTorch pickle; convert it in Python: import torch; from safetensors.torch"
                    + " import save_file; save_file(torch.load(FILE, weights_only=True), 'model.safetensors')";

    private static final String ONNX =
            "is an ONNX model, which is read as a model only, by the library groupreduce-models; have that on the"
                    + " class path, or start from the safetensors model that it was exported from";

    private static final String GGUF =
            "is a GGUF file, which is read as a model only, by the library groupreduce-models; have that on the class"
                    + " path, or start from the safetensors model that it was converted from";

    /** Bytes at a place, as Latin-1 text, and what they mean. */
    private record Magic(int at, String bytes, String meaning) {}

    private static final List<Magic> MAGICS = List.of(
            new Magic(0, "GGUF", GGUF),
            new Magic(
                    0,
                    "version https://git-lfs",
                    "is a Git LFS pointer, not the file itself; fetch that with: git lfs pull"),
            new Magic(
                    0,
                    "# xet version",
                    "is a Xet pointer, not the file itself; fetch that with: hf download, or git xet"),
            new Magic(
                    0,
                    NUMPY,
                    "is a NumPy array, which can only be the input; save it with safetensors.numpy.save_file({NAME: array}, FILE)"),
            new Magic(0, "\u0089HDF", "is an HDF5 file, as Keras writes; save the weights as safetensors"),
            new Magic(
                    4,
                    "ORTM",
                    "is a model in ONNX Runtime's own format; start from the .onnx file that it was made from"),
            new Magic(4, "TFL3", "is a TensorFlow Lite model; start from the safetensors model that it was made from"),
            new Magic(0, "PAR1", "is a Parquet table; save the matrix with numpy.save"),
            new Magic(0, "\u001f\u008b", archive("gzip")),
            new Magic(0, "BZh", archive("bzip2")),
            new Magic(0, "\u00fd7zXZ", archive("xz")),
            new Magic(0, "(\u00b5/\u00fd", archive("zstd")),
            new Magic(0, "7z\u00bc\u00af", archive("7z")),
            new Magic(257, "ustar", archive("tar")),
            new Magic(0, "\u00ff\u00fe", "is text in UTF-16, as PowerShell's > writes; save it as UTF-8"),
            new Magic(0, "\u00fe\u00ff", "is text in UTF-16; save it as UTF-8"));

    private FileKind() {}

    private static String archive(String kind) {
        return "is compressed or packed with " + kind + "; unpack it first";
    }

    /**
     * What the file is and what to do, to follow its name in a sentence; empty if it looks like nothing that is known. That it is what
     * the reader expects is for the reader to see first: every kind is told by a few bytes, which may be those of a good file by chance.
     */
    static Optional<String> of(Path file, MemorySegment content) {
        if (content.byteSize() == 0) {
            return Optional.of("is empty; write or download it again");
        }
        String name = file.toString().toLowerCase(Locale.ROOT);
        return binary(file, content)
                .or(() -> text(content, start(content)))
                .or(() -> name.endsWith(".onnx") ? Optional.of(ONNX) : Optional.empty())
                .or(() -> PICKLE_SUFFIXES.stream().anyMatch(name::endsWith)
                        ? Optional.of("is named like a PyTorch pickle and is none; download it again")
                        : Optional.empty());
    }

    /** The same of a file that is named like another format's model, and that no reader of such could read. */
    public static Optional<String> instead(Path file, MemorySegment content) {
        return of(file, content).filter(what -> !what.equals(ONNX) && !what.equals(GGUF));
    }

    /** The same of a file that should be text. */
    static Optional<String> binary(Path file, MemorySegment content) {
        String start = start(content);
        for (Magic magic : MAGICS) {
            if (start.startsWith(magic.bytes(), magic.at())) {
                return Optional.of(magic.meaning());
            }
        }
        String name = file.toString().toLowerCase(Locale.ROOT);
        if (start.startsWith(ZIP)) {
            return Optional.of(zip(name, start));
        }
        if (isPickle(start)) {
            return Optional.of(PICKLE);
        }
        if (isOnnx(start)) {
            return Optional.of(ONNX);
        }
        boolean wide = start.length() > 2 && start.charAt(0) != 0 && start.charAt(1) == 0 && start.charAt(2) != 0;
        return wide && start.chars().filter(c -> c == 0).count() >= start.length() / 4
                ? Optional.of("is text in UTF-16; save it as UTF-8")
                : Optional.empty();
    }

    /** Whether it begins as a NumPy array does. */
    static boolean isNumpy(MemorySegment content) {
        return start(content).startsWith(NUMPY);
    }

    /** Whether it begins as a bare Python pickle does. */
    static boolean isPickle(MemorySegment content) {
        return isPickle(start(content));
    }

    /** The first bytes, one character each. */
    private static String start(MemorySegment content) {
        byte[] bytes = content.asSlice(0, Math.min(SEEN, content.byteSize())).toArray(ValueLayout.JAVA_BYTE);
        return new String(bytes, StandardCharsets.ISO_8859_1);
    }

    /** A zip archive by the name of its first entry: torch.save since 1.6, numpy.savez, or any other. */
    private static String zip(String name, String start) {
        int from = Math.min(ZIP_NAME_AT, start.length());
        int length = start.length() < ZIP_NAME_AT
                ? 0
                : start.charAt(ZIP_NAME_LENGTH_AT) + 256 * start.charAt(ZIP_NAME_LENGTH_AT + 1);
        String first = start.substring(from, Math.min(start.length(), from + length));
        if (first.endsWith(".npy") || name.endsWith(".npz")) {
            return "is a NumPy .npz archive; save the one matrix: numpy.save('matrix.npy', numpy.load(FILE)['NAME'])";
        }
        if (first.endsWith("/data.pkl") || PICKLE_SUFFIXES.stream().anyMatch(name::endsWith)) {
            return PICKLE;
        }
        return archive("zip");
    }

    /** A bare pickle of protocol 2 to 5, as torch.save wrote before 1.6. */
    private static boolean isPickle(String start) {
        return start.length() > 2 && start.charAt(0) == 0x80 && start.charAt(1) >= 2 && start.charAt(1) <= 5;
    }

    /** The first field of the protocol buffer is its version; the name of its producer, or what that may be left out for, follows. */
    private static boolean isOnnx(String start) {
        return start.length() > 2
                && start.charAt(0) == 0x08
                && start.charAt(1) >= 1
                && start.charAt(1) < 32
                && "\u0012\u001a\":B".indexOf(start.charAt(2)) >= 0;
    }

    private static Optional<String> text(MemorySegment content, String start) {
        if (start.chars().allMatch(c -> c == 0)) {
            return content.byteSize() > SEEN
                    ? Optional.of("begins with zeros alone, as a download leaves that did not end; download it again")
                    : Optional.empty();
        }
        String text =
                start.startsWith("\u00ef\u00bb\u00bf") ? start.substring(3).strip() : start.strip();
        if (text.startsWith("<")) {
            return Optional.of(
                    "is a web page or XML, not the file itself; download it again, signed in if that is needed,"
                            + " for instance with: hf download");
        }
        boolean printable = start.chars().allMatch(c -> c >= ' ' && c < 0x7f || c == '\n' || c == '\r' || c == '\t');
        if (printable && (text.startsWith("{") || text.startsWith("["))) {
            return Optional.of(
                    "is JSON text, not the file itself; name the directory if it is part of a model, or download it again");
        }
        // An answer such as "Entry not found" that was saved instead of the file.
        return printable && text.length() > 8 && content.byteSize() <= SEEN
                ? Optional.of(
                        "is text, " + Wording.quoted(text.lines().findFirst().orElse(""))
                                + ", not the file itself; download it again")
                : Optional.empty();
    }
}
