package io.groupreduce.cuda.driver;

/**
 * What a card is.
 *
 * @param name as the driver gives it, for instance {@code NVIDIA H100 80GB HBM3}
 * @param memoryBytes its memory, used or not
 * @param multiprocessors streaming multiprocessors
 * @param computeMajor compute capability, before the point
 * @param computeMinor compute capability, after the point
 * @param sharedBytesPerBlock shared memory that a block may have at most, when it asks for it
 * @param l2Bytes second-level cache
 * @param singleToDoubleRatio peak FP32 operations for each FP64 operation, outside tensor cores
 * @param driverVersion CUDA version of the driver: 1000 x major + 10 x minor
 */
public record DeviceProperties(
        String name,
        long memoryBytes,
        int multiprocessors,
        int computeMajor,
        int computeMinor,
        int sharedBytesPerBlock,
        long l2Bytes,
        int singleToDoubleRatio,
        int driverVersion) {
    /** The card for a person: name and compute capability. */
    public String card() {
        return name + ", compute capability " + computeMajor + "." + computeMinor;
    }

    /** One line for a person: card, compute capability, driver. */
    public String summary() {
        return card() + ", driver " + versionText(driverVersion);
    }

    /** A CUDA version as people write it, such as 13.0. */
    static String versionText(int version) {
        return version / 1000 + "." + version % 1000 / 10;
    }
}
