package io.groupreduce.cli;

import static com.tngtech.archunit.base.DescribedPredicate.not;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.equivalentTo;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAPackage;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAnyPackage;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.library.dependencies.SliceAssignment;
import com.tngtech.archunit.library.dependencies.SliceIdentifier;
import io.groupreduce.error.DeviceException;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What may depend on what, over the classes of core, both backends and the command line at once. */
class ArchitectureTest {
    private static final String OURS = "io.groupreduce..";
    private static final String[] BACKENDS = {"io.groupreduce.vector..", "io.groupreduce.cuda.."};

    private static final JavaClasses CLASSES = new ClassFileImporter()
            .withImportOption(ImportOption.Predefined.DO_NOT_INCLUDE_TESTS)
            .importPackages("io.groupreduce")
            .that(not(resideInAPackage("io.groupreduce.testkit..")));

    /** An empty folder would keep every rule. */
    @Test
    void allModulesAreLookedAt() {
        for (String name : List.of("SoftmaxHead", "vector.VectorBackend", "cuda.CudaBackend", "cli.Main")) {
            assertTrue(CLASSES.contain("io.groupreduce." + name), name);
        }
    }

    @Test
    void noPackagesDependOnEachOtherInACircle() {
        slices().assignedFrom(new PackageByPackage()).should().beFreeOfCycles().check(CLASSES);
    }

    private static final class PackageByPackage implements SliceAssignment {
        @Override
        public SliceIdentifier getIdentifierOf(JavaClass javaClass) {
            return SliceIdentifier.of(javaClass.getPackageName());
        }

        @Override
        public String getDescription() {
            return "packages";
        }
    }

    /** Of the internal packages, format has the one scan for NaN and infinity that all data passes, and what a packed file holds. */
    @ParameterizedTest(name = "{0}")
    @CsvSource({
        "error,        ''",
        "matrix,       error",
        "api,          matrix error",
        "spi,          matrix error api",
        "internal..,   matrix error api spi internal..",
        "format..,     matrix error api spi internal.check internal.packed format..",
        "vector..,     matrix error api spi internal.. vector..",
        "cuda..,       matrix error api spi internal.. cuda..",
    })
    void packagesDependOneWayOnly(String part, String allowed) {
        String[] packages = (part + " " + allowed).strip().split(" ");
        for (int i = 0; i < packages.length; i++) {
            packages[i] = "io.groupreduce." + packages[i];
        }
        classes()
                .that()
                .resideInAPackage(packages[0])
                .should()
                .onlyDependOnClassesThat(not(resideInAPackage(OURS)).or(resideInAnyPackage(packages)))
                .check(CLASSES);
    }

    @Test
    void theDoorsOfCoreKnowNoBackend() {
        noClasses()
                .that()
                .resideInAPackage("io.groupreduce")
                .should()
                .dependOnClassesThat()
                .resideInAnyPackage("io.groupreduce.vector..", "io.groupreduce.cuda..", "io.groupreduce.cli..")
                .check(CLASSES);
    }

    /** What starts with this name is hardware, and known in one module alone. */
    @ParameterizedTest
    @CsvSource({"jdk.incubator.vector.., vector..", "jcuda.., cuda.."})
    void hardwareIsKnownToItsBackendAlone(String hardware, String backend) {
        noClasses()
                .that()
                .resideOutsideOfPackage("io.groupreduce." + backend)
                .should()
                .dependOnClassesThat()
                .resideInAPackage(hardware)
                .check(CLASSES);
    }

    /** A backend validates nothing: of our exceptions it throws that of a device, and knows no other. */
    @Test
    void backendsRefuseNoInput() {
        noClasses()
                .that()
                .resideInAnyPackage(BACKENDS)
                .should()
                .dependOnClassesThat(
                        resideInAPackage("io.groupreduce.error").and(not(equivalentTo(DeviceException.class))))
                .check(CLASSES);
    }

    @Test
    void theSeamIsInterfacesAndRecords() {
        classes()
                .that()
                .resideInAPackage("io.groupreduce.spi")
                .and()
                .haveSimpleNameNotEndingWith("package-info")
                .should()
                .beInterfaces()
                .orShould()
                .beRecords()
                .check(CLASSES);
    }
}
