/** Compression of embedding and softmax matrices by frequency-grouped weighted low-rank approximation. */
// The modules that packages are exported to are compiled after this one.
@SuppressWarnings("module")
module io.groupreduce {
    requires com.fasterxml.jackson.databind;
    requires static ojalgo;

    exports io.groupreduce;
    exports io.groupreduce.api;
    exports io.groupreduce.error;
    exports io.groupreduce.matrix;
    exports io.groupreduce.format to
            io.groupreduce.models,
            io.groupreduce.testkit;
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
    exports io.groupreduce.spi to
            io.groupreduce.cuda,
            io.groupreduce.testkit,
            io.groupreduce.vector;

    uses io.groupreduce.format.ModelReader;
    uses io.groupreduce.spi.BackendProvider;
}
