package io.groupreduce.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.groupreduce.cli.Checkout.Outcome;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The kernels' build in a checkout that was moved or copied with all that was built in it. The CUDA compiler is a stand-in. */
class NativeBuildTest {
    private static final String NVCC = """
            #!/bin/bash
            case "$*" in
              *--version*) echo "release 12.8, V12.8.1"; exit ;;
              *--list-gpu-arch*) printf 'compute_%s\\n' 80 86 89 90 100 120; exit ;;
            esac
            while [ $# -gt 0 ]; do
              case $1 in
                -o) out=$2 ;;
                -MF) depends=$2 ;;
                *.cu) source=$1 ;;
              esac
              shift
            done
            echo "$source" >"$out"
            echo "$out: $source" >"$depends"
            """;

    @TempDir
    private Path temporary;

    /** As the script sees it. */
    private Path directory;

    @BeforeEach
    void resolveLinks() throws Exception {
        directory = temporary.toRealPath();
    }

    private static boolean has(String tool) {
        return Stream.of(System.getenv("PATH").split(":"))
                .anyMatch(folder -> Files.isExecutable(Path.of(folder, tool)));
    }

    private static Outcome build(Checkout checkout) throws Exception {
        Path output = checkout.root().resolve("java/cuda/target/classes");
        return checkout.run(
                Map.of("CUDACXX", checkout.root().resolve("bin/nvcc").toString()),
                checkout.root().resolve("native/build.sh").toString(),
                "fatbin",
                output.toString());
    }

    private static void builds(Checkout checkout) throws Exception {
        Outcome outcome = build(checkout);
        assertEquals(0, outcome.code(), outcome.out() + outcome.err());
        Path made = checkout.root().resolve("java/cuda/target/classes/groupreduce-eigen.fatbin");
        assertEquals(checkout.root().resolve("native/kernels/eigen.cu") + "\n", Files.readString(made));
    }

    @Test
    void aForeignCacheIsDroppedAndCMakesOwnErrorIsShown() throws Exception {
        assumeTrue(has("cmake") && has("c++") && (has("ninja") || has("make")), "the tools are not here");
        Checkout first = Checkout.in(directory.resolve("first"));
        for (String folder : List.of("cmake", "native")) {
            first.copy(folder);
        }
        first.script("bin/nvcc", NVCC);
        first.script("native/build.sh", Files.readString(first.root().resolve("native/build.sh")));
        builds(first);
        Checkout moved = new Checkout(directory.resolve("moved"));
        Files.move(first.root(), moved.root());
        builds(moved);
        Path cache = moved.root().resolve("java/cuda/target/native/CMakeCache.txt");
        String foreign = Files.readString(cache)
                .replaceAll("(CMAKE_CXX_COMPILER:[^=]*)=.*", "$1=/no/such/compiler")
                .replaceAll("(CMAKE_CACHEFILE_DIR:[^=]*)=.*", "$1=/elsewhere");
        Files.writeString(cache, foreign);
        builds(moved);
        Files.writeString(moved.root().resolve("native/CMakeLists.txt"), "no_such_command()\n");
        Files.delete(cache);
        Outcome outcome = build(moved);
        assertEquals(1, outcome.code());
        assertTrue(outcome.err().contains("CMake Error at CMakeLists.txt:1"), outcome.err());
        assertTrue(outcome.err().contains("no_such_command"), outcome.err());
        assertTrue(outcome.err().contains("CMake cannot configure the kernels"), outcome.err());
    }
}
