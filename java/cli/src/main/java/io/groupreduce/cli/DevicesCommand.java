package io.groupreduce.cli;

import io.groupreduce.BackendSelection;
import io.groupreduce.api.DeviceStatus;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

/** Lists what can run here, and why the rest cannot. */
@Command(name = "devices", description = "Lists what can run here, and why the rest cannot.")
final class DevicesCommand implements Callable<Integer> {
    @Mixin
    CommonOptions common;

    @Override
    public Integer call() {
        List<DeviceStatus> devices = BackendSelection.devices();
        List<List<String>> rows = new ArrayList<>();
        rows.add(List.of("device", "available", "what it is, or why not"));
        for (DeviceStatus status : devices) {
            rows.add(List.of(status.device(), status.available() ? "yes" : "no", status.reason()));
        }
        Texts.leftTable(rows).forEach(common::print);
        common.printJson(devices);
        return 0;
    }
}
