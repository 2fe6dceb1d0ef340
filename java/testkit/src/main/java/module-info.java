/** The contract every backend must pass, seeded generators and tolerances. */
module io.groupreduce.testkit {
    requires transitive io.groupreduce;
    requires transitive org.junit.jupiter.api;
    requires jdk.management;

    exports io.groupreduce.testkit;
}
