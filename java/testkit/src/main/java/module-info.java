/** The contract every backend must pass, seeded generators and tolerances. */
// The modules that it is exported to are compiled after this one.
@SuppressWarnings("module")
module io.groupreduce.testkit {
    requires transitive io.groupreduce;
    requires transitive org.junit.jupiter.api;
    requires jdk.management;

    exports io.groupreduce.testkit to
            io.groupreduce.cuda,
            io.groupreduce.vector;
}
