package io.groupreduce.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.BackendSelection;
import io.groupreduce.api.Device;
import io.groupreduce.error.DeviceException;
import java.io.File;
import java.io.IOException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.Enumeration;
import java.util.concurrent.Callable;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/** The ways in which an application holds our jars: what it takes to find the fast backend there, or to be told why it does not run. */
class ClassPathTest {
    private static final Pattern OURS = Pattern.compile(
            ".*/(core|vector|cuda)/target/classes/?|.*/(groupreduce-(core|vector|cuda)|jackson-|jcu)[^/]*\\.jar");

    private static final String[] LIBRARIES = Arrays.stream(
                    System.getProperty("java.class.path").split(File.pathSeparator))
            .filter(entry -> OURS.matcher(entry).matches())
            // The GPU's first: its service file is the one that stays.
            .sorted(Comparator.comparing((String entry) -> !entry.contains("cuda")))
            .toArray(String[]::new);

    /** An application's own loader, such as that of a Spring Boot jar; beside it the test's own classes. */
    private static class Application extends URLClassLoader {
        Application() throws IOException {
            super(urls(), ClassLoader.getPlatformClassLoader());
        }

        private static URL[] urls() throws IOException {
            URL[] urls = new URL[LIBRARIES.length + 1];
            for (int i = 0; i < LIBRARIES.length; i++) {
                urls[i] = Path.of(LIBRARIES[i]).toUri().toURL();
            }
            urls[LIBRARIES.length] =
                    ClassPathTest.class.getProtectionDomain().getCodeSource().getLocation();
            return urls;
        }
    }

    /** As in a jar that was put together of several without merging: of files of one name there is the first. */
    private static final class Shaded extends Application {
        Shaded() throws IOException {}

        @Override
        public Enumeration<URL> findResources(String name) throws IOException {
            return Collections.enumeration(Collections.list(super.findResources(name)).stream()
                    .limit(1)
                    .toList());
        }
    }

    /** Loaded by each of these loaders: starts the vector backend. */
    public static final class Start implements Callable<String> {
        @Override
        public String call() {
            try (var backend = BackendSelection.select(Device.VECTOR, 1).backend()) {
                return backend.name() + " by " + backend.getClass().getClassLoader();
            }
        }
    }

    @SuppressWarnings("unchecked")
    private static String start(ClassLoader loader) throws Exception {
        Callable<String> start = (Callable<String>)
                loader.loadClass(Start.class.getName()).getDeclaredConstructor().newInstance();
        FutureTask<String> task = new FutureTask<>(start);
        Thread worker = new Thread(task);
        worker.setContextClassLoader(ClassLoader.getPlatformClassLoader());
        worker.start();
        return task.get(1, TimeUnit.MINUTES);
    }

    @Test
    void aWorkerThreadWithoutOurClassesFindsTheBackends() throws Exception {
        try (Application loader = new Application()) {
            assertEquals("vector by " + loader, start(loader));
        }
    }

    @Test
    void aJarThatLostServiceFilesFindsTheBackends() throws Exception {
        try (Shaded loader = new Shaded()) {
            String service = "META-INF/services/io.groupreduce.spi.BackendProvider";
            assertTrue(loader.getResource(service).getPath().contains("cuda"));
            assertEquals("vector by " + loader, start(loader));
        }
    }

    /** A JVM of its own: without the flag, on the class path. */
    @Test
    void withoutTheFlagTheLogAndTheErrorNameIt() throws Exception {
        String path = String.join(File.pathSeparator, LIBRARIES)
                + File.pathSeparator
                + Path.of(ClassPathTest.class
                        .getProtectionDomain()
                        .getCodeSource()
                        .getLocation()
                        .toURI());
        Process java = new ProcessBuilder(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "-XX:TieredStopAtLevel=1",
                        "-cp",
                        path,
                        Plain.class.getName())
                .redirectErrorStream(true)
                .start();
        String said = new String(java.getInputStream().readAllBytes());
        assertEquals(0, java.waitFor(), said);
        String why = "cpu (vector): the module jdk.incubator.vector is not resolved; start Java with --add-modules"
                + " jdk.incubator.vector).";
        assertEquals(
                1,
                said.lines()
                        .filter(line -> line.contains("WARNING: Running on the slow reference backend (" + why))
                        .count(),
                said);
        assertTrue(said.lines().anyMatch(("Only the slow reference backend would run (" + why)::equals), said);
    }

    /** What that JVM runs. */
    public static final class Plain {
        private Plain() {}

        public static void main(String[] arguments) {
            BackendSelection selection = BackendSelection.select(Device.CPU, 1);
            try {
                selection.requireAccelerated();
            } catch (DeviceException e) {
                System.out.println(e.getMessage());
            }
        }
    }
}
