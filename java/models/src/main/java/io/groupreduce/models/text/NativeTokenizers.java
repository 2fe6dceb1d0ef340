package io.groupreduce.models.text;

import ai.djl.huggingface.tokenizers.jni.TokenizersLibrary;
import io.groupreduce.error.DeviceException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Locale;

/**
 * The native library of the tokenizers, straight from its jar. The loader of that jar's own library is passed by: it keeps a copy in the
 * user's home, asks the network for what it does not find, and logs.
 */
@SuppressWarnings("restricted") // The library has to be loaded; the launcher allows it.
final class NativeTokenizers {
    private static boolean loaded;

    private NativeTokenizers() {}

    /**
     * The library, loaded at the first call.
     *
     * @throws DeviceException if there is none for this machine, or the temporary directory does not take it
     */
    static synchronized TokenizersLibrary library() {
        if (!loaded) {
            load();
            loaded = true;
        }
        return TokenizersLibrary.LIB;
    }

    private static void load() {
        String platform = platform(System.getProperty("os.name"), System.getProperty("os.arch"));
        String resource = "/native/lib/" + platform + "/cpu/" + System.mapLibraryName("tokenizers");
        Path copy = null;
        try (InputStream library = TokenizersLibrary.class.getResourceAsStream(resource)) {
            if (library == null) {
                throw new DeviceException("There is no tokenizer library for this machine (" + platform
                        + "); count on another one, such as linux-x86_64.");
            }
            copy = Files.createTempFile("groupreduce", System.mapLibraryName("tokenizers"));
            Files.copy(library, copy, StandardCopyOption.REPLACE_EXISTING);
            System.load(copy.toAbsolutePath().toString());
        } catch (IOException | UnsatisfiedLinkError e) {
            throw new DeviceException(
                    "The tokenizer library could not be loaded from the temporary directory "
                            + System.getProperty("java.io.tmpdir") + " (" + e.getMessage()
                            + "); name one that can be written and run from with"
                            + " GROUPREDUCE_JAVA_OPTIONS=-Djava.io.tmpdir=DIRECTORY.",
                    e);
        } finally {
            // What is loaded stays loaded; where a system does not let go of the file, it goes at the end.
            if (copy != null && !copy.toFile().delete()) {
                copy.toFile().deleteOnExit();
            }
        }
    }

    /** As the jar names it: {@code linux-x86_64}. */
    static String platform(String system, String processor) {
        String name = system.toLowerCase(Locale.ROOT);
        String os = name.startsWith("windows") ? "win" : name.startsWith("mac") ? "osx" : name;
        return os + "-" + (processor.equals("amd64") ? "x86_64" : processor);
    }
}
