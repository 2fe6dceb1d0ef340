package io.groupreduce.vector;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.lang.module.ModuleFinder;
import org.junit.jupiter.api.Test;

/** What a person is told where the Vector API is not there. */
class VectorBackendProviderTest {
    @Test
    void anImageWithoutTheModuleIsToldFromAFlagThatIsMissing() {
        assertEquals(
                "this Java has no module jdk.incubator.vector; add it to the image (jlink --add-modules"
                        + " jdk.incubator.vector) or install a full JDK 25, for instance Temurin 25",
                VectorBackendProvider.missing(ModuleFinder.of()));
        ModuleFinder full = ModuleFinder.ofSystem();
        assertEquals(
                "the module jdk.incubator.vector is not resolved; start Java with --add-modules jdk.incubator.vector",
                VectorBackendProvider.missing(full));
        System.setProperty("classworlds.conf", "m2.conf");
        try {
            assertEquals(
                    "the module jdk.incubator.vector is not resolved in Maven's own Java; put --add-modules"
                            + " jdk.incubator.vector into MAVEN_OPTS or .mvn/jvm.config",
                    VectorBackendProvider.missing(full));
        } finally {
            System.clearProperty("classworlds.conf");
        }
    }
}
