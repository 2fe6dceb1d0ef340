package io.groupreduce.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.lang.module.ModuleDescriptor;
import java.lang.module.ModuleFinder;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.jar.Attributes;
import java.util.jar.JarFile;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What is published: each of our libraries on this class path, a jar under {@code mvn verify} and a folder of classes under {@code mvn test}. */
class PublishedTest {
    private static final Path ROOT = Path.of("../..").toAbsolutePath().normalize();
    private static final Pattern ARTIFACT = Pattern.compile("<artifactId>(groupreduce-[a-z]+)</artifactId>");

    @ParameterizedTest
    @ValueSource(strings = {"core", "vector", "cuda", "testkit"})
    void hasItsLicenseItsModuleAndItsVersion(String name) throws IOException {
        Path library = Arrays.stream(System.getProperty("java.class.path").split(File.pathSeparator))
                .filter(entry ->
                        entry.matches(".*/(" + name + "/target/classes/?|groupreduce-" + name + "-[^/]*\\.jar)"))
                .map(Path::of)
                .findFirst()
                .orElseThrow();
        try (URLClassLoader loader =
                        new URLClassLoader(new URL[] {library.toUri().toURL()}, null);
                InputStream license = loader.getResourceAsStream("META-INF/LICENSE")) {
            assertNotNull(license, library + " has no META-INF/LICENSE");
            assertArrayEquals(Files.readAllBytes(ROOT.resolve("LICENSE")), license.readAllBytes());
        }
        ModuleDescriptor module =
                ModuleFinder.of(library).findAll().iterator().next().descriptor();
        assertFalse(module.isAutomatic());
        assertEquals(name.equals("core") ? "io.groupreduce" : "io.groupreduce." + name, module.name());
        if (Files.isRegularFile(library)) {
            try (JarFile jar = new JarFile(library.toFile())) {
                Attributes manifest = jar.getManifest().getMainAttributes();
                assertTrue(manifest.getValue("Implementation-Title").startsWith("GroupReduce "), manifest::toString);
                String version = manifest.getValue("Implementation-Version");
                assertTrue(library.endsWith("groupreduce-" + name + "-" + version + ".jar"), version);
            }
        }
    }

    /** A library that the BOM does not know would be published without a version that goes with the others, or by accident. */
    @Test
    void theBomHasTheLibrariesAndWhatIsNotPublishedSaysSo() throws IOException {
        Set<String> published = new TreeSet<>();
        for (String folder : List.of("java", ".")) {
            try (Stream<Path> modules = Files.list(ROOT.resolve(folder))) {
                for (Path pom : modules.map(module -> module.resolve("pom.xml"))
                        .filter(Files::isRegularFile)
                        .toList()) {
                    String text = Files.readString(pom);
                    if (!text.contains("<packaging>pom</packaging>")
                            && !text.contains("<maven.deploy.skip>true</maven.deploy.skip>")) {
                        // The parent's comes first.
                        published.add(artifacts(text.substring(text.indexOf("</parent>")))
                                .get(0));
                        assertTrue(text.contains("<name>") && text.contains("<description>"), pom::toString);
                    }
                }
            }
        }
        List<String> known = artifacts(Files.readString(ROOT.resolve("java/bom/pom.xml")));
        known.remove("groupreduce-bom");
        assertEquals(published, new TreeSet<>(known));
    }

    private static List<String> artifacts(String pom) {
        return new ArrayList<>(
                ARTIFACT.matcher(pom).results().map(found -> found.group(1)).toList());
    }
}
