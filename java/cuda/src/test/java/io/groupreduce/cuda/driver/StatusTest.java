package io.groupreduce.cuda.driver;

import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.error.DeviceException;
import jcuda.driver.CUresult;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class StatusTest {
    @Test
    void successPasses() {
        assertDoesNotThrow(() -> Status.check(CUresult.CUDA_SUCCESS, "a test"));
    }

    @Test
    void namesTheStatusAndWhatToDo() {
        DeviceException e = assertThrows(
                DeviceException.class, () -> Status.check(CUresult.CUDA_ERROR_DEVICE_UNAVAILABLE, "opening the card"));
        assertEquals(
                "The GPU failed while opening the card (CUDA_ERROR_DEVICE_UNAVAILABLE); another process holds the card"
                        + " exclusively: wait for it or take another card.",
                e.getMessage());
    }

    @ParameterizedTest
    @ValueSource(
            ints = {
                1, 2, 34, 46, 100, 101, 200, 209, 214, 218, 221, 222, 223, 304, 500, 700, 702, 709, 719, 802, 803, 805,
                810, 999, 123456, -1
            })
    void everyCodeGivesOneSentence(int code) {
        String message = assertThrows(DeviceException.class, () -> Status.check(code, "a test"))
                .getMessage();
        assertTrue(message.matches("The GPU failed while a test \\([^)]+\\); [^.;]*(\\.[^ ][^.;]*)*\\."), message);
    }
}
