package io.groupreduce.cli;

import static com.tngtech.archunit.base.DescribedPredicate.not;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.equivalentTo;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAPackage;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAnyPackage;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.tngtech.archunit.base.DescribedPredicate;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.domain.JavaCodeUnit;
import com.tngtech.archunit.core.domain.JavaField;
import com.tngtech.archunit.core.domain.JavaMember;
import com.tngtech.archunit.core.domain.JavaModifier;
import com.tngtech.archunit.core.domain.JavaType;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.lang.ArchCondition;
import com.tngtech.archunit.lang.ConditionEvents;
import com.tngtech.archunit.lang.SimpleConditionEvent;
import com.tngtech.archunit.library.dependencies.SliceAssignment;
import com.tngtech.archunit.library.dependencies.SliceIdentifier;
import io.groupreduce.SoftmaxHead;
import io.groupreduce.error.DeviceException;
import java.lang.module.ModuleDescriptor;
import java.lang.module.ModuleFinder;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What may depend on what, over the classes of core, both backends and the command line at once. */
class ArchitectureTest {
    private static final String OURS = "io.groupreduce..";
    private static final String[] BACKENDS = {"io.groupreduce.vector..", "io.groupreduce.cuda.."};

    /** What callers see. */
    private static final Set<String> PUBLIC = new TreeSet<>(
            Set.of("io.groupreduce", "io.groupreduce.api", "io.groupreduce.error", "io.groupreduce.matrix"));

    private static final Set<String> OUR_MODULES =
            Set.of("io.groupreduce.cuda", "io.groupreduce.models", "io.groupreduce.testkit", "io.groupreduce.vector");

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

    /** To everybody go four packages; the rest goes to our own modules, and no module of others goes with it. */
    @Test
    void whatIsExportedIsWhatIsPublic() throws Exception {
        Path core = Path.of(SoftmaxHead.class
                .getProtectionDomain()
                .getCodeSource()
                .getLocation()
                .toURI());
        ModuleDescriptor module =
                ModuleFinder.of(core).find("io.groupreduce").orElseThrow().descriptor();
        Set<String> open = new TreeSet<>();
        for (ModuleDescriptor.Exports exports : module.exports()) {
            if (!exports.isQualified()) {
                open.add(exports.source());
            }
            assertTrue(OUR_MODULES.containsAll(exports.targets()), exports.toString());
        }
        assertEquals(PUBLIC, open);
        assertTrue(module.requires().stream()
                .noneMatch(required -> required.modifiers().contains(ModuleDescriptor.Requires.Modifier.TRANSITIVE)));
        assertTrue(module.opens().isEmpty() && !module.isOpen());
    }

    /** Of what callers see, every type is Java's own or of a public package. */
    @Test
    void publicSignaturesShowPublicTypesAlone() {
        ArchCondition<JavaClass> condition = new ArchCondition<>("show public types alone") {
            @Override
            public void check(JavaClass seen, ConditionEvents events) {
                Stream<JavaType> above = Stream.concat(seen.getSuperclass().stream(), seen.getInterfaces().stream());
                Stream<JavaType> inside = seen.getMembers().stream()
                        .filter(member -> isSeen(member.getModifiers()))
                        .flatMap(ArchitectureTest::types);
                Stream.concat(above, inside)
                        .flatMap(type -> type.getAllInvolvedRawTypes().stream())
                        .map(JavaClass::getBaseComponentType)
                        .filter(type -> !type.isPrimitive()
                                && !type.getPackageName().startsWith("java.")
                                && !PUBLIC.contains(type.getPackageName()))
                        .forEach(type -> events.add(
                                SimpleConditionEvent.violated(seen, seen.getName() + " shows " + type.getName())));
            }
        };
        classes()
                .that()
                .resideInAnyPackage(PUBLIC.toArray(String[]::new))
                .and(new DescribedPredicate<>("are seen") {
                    @Override
                    public boolean test(JavaClass type) {
                        return isSeen(type.getModifiers())
                                && type.getEnclosingClass().map(this::test).orElse(true);
                    }
                })
                .should(condition)
                .check(CLASSES);
    }

    private static boolean isSeen(Set<JavaModifier> modifiers) {
        return modifiers.contains(JavaModifier.PUBLIC) || modifiers.contains(JavaModifier.PROTECTED);
    }

    private static Stream<JavaType> types(JavaMember member) {
        if (member instanceof JavaField field) {
            return Stream.of(field.getType());
        }
        JavaCodeUnit code = (JavaCodeUnit) member;
        return Stream.of(List.of(code.getReturnType()), code.getParameterTypes(), code.getExceptionTypes())
                .flatMap(List::stream);
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
