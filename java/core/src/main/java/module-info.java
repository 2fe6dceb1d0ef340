/** Compression of embedding and softmax matrices by frequency-grouped weighted low-rank approximation. */
module io.groupreduce {
    requires transitive com.fasterxml.jackson.databind;
    requires ojalgo;

    exports io.groupreduce;
    exports io.groupreduce.backend;
    exports io.groupreduce.compress;
    exports io.groupreduce.format;
    exports io.groupreduce.reference;
    exports io.groupreduce.softmax;

    uses io.groupreduce.backend.BackendProvider;

    provides io.groupreduce.backend.BackendProvider with
            io.groupreduce.reference.ReferenceBackendProvider;
}
