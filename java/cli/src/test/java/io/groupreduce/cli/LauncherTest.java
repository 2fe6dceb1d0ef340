package io.groupreduce.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.groupreduce.cli.Checkout.Outcome;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The launcher between the machine and Java: which JDK, which locale, and what it says when Java does not start. */
class LauncherTest {
    private static final String ALL = "java.base jdk.incubator.vector jdk.jfr";
    private static final String SMALL = "java.base jdk.compiler";
    private static final String ARGUMENTS = "echo \"$0 $*\"";

    @TempDir
    private Path directory;

    private Checkout checkout;

    @BeforeEach
    void makeCheckout() throws Exception {
        checkout = Checkout.in(directory.resolve("checkout"));
    }

    private Outcome launched(Path jdk) throws Exception {
        return checkout.launch(Map.of("GROUPREDUCE_JAVA_HOME", jdk.toString()), "devices");
    }

    @Test
    void theVectorModuleIsAskedForWhereTheJdkHasIt() throws Exception {
        assertTrue(launched(checkout.jdk("all", ALL, ARGUMENTS)).out().contains("--add-modules jdk.incubator.vector"));
        assertTrue(launched(checkout.jdk("unlisted", null, ARGUMENTS)).out().contains("--add-modules"));
        Outcome small = launched(checkout.jdk("small", SMALL, ARGUMENTS));
        assertEquals(0, small.code(), small.err());
        assertFalse(small.out().contains("--add-modules"), small.out());
        assertTrue(small.out().endsWith("io.groupreduce.cli.Main devices\n"), small.out());
    }

    @Test
    void aJdkWithTheVectorModuleIsPreferredToOneWithout() throws Exception {
        Path small = checkout.jdk("small", SMALL, ARGUMENTS);
        Path all = checkout.jdk("all", ALL, ARGUMENTS);
        Map<String, String> homes = Map.of("JAVA_HOME", small.toString(), "JAVA25_HOME", all.toString());
        String out = checkout.launch(homes, "devices").out();
        assertTrue(out.startsWith(all + "/bin/java "), out);
    }

    /** The real one: what it says depends on the option, and on its version. */
    @Test
    void aJavaThatDoesNotStartIsOneSentenceAndTheMachinesFault() throws Exception {
        Path jdk = Path.of(System.getProperty("java.home"));
        assumeTrue(jdk.resolve("bin/javac").toFile().exists(), "the tests run on no JDK");
        String[][] starts = {
            {"-Xmx999999g", "Could not reserve enough space"},
            {"-Xms8g -Xmx4g", "larger value than the maximum heap size"},
            {"-Xmx5x", "Invalid maximum heap size: -Xmx5x"},
            {"-XX:+NoSuchOption", "NoSuchOption"},
            {"--add-modules no.such.module", "no.such.module"},
            {"-Xmx32m", "Main"},
        };
        for (String[] start : starts) {
            Map<String, String> environment =
                    Map.of("GROUPREDUCE_JAVA_HOME", jdk.toString(), "GROUPREDUCE_JAVA_OPTIONS", start[0]);
            Outcome outcome = checkout.launch(environment, "devices");
            assertEquals(3, outcome.code(), outcome.err());
            assertEquals("", outcome.out());
            assertEquals(1, outcome.err().lines().count(), outcome.err());
            assertTrue(outcome.err().startsWith("groupreduce: Java did not start ("), outcome.err());
            assertTrue(outcome.err().contains(start[1]), outcome.err());
        }
        Path broken = checkout.jdk("broken", ALL, ARGUMENTS);
        checkout.script("broken/bin/java", "#!/no/such/interpreter\n");
        assertEquals(3, launched(broken).code());
    }

    @Test
    void whatTheProgramSaysAndItsCodePass() throws Exception {
        String announcement = "echo 'WARNING: Using incubator modules: jdk.incubator.vector' >&2\n";
        String[][] programs = {
            {"echo 'groupreduce: wrong' >&2; echo 'Error: more' >&2; exit 1", "1", "groupreduce: wrong\nError: more\n"},
            {"printf '\\rbar 1%%\\rbar 2%%' >&2", "0", "\rbar 1%\rbar 2%"},
            {"printf 'a line\\n\\n  and no end' >&2; exit 2", "2", "a line\n\n  and no end\n"},
            {"exit 3", "3", ""},
            {"echo 'Picked up JAVA_TOOL_OPTIONS: -Da=b' >&2", "0", "Picked up JAVA_TOOL_OPTIONS: -Da=b\n"},
        };
        for (String[] program : programs) {
            for (String before : new String[] {"", announcement}) {
                Outcome outcome = launched(checkout.jdk("fake", ALL, before + program[0]));
                assertEquals(Integer.parseInt(program[1]), outcome.code());
                assertEquals(program[2], outcome.err());
            }
        }
    }

    @Test
    void javaReadsNamesOfFilesAsUtf8InThePlainLocale() throws Exception {
        assumeTrue(System.getProperty("os.name").equals("Linux"), "only Linux takes names from the locale");
        Path jdk = checkout.jdk("fake", ALL, "echo $LC_ALL");
        for (String locale : new String[] {"C", "POSIX", "", "xx_XX.UTF-8"}) {
            Map<String, String> environment = Map.of("GROUPREDUCE_JAVA_HOME", jdk.toString(), "LC_ALL", locale);
            assertEquals("C.UTF-8\n", checkout.launch(environment, "devices").out(), locale);
        }
        Map<String, String> real = Map.of(
                "GROUPREDUCE_JAVA_HOME", System.getProperty("java.home"),
                "GROUPREDUCE_JAVA_OPTIONS", "-XshowSettings:properties -version",
                "LC_ALL", "C");
        Outcome settings = checkout.launch(real);
        String all = settings.out() + settings.err();
        assertTrue(all.contains("sun.jnu.encoding = UTF-8"), all);
        assertTrue(all.contains("stdout.encoding = UTF-8"), all);
    }

    @Test
    void aBuildThatFailsShowsWhatFailed() throws Exception {
        Files.delete(checkout.root().resolve("java/cli/target/launcher-built"));
        Map<String, String> environment = Map.of(
                "GROUPREDUCE_JAVA_HOME",
                checkout.jdk("all", ALL, ARGUMENTS).toString(),
                "PATH",
                checkout.root().resolve("bin") + ":" + System.getenv("PATH"));
        checkout.script(
                "bin/mvn",
                "#!/bin/bash\necho 'CMake Error: the cache is of another place'; for i in {1..40}; do echo \"[ERROR] $i\"; done;"
                        + " exit 1\n");
        Outcome outcome = checkout.launch(environment, "devices");
        assertEquals(3, outcome.code());
        assertTrue(outcome.err().contains("CMake Error: the cache is of another place"), outcome.err());
        assertTrue(outcome.err().contains("the build failed; the whole log is"), outcome.err());
    }
}
