package io.groupreduce.cli;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/** A small copy of the checkout, built as far as its scripts can tell, and what they print. */
record Checkout(Path root) {
    /** What a script did. */
    record Outcome(int code, String out, String err) {}

    /** The checkout that the tests are of. */
    static Path source() {
        return Path.of("").toAbsolutePath().getParent().getParent();
    }

    static Checkout in(Path root) throws IOException {
        assumeTrue(Files.isExecutable(Path.of("/bin/bash")), "no bash here");
        Checkout checkout = new Checkout(root);
        for (String script : new String[] {"groupreduce", "java/find-jdk.sh", "native/build.sh"}) {
            checkout.script(script, Files.readString(source().resolve(script)));
        }
        for (String folder : new String[] {"cmake", "native/include", "native/kernels", "java/cli/target/lib"}) {
            Files.createDirectories(root.resolve(folder));
        }
        for (String module : new String[] {"core", "vector", "cuda", "models", "cli"}) {
            Files.createDirectories(root.resolve("java/" + module + "/src/main"));
            Files.createFile(root.resolve("java/" + module + "/pom.xml"));
        }
        for (String file :
                new String[] {"pom.xml", "native/CMakeLists.txt", "java/cli/target/lib/groupreduce-cli-1.jar"}) {
            Files.createFile(root.resolve(file));
        }
        Path stamp = Files.createFile(root.resolve("java/cli/target/launcher-built"));
        Files.setLastModifiedTime(stamp, FileTime.from(Instant.now().plusSeconds(60)));
        return checkout;
    }

    Path script(String name, String text) throws IOException {
        Path script = root.resolve(name);
        Files.createDirectories(script.getParent());
        Files.writeString(script, text);
        return Files.setPosixFilePermissions(script, PosixFilePermissions.fromString("rwxr-xr-x"));
    }

    /** A JDK 25 whose {@code java} is this script, with these modules; {@code null} for one that does not list them. */
    Path jdk(String name, String modules, String java) throws IOException {
        script(name + "/bin/javac", "");
        script(name + "/bin/java", "#!/bin/bash\n" + java);
        String listed = modules == null ? "" : "MODULES=\"" + modules + "\"\n";
        Files.writeString(root.resolve(name).resolve("release"), "JAVA_VERSION=\"25.0.1\"\n" + listed);
        return root.resolve(name);
    }

    Outcome run(Map<String, String> environment, String... command) throws IOException, InterruptedException {
        ProcessBuilder builder = new ProcessBuilder(command);
        for (String name : new String[] {
            "JAVA_HOME",
            "JAVA25_HOME",
            "GROUPREDUCE_JAVA_HOME",
            "GROUPREDUCE_JAVA_OPTIONS",
            "JAVA_TOOL_OPTIONS",
            "JDK_JAVA_OPTIONS",
            "LC_ALL",
            "LC_CTYPE",
            "LANG",
            "GROUPREDUCE_KERNELS",
            "CUDACXX"
        }) {
            builder.environment().remove(name);
        }
        builder.environment().putAll(environment);
        Path out = Files.createTempFile("out", "");
        Path err = Files.createTempFile("err", "");
        try {
            int code = builder.redirectInput(Path.of("/dev/null").toFile())
                    .redirectOutput(out.toFile())
                    .redirectError(err.toFile())
                    .start()
                    .waitFor();
            return new Outcome(code, read(out), read(err));
        } finally {
            Files.delete(out);
            Files.delete(err);
        }
    }

    private static String read(Path file) throws IOException {
        return new String(Files.readAllBytes(file), StandardCharsets.UTF_8);
    }

    /** Runs the launcher. */
    Outcome launch(Map<String, String> environment, String... arguments) throws IOException, InterruptedException {
        List<String> command =
                new ArrayList<>(List.of(root.resolve("groupreduce").toString()));
        command.addAll(List.of(arguments));
        return run(environment, command.toArray(String[]::new));
    }

    /** Copies a folder of the checkout that the tests are of. */
    void copy(String folder) throws IOException {
        Path from = source().resolve(folder);
        try (Stream<Path> files = Files.walk(from)) {
            for (Path file : files.toList()) {
                Path to = root.resolve(folder).resolve(from.relativize(file).toString());
                if (Files.isDirectory(file)) {
                    Files.createDirectories(to);
                } else {
                    Files.copy(file, to, StandardCopyOption.REPLACE_EXISTING);
                }
            }
        }
    }
}
