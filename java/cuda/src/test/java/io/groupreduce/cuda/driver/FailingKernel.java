package io.groupreduce.cuda.driver;

import java.lang.reflect.Field;
import java.util.LinkedHashMap;
import java.util.Map;

/** Makes the search for one kernel of a device fail, to see what a constructor leaves behind that fails there. */
public final class FailingKernel {
    private FailingKernel() {}

    /** Runs the work while {@code planted}, a RuntimeException or an Error, is thrown wherever this kernel is asked for. */
    public static void during(Device device, String name, Throwable planted, Runnable work) {
        try {
            Object modules = field(Device.class, "kernels").get(device);
            Field kernels = field(KernelModules.class, "kernels");
            Map<?, ?> known = (Map<?, ?>) kernels.get(modules);
            kernels.set(modules, new Failing(name, planted, known));
            try {
                work.run();
            } finally {
                kernels.set(modules, known);
            }
        } catch (ReflectiveOperationException e) {
            throw new AssertionError(e);
        }
    }

    private static Field field(Class<?> owner, String name) throws NoSuchFieldException {
        Field field = owner.getDeclaredField(name);
        field.setAccessible(true);
        return field;
    }

    /** Known kernels, all but one. */
    private static final class Failing extends LinkedHashMap<Object, Object> {
        private static final long serialVersionUID = 1;
        private final String name;
        private final transient Throwable planted;

        Failing(String name, Throwable planted, Map<?, ?> known) {
            super(known);
            this.name = name;
            this.planted = planted;
        }

        @Override
        public Object get(Object key) {
            if (name.equals(key)) {
                if (planted instanceof Error error) {
                    throw error;
                }
                throw (RuntimeException) planted;
            }
            return super.get(key);
        }
    }
}
