package io.groupreduce.cuda.driver;

import io.groupreduce.error.DeviceException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.function.Supplier;
import jcuda.driver.CUresult;
import jcuda.driver.JCudaDriver;

/**
 * One card, with a thread of its own that alone talks to it. All methods of a device and of what it makes are called on that thread, inside
 * {@link #call} or {@link #run}; any thread may open, close, and read the properties.
 */
public final class Device implements AutoCloseable {
    private static final long STAGING_BYTES = 32L << 20;
    // Smaller uploads take the main stream: events between two streams would cost more than the overlap brings.
    private static final long OVERLAP_BYTES = 1 << 20;
    private static final int EVENT_WITHOUT_TIME = 2;
    // CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL.
    private static final int ORDINAL_OF_POINTER = 9;

    private final int ordinal;
    private final CudaLibraries libraries;
    private final DeviceThread thread;
    private final Ledger ledger = new Ledger();
    private final Staging staging;
    private DeviceProperties properties;
    private DriverContext context;
    private Event ordered;
    private Event copied;
    private KernelModules kernels;

    private Device(CudaLibraries libraries, int ordinal, long stagingBytes) {
        this.ordinal = ordinal;
        this.libraries = libraries;
        this.thread = new DeviceThread("cuda:" + ordinal);
        this.staging = new Staging(bytes -> pinned(bytes, "staging buffers", true), () -> event(false), stagingBytes);
    }

    /**
     * Opens a card for this process.
     *
     * @param ordinal the driver's number of the card, from 0
     * @throws DeviceException if there is no driver, no such card, or it is too old
     */
    public static Device open(CudaLibraries libraries, int ordinal) {
        return open(libraries, ordinal, STAGING_BYTES);
    }

    /** The same with another size of each of the two staging buffers. */
    static Device open(CudaLibraries libraries, int ordinal, long stagingBytes) {
        int count = DriverProbe.devices(libraries.driver());
        if (ordinal < 0 || ordinal >= count) {
            throw new DeviceException(
                    "There is no GPU cuda:" + ordinal + " here; the driver has " + count + ", numbered from 0.");
        }
        DriverProbe.startJcuda();
        Device device = new Device(libraries, ordinal, stagingBytes);
        try {
            device.run(device::start);
        } catch (Throwable e) {
            // What closing it throws is attached.
            try (device) {
                throw e;
            }
        }
        return device;
    }

    /** {@code cuda:I}. */
    public String name() {
        return "cuda:" + ordinal;
    }

    public DeviceProperties properties() {
        return properties;
    }

    public CudaLibraries libraries() {
        return libraries;
    }

    /**
     * Runs the work on the device's thread, or at once if the caller is that thread, and returns when it is done, even if the caller is
     * interrupted meanwhile. What the work throws, the caller gets.
     *
     * @throws DeviceException if the device is closed
     */
    public <T> T call(Supplier<T> work) {
        return thread.call(work);
    }

    /** {@link #call} without a result. */
    public void run(Runnable work) {
        thread.call(() -> {
            work.run();
            return null;
        });
    }

    /** {@link #run}, for what closing the device does anyway: nothing happens when it is closed already. */
    public void runUnlessClosed(Runnable work) {
        thread.runUnlessStopped(work);
    }

    /** The queue that all work goes through, in order. */
    public Stream stream() {
        return context.stream();
    }

    /** A second queue, for uploads during the work of {@link #stream}. */
    public Stream copyStream() {
        return context.copyStream();
    }

    /** A stream of somebody else's in the card's primary context, by its handle; 0 is the default stream. */
    public Stream foreign(long handle) {
        return new Stream(context.calls(), handle);
    }

