package io.groupreduce.models.text;

import ai.djl.huggingface.tokenizers.jni.TokenizersLibrary;
import io.groupreduce.error.FileAccessException;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.error.MalformedFileException;
import io.groupreduce.format.InputFile;
import io.groupreduce.format.Wording;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.OptionalInt;

/**
 * A tokenizer, read from a {@code tokenizer.json}. It gives all tokens of a text: what the file says of truncation and padding is switched
 * off. Any number of threads may use one at the same time, as long as none closes it.
 */
public final class Tokenizer implements AutoCloseable {
    private final Path file;
    private final Vocabulary vocabulary;
    private final TokenizersLibrary library;
    private long handle;

    private Tokenizer(Path file, Vocabulary vocabulary, TokenizersLibrary library, long handle) {
        this.file = file;
        this.vocabulary = vocabulary;
        this.library = library;
        this.handle = handle;
    }

    /**
     * Reads a tokenizer; the caller closes it. Nothing but the file is read, and nothing is downloaded.
     *
     * @throws FileAccessException if the file is missing or unreadable
     * @throws MalformedFileException if it is no tokenizer.json, or a damaged one
     * @throws io.groupreduce.error.DeviceException if the native library cannot be loaded on this machine
     */
    public static Tokenizer open(Path file) {
        byte[] json = InputFile.readJson(file, InputFile.LONGEST_JSON);
        Vocabulary vocabulary = Vocabulary.of(file, json);
        TokenizersLibrary library = NativeTokenizers.library();
        long handle;
        try {
            handle = library.createTokenizerFromString(new String(json, StandardCharsets.UTF_8));
        } catch (RuntimeException e) {
            throw new MalformedFileException(
                    Wording.file(file) + " is no usable tokenizer.json (" + Wording.line(String.valueOf(e.getMessage()))
                            + "); download it again.",
                    e);
        }
        library.disableTruncation(handle);
        library.disablePadding(handle);
        Tokenizer tokenizer = new Tokenizer(file, vocabulary, library, handle);
        try {
            tokenizer.requireItsNumbers();
        } catch (RuntimeException e) {
            tokenizer.close();
            throw e;
        }
        return tokenizer;
    }

    /** Added tokens get the numbers that follow the vocabulary, whatever the file says: who believed it would count in a wrong row. */
    private void requireItsNumbers() {
        for (int id : vocabulary.added()) {
            String token = vocabulary.token(id);
            int[] given = encode(token, false);
            if (given.length == 1 && given[0] != id) {
                throw new MalformedFileException(Wording.file(file) + " says that the added token "
                        + Wording.quoted(token) + " is number " + id + ", but where it stands makes it number "
                        + given[0] + "; save the tokenizer again with the software that made it.");
            }
        }
    }

    /** The file that it was read from. */
    public Path file() {
        return file;
    }

    /** The highest id and one, added tokens among them: rows that an embedding needs. Some ids below may belong to no token. */
    public int size() {
        return vocabulary.size();
    }

    /** How many tokens the file would leave of a text, those around it included; no bound is the largest number. */
    public int longest() {
        return vocabulary.longest();
    }

    /** The token as the file writes it, {@code ##ing} or {@code Ġthe}; {@code null} where an id belongs to none. */
    public String token(int id) {
        return vocabulary.token(id);
    }

    /** The id of a token as the file writes it, such as {@code [MASK]}. */
    public OptionalInt id(String token) {
        return vocabulary.id(token);
    }

    /** Whether the file names it a special token, as {@code [CLS]} and {@code <s>} are. */
    public boolean isSpecial(int id) {
        return vocabulary.isSpecial(id);
    }

    /** Whether it puts a token behind each text, as encoders' tokenizers do: BERT's [SEP]; for those a text is a passage of its own. */
    public boolean closesTexts() {
        for (int id = 0; id < size(); id++) {
            int[] plain = token(id) == null || isSpecial(id) ? new int[0] : encode(token(id), false);
            if (plain.length > 0) {
                int[] dressed = encode(token(id), true);
                return dressed[dressed.length - 1] != plain[plain.length - 1];
            }
        }
        return false;
    }

    /**
     * The tokens of a text, all below {@link #size()}.
     *
     * @param special whether with those that the tokenizer puts around a text; a special token that stands in the text is one in any case
     * @throws InvalidDataException if the tokenizer has no token for a part of the text, and none that stands for unknown ones
     */
    public int[] encode(String text, boolean special) {
        if (handle == 0) {
            throw new IllegalStateException("the tokenizer is closed");
        }
        long[] ids;
        try {
            long encoding = library.encode(handle, text, special);
            try {
                ids = library.getTokenIds(encoding);
            } finally {
                library.deleteEncoding(encoding);
            }
        } catch (RuntimeException e) {
            throw new InvalidDataException(
                    Wording.file(file) + " has no tokens for the text " + Wording.quoted(text) + " ("
                            + Wording.line(String.valueOf(e.getMessage()))
                            + "); take the tokenizer that belongs to the model.",
                    e);
        }
        int[] tokens = new int[ids.length];
        for (int i = 0; i < ids.length; i++) {
            if (ids[i] >= size()) {
                throw new InvalidDataException(Wording.file(file) + " encodes to token " + ids[i]
                        + ", which it does not list; save the tokenizer again with the software that made it.");
            }
            tokens[i] = (int) ids[i];
        }
        return tokens;
    }

    /** Gives the native memory back; may be called again. */
    @Override
    public void close() {
        if (handle != 0) {
            library.deleteTokenizer(handle);
            handle = 0;
        }
    }
}
