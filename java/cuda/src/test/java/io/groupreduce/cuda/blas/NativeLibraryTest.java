package io.groupreduce.cuda.blas;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.cuda.driver.OutOfDeviceMemoryException;
import io.groupreduce.error.DeviceException;
import java.util.Optional;
import jcuda.jcublas.cublasStatus;
import org.junit.jupiter.api.Test;

/** What a bad status becomes; no library is needed for that. */
class NativeLibraryTest {
    private final NativeLibrary library =
            new NativeLibrary("cuBLAS", name -> Optional.empty(), cublasStatus::stringFor);

    @Test
    void aLibraryWithoutMemoryIsOutOfMemoryWhichSmallerStepsMayEscape() {
        DeviceException e = library.failure("f", cublasStatus.CUBLAS_STATUS_ALLOC_FAILED, "n = 3, k = 4");
        assertEquals(OutOfDeviceMemoryException.class, e.getClass());
        assertTrue(e.getMessage().contains("f with CUBLAS_STATUS_ALLOC_FAILED (n = 3, k = 4)"), e.getMessage());
    }

    @Test
    void anyOtherStatusIsAFailure() {
        DeviceException e = library.failure("f", cublasStatus.CUBLAS_STATUS_EXECUTION_FAILED, "n = 3");
        assertEquals(DeviceException.class, e.getClass());
    }

    @Test
    void aMissingFunctionIsNamed() {
        assertFalse(library.has("f"));
        DeviceException e = assertThrows(DeviceException.class, () -> library.function("f", "*handle"));
        assertTrue(e.getMessage().contains("cuBLAS lacks the function f"), e.getMessage());
    }
}