    /**
     * Looks whether a range that somebody else gave is this card's memory, by its first and its last byte.
     *
     * @param address 0 for a range that is not wanted
     * @param what what the message calls it
     * @throws DeviceException if it is not
     */
    public void requireMemory(long address, long bytes, String what) {
        if (address == 0) {
            return;
        }
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment found = arena.allocate(ValueLayout.JAVA_INT);
            for (long at : new long[] {address, address + bytes - 1}) {
                int code = context.calls().pointerAttribute(found, ORDINAL_OF_POINTER, at);
                if (code != CUresult.CUDA_SUCCESS || found.get(ValueLayout.JAVA_INT, 0) != ordinal) {
                    throw new DeviceException("The " + bytes + " bytes for " + what + " from address 0x"
                            + Long.toHexString(address) + " on are not memory of the GPU " + name()
                            + ": they are freed, too few, or elsewhere.");
                }
            }
        }
    }

    /**
     * Takes memory of the card; its contents are undefined.
     *
     * @param bytes at least 1
     * @param purpose what for, to follow "memory for" in a message
     * @throws OutOfDeviceMemoryException if the card has not enough
     */
    public DeviceMemory allocate(long bytes, String purpose) {
        Handles.Address pointer = new Handles.Address();
        checkRoom(JCudaDriver.cuMemAlloc(pointer, bytes), bytes, purpose, false);
        return ledger.opened(new DeviceMemory(this, pointer, bytes, purpose), purpose);
    }

    /**
     * Takes page-locked memory of the host; its contents are undefined.
     *
     * @param bytes at least 1
     * @throws OutOfDeviceMemoryException if the host has not enough
     */
    public PinnedMemory pinned(long bytes) {
        return pinned(bytes, "page-locked buffers", false);
    }

    PinnedMemory pinned(long bytes, String purpose, boolean own) {
        Handles.HostAddress pointer = new Handles.HostAddress();
        checkRoom(JCudaDriver.cuMemHostAlloc(pointer, bytes, 0), bytes, purpose, true);
        return ledger.opened(new PinnedMemory(this, pointer, bytes), purpose, own);
    }

    /** Bytes that may be asked for now: what is free, less a reserve for the driver and the libraries. */
    public long availableMemory() {
        long[] free = new long[1];
        long[] total = new long[1];
        Status.check(JCudaDriver.cuMemGetInfo(free, total), "asking how much memory is free");
        return Math.max(0, free[0] - reserve(total[0]));
    }

    /** 3 %, at least 256 MiB, but never more than an eighth of a small card. */
    static long reserve(long totalBytes) {
        return Math.min(totalBytes / 8, Math.max(256L << 20, totalBytes / 100 * 3));
    }

    /**
     * A kernel of ours; its file is loaded when it is first asked for.
     *
     * @throws DeviceException if there are no kernels in this build, or none of this name
     */
    public Kernel kernel(String name) {
        return kernels.kernel(name);
    }

    /** An event that can measure time. */
    public Event event() {
        return event(true);
    }

    Event event(boolean time) {
        Handles.EventHandle handle = new Handles.EventHandle();
        Status.check(JCudaDriver.cuEventCreate(handle, time ? 0 : EVENT_WITHOUT_TIME), "making an event");
        return ledger.opened(new Event(this, handle));
    }

    /**
     * Notes what {@code work} queues on {@link #stream} instead of running it. It must not look up
     * kernels, allocate, free, upload, download or wait.
     *
     * @throws DeviceException if the work cannot be noted
     */
    public Graph graph(Runnable work) {
        return ledger.opened(Graph.record(this, stream(), work));
    }

    /**
     * Copies host memory to the card, behind all that is queued on {@link #stream} so far. Returns when the source is no longer needed; what is
     * queued on {@link #stream} afterwards finds the copy complete.
     *
     * @param source any host memory that the device's thread may read: a mapped file, off-heap or on the heap
     */
    public void upload(MemorySegment source, DeviceMemory target, long targetOffset) {
        checkRange(target, targetOffset, source.byteSize());
        if (source.byteSize() <= OVERLAP_BYTES) {
            staging.upload(source, target.address() + targetOffset, stream());
            return;
        }
        stream().record(ordered);
        uploadAfter(ordered, source, target, targetOffset);
    }

    /**
     * Copies host memory to the card during the work that is queued on {@link #stream}. Returns when the source is no longer needed; what is
     * queued on {@link #stream} afterwards finds the copy complete.
     *
     * @param unused happens when the target's former contents are no longer needed, for instance recorded after the last kernel that reads
     *     them; null when nothing queued uses the target
     */
    public void uploadAfter(Event unused, MemorySegment source, DeviceMemory target, long targetOffset) {
        checkRange(target, targetOffset, source.byteSize());
        if (unused != null) {
            copyStream().await(unused);
        }
        staging.upload(source, target.address() + targetOffset, copyStream());
        copyStream().record(copied);
        stream().await(copied);
    }

    /** Copies to the host, behind all that is queued on {@link #stream} so far; returns when the target is filled. */
    public void download(DeviceMemory source, long sourceOffset, MemorySegment target) {
        checkRange(source, sourceOffset, target.byteSize());
        staging.download(source.address() + sourceOffset, target, stream());
    }

    /** Allocations on the card and in page-locked memory that are open, without the staging buffers that the device keeps. Any thread. */
    public long openAllocations() {
        return ledger.count();
    }

    /** Waits for queued work and frees everything, also what others left open; calling it again does nothing. Any thread. */
    @Override
    public void close() {
        thread.stop(this::finish);
    }

    DriverCalls calls() {
        return context.calls();
    }

    Staging staging() {
        return staging;
    }

    /** Waits for both queues. */
    void synchronize() {
        stream().synchronize();
        copyStream().synchronize();
    }

    /** Frees a resource of this device, unless closing the device did so already. */
    void release(AutoCloseable resource, Runnable free) {
        thread.runUnlessStopped(() -> {
            ledger.closed(resource);
            free.run();
        });
    }

    private void start() {
        properties = Cards.properties(ordinal);
        Cards.checkCapability(ordinal, properties);
        context = new DriverContext(libraries.driver(), ordinal);
        kernels = new KernelModules(context);
        ordered = event(false);
        copied = event(false);
    }

    private void finish() {
        if (context == null) {
            return;
        }
        try (Owned all = new Owned(this)) {
            all.add(context);
            all.add(kernels);
            ledger.all().forEach(all::add);
            all.add(staging);
            all.add(this::synchronize);
        }
    }

    private void checkRoom(int code, long bytes, String purpose, boolean pinned) {
        if (code == CUresult.CUDA_ERROR_OUT_OF_MEMORY) {
            String largest = ledger.largest(pinned);
            String held = largest.isEmpty() ? "" : "we hold " + largest;
            throw new OutOfDeviceMemoryException(
                    pinned
                            ? "The host has no " + Ledger.size(bytes) + " of page-locked memory for " + purpose
                                    + (held.isEmpty() ? "" : " (" + held + ")")
                                    + "; raise 'ulimit -l' or the container's memory limit."
                            : "There is no room on the GPU " + name() + " for " + purpose + ": " + Ledger.size(bytes)
                                    + " were asked for, " + Ledger.size(free()) + " are free"
                                    + (held.isEmpty() ? "" : " (" + held + ")")
                                    + "; end other programs on the card, or work on a smaller matrix or batch.",
                    bytes);
        }
        Status.check(code, "taking " + bytes + " bytes of memory for " + purpose);
    }

    private static long free() {
        long[] free = new long[1];
        return JCudaDriver.cuMemGetInfo(free, new long[1]) == CUresult.CUDA_SUCCESS ? free[0] : 0;
    }

    private static void checkRange(DeviceMemory memory, long offset, long bytes) {
        if (offset < 0 || bytes > memory.bytes() - offset) {
            throw new IndexOutOfBoundsException(
                    bytes + " bytes at " + offset + " do not lie in device memory of " + memory.bytes() + " bytes");
        }
    }
}
