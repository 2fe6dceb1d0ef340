package io.groupreduce.cuda.driver;

import jcuda.Pointer;
import jcuda.driver.CUdeviceptr;
import jcuda.driver.CUevent;
import jcuda.driver.CUfunction;
import jcuda.driver.CUstream;

/** JCuda's handles with the value that JCuda fills in shown, for calls that do not go through JCuda. */
final class Handles {
    private Handles() {}

    static final class Address extends CUdeviceptr {
        long value() {
            return getNativePointer() + getByteOffset();
        }
    }

    static final class HostAddress extends Pointer {
        long value() {
            return getNativePointer() + getByteOffset();
        }
    }

    static final class StreamHandle extends CUstream {
        long value() {
            return getNativePointer();
        }
    }

    static final class EventHandle extends CUevent {
        long value() {
            return getNativePointer();
        }
    }

    static final class Function extends CUfunction {
        long value() {
            return getNativePointer();
        }
    }
}
