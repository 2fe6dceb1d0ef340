package io.groupreduce.cuda.driver;

/** Goes through with closing whatever fails on the way, and reports it at the end. */
final class Failures {
    private RuntimeException first;

    void attempt(Runnable step) {
        try {
            step.run();
        } catch (RuntimeException e) {
            note(e);
        }
    }

    void close(AutoCloseable resource) {
        attempt(() -> {
            try {
                resource.close();
            } catch (RuntimeException e) {
                throw e;
            } catch (Exception e) {
                throw new IllegalStateException(e);
            }
        });
    }

    /** Throws the first failure, with the others attached. */
    void report() {
        if (first != null) {
            throw first;
        }
    }

    private void note(RuntimeException e) {
        if (first == null) {
            first = e;
        } else {
            first.addSuppressed(e);
        }
    }
}
