/** The CPU backend on the Java Vector API. */
module io.groupreduce.vector {
    requires io.groupreduce;
    requires jdk.incubator.vector;

    provides io.groupreduce.spi.BackendProvider with
            io.groupreduce.vector.VectorBackendProvider;
}
