package io.groupreduce.api;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.error.InvalidOptionException;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

class HeadOptionsTest {
    private static void assertRefused(Executable action, Object number) {
        String message = assertThrows(InvalidOptionException.class, action).getMessage();
        assertTrue(message.contains(String.valueOf(number)) && message.endsWith("."), message);
    }

    @Test
    void eachOptionChangesAloneAndBiasesAreCopied() {
        float[] bias = {1, 2};
        HeadOptions options = HeadOptions.defaults()
                .withTensor("a")
                .withDevice(Device.CPU)
                .withThreads(3)
                .withBias(bias)
                .withPruning(Pruning.OFF)
                .withLogSumExpTolerance(0.5);
        assertEquals(Optional.of("a"), options.tensor());
        assertEquals(Device.CPU, options.device());
        assertTrue(options.requireAccelerated().accelerated() && !options.accelerated());
        assertEquals(Threads.own(3), options.threads());
        assertEquals(2, options.bias().orElseThrow()[1]);
        assertNotSame(bias, options.bias().orElseThrow());
        assertEquals(Pruning.OFF, options.pruning());
        assertEquals(0.5, options.logSumExpTolerance());
        assertTrue(options.withBias(null).bias().isEmpty());
        HeadOptions defaults = HeadOptions.defaults();
        assertTrue(defaults.tensor().isEmpty() && defaults.bias().isEmpty());
        assertEquals(Pruning.AUTO, defaults.pruning());
        assertEquals(0, defaults.logSumExpTolerance());
    }

    @Test
    void optionsOutOfRangeAreRefused() {
        assertRefused(() -> HeadOptions.defaults().withThreads(0), 0);
        for (double bad : new double[] {-1e-9, Double.NaN, Double.POSITIVE_INFINITY}) {
            assertRefused(() -> HeadOptions.defaults().withLogSumExpTolerance(bad), bad);
        }
        for (double bad : new double[] {0, -1, Double.NaN, Double.POSITIVE_INFINITY}) {
            assertRefused(() -> HeadOptions.defaults().withLogitScale(bad), bad);
        }
        assertThrows(NullPointerException.class, () -> HeadOptions.defaults().withDevice(null));
    }

    @Test
    void devicesAreValues() {
        for (Device device : new Device[] {
            Device.AUTO, Device.CPU, Device.VECTOR, Device.REFERENCE, Device.CUDA, Device.cuda(0), Device.cuda(9999)
        }) {
            assertEquals(device, Device.parse(device.toString()));
            assertEquals(device.hashCode(), Device.parse(device.toString()).hashCode());
        }
        assertNotEquals(Device.CUDA, Device.cuda(0));
        assertNotEquals(Device.cuda(1), Device.cuda(0));
        for (int bad : new int[] {-1, 10_000}) {
            assertRefused(() -> Device.cuda(bad), bad);
        }
        for (String bad : new String[] {"", "gpu", "CPU", "cuda:", "cuda:x", "cuda:-1", "cuda:12345", "cuda:1 "}) {
            assertRefused(() -> Device.parse(bad), "'" + bad + "'");
        }
    }

    @Test
    void samplingOutOfRangeIsRefused() {
        for (double bad : new double[] {0, -1, Double.NaN, Double.POSITIVE_INFINITY}) {
            assertRefused(() -> Sampling.temperature(bad), bad);
        }
        Sampling plain = Sampling.temperature(1);
        assertRefused(() -> plain.withTopK(-1), -1);
        for (double bad : new double[] {0, -0.1, 1.1, Double.NaN}) {
            assertRefused(() -> plain.withTopP(bad), bad);
        }
        for (double bad : new double[] {-0.1, 1.1, Double.NaN}) {
            assertRefused(() -> plain.withMinP(bad), bad);
        }
        assertTrue(plain.keepsAll()
                && !plain.withTopK(1).keepsAll()
                && !plain.withTopP(0.9).keepsAll());
    }

    @Test
    void partsOutOfRangeAreRefused() {
        HeadOptions plain = HeadOptions.defaults();
        assertRefused(() -> plain.withVocabulary(0), 0);
        assertRefused(() -> plain.withPart(-1, 4), -1);
        assertRefused(() -> plain.withPart(4, 4), 4);
    }
}
