/** Compression of embedding and softmax matrices by frequency-grouped weighted low-rank approximation. */
// The modules that internal packages are exported to are compiled after this one.
@SuppressWarnings("module")
module io.groupreduce {
    requires transitive com.fasterxml.jackson.databind;
    requires ojalgo;

    exports io.groupreduce;
    exports io.groupreduce.api;
    exports io.groupreduce.error;
    exports io.groupreduce.format;
    exports io.groupreduce.matrix;
    exports io.groupreduce.spi;
    exports io.groupreduce.internal.check to
            io.groupreduce.cuda,
            io.groupreduce.testkit,
            io.groupreduce.vector;
    exports io.groupreduce.internal.compress to
            io.groupreduce.cuda,
            io.groupreduce.testkit,
            io.groupreduce.vector;
    exports io.groupreduce.internal.linear to
            io.groupreduce.cuda,
            io.groupreduce.testkit,
            io.groupreduce.vector;
    exports io.groupreduce.internal.reference to
            io.groupreduce.cuda,
            io.groupreduce.testkit,
            io.groupreduce.vector;
    exports io.groupreduce.internal.rows to
            io.groupreduce.cuda,
            io.groupreduce.testkit,
            io.groupreduce.vector;
    exports io.groupreduce.internal.select to
            io.groupreduce.cuda,
            io.groupreduce.testkit,
            io.groupreduce.vector;

    uses io.groupreduce.spi.BackendProvider;

    provides io.groupreduce.spi.BackendProvider with
            io.groupreduce.internal.reference.ReferenceBackendProvider;
}
