package io.groupreduce.cuda.driver;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class LibraryFoldersTest {
    @TempDir
    Path root;

    @Test
    void findsNothingWhereNothingIs() {
        assertEquals(List.of(), places(Map.of()));
        assertEquals(
                List.of(),
                places(Map.of(
                        "CUDA_HOME",
                        "",
                        "HOME",
                        root.resolve("gone").toString(),
                        "PATH",
                        ":/nowhere",
                        "VIRTUAL_ENV",
                        "\0")));
    }

    @Test
    void asksTheToolkitsByTheirVariablesFirstAndTheNewestVersionFirst() throws IOException {
        Path own = folder("opt/own/lib64");
        folder("opt/other/targets/x86_64-linux/lib");
        folder("usr/local/cuda-12.9/lib64");
        folder("usr/local/cuda-13.0/lib64");
        folder("usr/local/cuda-13.0/targets/x86_64-linux/lib");
        assertEquals(
                List.of(
                        List.of(own),
                        List.of(root.resolve("opt/other/targets/x86_64-linux/lib")),
                        List.of(
                                root.resolve("usr/local/cuda-13.0/lib64"),
                                root.resolve("usr/local/cuda-13.0/targets/x86_64-linux/lib")),
                        List.of(root.resolve("usr/local/cuda-12.9/lib64"))),
                places(Map.of(
                        "CUDA_HOME", root.resolve("opt/own").toString(),
                        "CUDA_PATH", root.resolve("opt/other").toString())));
    }

    @Test
    void findsTheWheelsOfEveryPython() throws IOException {
        Path nvidia = root.resolve("env/lib/python3.12/site-packages/nvidia");
        folder("env/lib/python3.12/site-packages/nvidia/cublas/lib");
        folder("env/lib/python3.12/site-packages/nvidia/cu13/lib");
        folder("env/lib/python3.12/site-packages/numpy");
        Path local = folder("home/me/.local/lib/python3.13/site-packages/nvidia/cublas/lib");
        Path system = folder("usr/lib/python3/dist-packages/nvidia/cublas/lib");
        Path own = folder("usr/local/lib/python3.11/dist-packages/nvidia/cublas/lib");
        assertEquals(
                List.of(
                        List.of(nvidia.resolve("cu13/lib"), nvidia.resolve("cublas/lib")),
                        List.of(local),
                        List.of(own),
                        List.of(system)),
                places(Map.of(
                        "VIRTUAL_ENV", root.resolve("env").toString(),
                        "HOME", root.resolve("home/me").toString())));
    }

    @Test
    void findsThePythonOnThePathAndTheOneItLinksTo() throws IOException {
        Path real = folder("opt/python/lib/python3.12/site-packages/nvidia/cublas/lib");
        Path environment = folder("venv/lib/python3.12/site-packages/nvidia/cusolver/lib");
        Path program = Files.createFile(folder("opt/python/bin").resolve("python3.12"));
        program.toFile().setExecutable(true);
        Files.createSymbolicLink(folder("venv/bin").resolve("python3"), program);
        assertEquals(
                List.of(List.of(environment), List.of(real)),
                places(Map.of("PATH", root.resolve("gone") + ":" + root.resolve("venv/bin"))));
    }

    @Test
    void findsCondasLibraries() throws IOException {
        Path libraries = folder("conda/lib");
        Path wheels = folder("conda/lib/python3.12/site-packages/nvidia/cublas/lib");
        assertEquals(
                List.of(List.of(libraries), List.of(wheels)),
                places(Map.of("CONDA_PREFIX", root.resolve("conda").toString())));
    }

    @Test
    void knowsWithoutLoadingWhetherTheLoaderHasALibrary() throws IOException {
        assertFalse(loader(Map.of("LD_LIBRARY_PATH", ":/nowhere:" + root)));
        Path folder = folder("opt/driver");
        Files.createFile(folder.resolve("libcuda.so.1"));
        assertTrue(loader(Map.of("LD_LIBRARY_PATH", "/nowhere:" + folder)));
        assertFalse(loader(Map.of()));
        // The cache names paths, one behind the other.
        Path cache = folder("etc").resolve("ld.so.cache");
        Files.write(cache, "\u00ff\0/lib/libcuda.so.12\0/lib/xlibcuda.so.1\0".getBytes(StandardCharsets.ISO_8859_1));
        assertFalse(loader(Map.of()));
        Files.write(cache, "\u00ff\0/lib/libcuda.so.1\0".getBytes(StandardCharsets.ISO_8859_1));
        assertTrue(loader(Map.of()));
        Files.delete(cache);
        Files.createFile(folder("usr/lib64").resolve("libcuda.so.1"));
        assertTrue(loader(Map.of()));
        Files.delete(root.resolve("usr/lib64/libcuda.so.1"));
        folder("proc/driver/nvidia");
        assertTrue(loader(Map.of()));
    }

    private boolean loader(Map<String, String> environment) {
        return new LibraryFolders(environment, root).loader("libcuda.so.1");
    }

    private List<List<Path>> places(Map<String, String> environment) {
        return new LibraryFolders(environment, root).places();
    }

    private Path folder(String name) throws IOException {
        return Files.createDirectories(root.resolve(name));
    }
}
