package io.groupreduce.cuda.driver;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.cuda.TestDevice;
import io.groupreduce.error.DeviceException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CudaLibrariesTest {
    @TempDir
    Path folder;

    @Test
    void saysThatThereIsNoDriver() {
        CudaLibraries none = new CudaLibraries(List.of());
        for (int i = 0; i < 2; i++) {
            String message = assertThrows(DeviceException.class, none::driver).getMessage();
            assertEquals(
                    "The GPU cannot be used: no NVIDIA driver was found (libcuda.so.1); install the NVIDIA driver, in a"
                            + " container pass the GPU through, or use --device cpu.",
                    message);
        }
        assertEquals(List.of(), none.names());
    }

    @Test
    void saysWhichDriverDoesNotLoad() throws IOException {
        Path file = Files.writeString(folder.resolve("libcuda.so.1"), "no library");
        CudaLibraries broken = new CudaLibraries(List.of(folder));
        String message = assertThrows(DeviceException.class, broken::driver).getMessage();
        assertTrue(message.contains(file + " cannot be loaded; "), message);
    }

    @Test
    void saysWhichLibrariesToGetAndHow() {
        CudaLibraries none = new CudaLibraries(List.of(folder));
        String message = assertThrows(DeviceException.class, none::blas).getMessage();
        assertEquals(
                "The GPU cannot be used: cuBLAS and cuSOLVER were not found, neither libcublas.so.13 with libcusolver.so.12"
                        + " nor libcublas.so.12 with libcusolver.so.11; install a CUDA toolkit, or for Python's packages"
                        + " 'pip install nvidia-cublas nvidia-cusolver' (CUDA 13) or 'pip install nvidia-cublas-cu12"
                        + " nvidia-cusolver-cu12', or name the folders that hold them with"
                        + " -Dgroupreduce.cuda.libraries=FOLDER:FOLDER.",
                message);
        assertEquals(message, assertThrows(DeviceException.class, none::solver).getMessage());
    }

    @Test
    void saysWhichOfThePairIsMissing() throws IOException {
        plant(folder, "libcublas.so.13");
        // Of another release: no pair.
        plant(folder, "libcusolver.so.11");
        String message = assertThrows(DeviceException.class, new CudaLibraries(List.of(folder))::blas)
                .getMessage();
        assertTrue(
                message.contains(
                        "(libcusolver.so.12 is missing beside libcublas.so.13; libcublas.so.12 is missing beside"
                                + " libcusolver.so.11)"),
                message);
    }

    @Test
    void saysWhatALibraryThatDoesNotLoadLacks() throws IOException {
        plant(folder, "libcublas.so.12");
        plant(folder, "libcusolver.so.11");
        plant(folder, "libcublasLt.so.12");
        CudaLibraries broken = new CudaLibraries(List.of(folder));
        String message = assertThrows(DeviceException.class, broken::solver).getMessage();
        assertTrue(
                message.contains("(" + folder.resolve("libcublas.so.12")
                        + " cannot be loaded (without libnvJitLink.so.12, libcusparse.so.12 beside it))"),
                message);
    }

    /** The stand-in's driver is of CUDA 13. */
    @Test
    @Tag("emulated")
    void takesThePairFromOnePlaceBeforeMixingTwo() throws IOException {
        Path standIn = standIn();
        Path half = Files.createDirectories(folder.resolve("half"));
        Path whole = Files.createDirectories(folder.resolve("whole"));
        plant(half, "libcublas.so.13");
        copy(whole, standIn, "libcublas.so.13");
        copy(whole, standIn, "libcusolver.so.12");
        CudaLibraries libraries = CudaLibraries.in(List.of(List.of(half), List.of(whole)));
        assertTrue(libraries.blas().find("cublasCreate_v2").isPresent());
        assertTrue(libraries.solver().find("cusolverDnCreate").isPresent());
        assertEquals(List.of("libcublas.so.13", "libcusolver.so.12"), libraries.names());
    }

    @Test
    @Tag("emulated")
    void takesThePairFromSeveralFolders() throws IOException {
        Path standIn = standIn();
        Path first = Files.createDirectories(folder.resolve("cublas"));
        Path second = Files.createDirectories(folder.resolve("cusolver"));
        copy(first, standIn, "libcublas.so.13");
        copy(second, standIn, "libcusolver.so.12");
        assertTrue(new CudaLibraries(List.of(first, second))
                .solver()
                .find("cusolverDnCreate")
                .isPresent());
        // Of two places, when neither has both.
        CudaLibraries mixed = CudaLibraries.in(List.of(List.of(second), List.of(first)));
        assertTrue(mixed.blas().find("cublasCreate_v2").isPresent());
    }

    /** A file of this name that is no library. */
    private static void plant(Path folder, String name) throws IOException {
        Files.writeString(folder.resolve(name), "no library");
    }

    private static Path standIn() {
        return TestDevice.folders().getLast();
    }

    private static void copy(Path folder, Path standIn, String name) throws IOException {
        Files.copy(standIn.resolve(name), folder.resolve(name));
    }
}
