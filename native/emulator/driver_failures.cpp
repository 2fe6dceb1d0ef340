// Failures that tests plant: calls that are refused, a device that is lost, memory that others take.
#include <map>
#include <string>

#include "driver.h"

namespace gr::driver {

namespace {

struct Planted {
    int calls;  // until it happens
    Result result;
};

std::map<std::string, Planted> refusals;
Planted loss{0, SUCCESS};
Result lost_with = SUCCESS;
size_t wanted_by_others = 0;
size_t held_by_others = 0;

}  // namespace

Result planted(const char* function) {
    const auto refusal = refusals.find(function);
    if (refusal == refusals.end() || --refusal->second.calls > 0) {
        return SUCCESS;
    }
    const Result result = refusal->second.result;
    refusals.erase(refusal);
    return result;
}

Result planted_fault() {
    if (loss.calls == 0 || --loss.calls > 0) {
        return SUCCESS;
    }
    return loss.result;
}

void plant_fault(int nth, Result result) { loss = {nth, result}; }

void lose(Result result) { lost_with = result; }

Result lost() { return lost_with; }

size_t held_elsewhere() { return held_by_others; }

void let_others_take() {
    held_by_others += wanted_by_others;
    wanted_by_others = 0;
}

}  // namespace gr::driver

using namespace gr::driver;

GR_EXPORT void gr_emulated_refuse(const char* function, int nth, int result) {
    const Lock held(lock);
    if (nth > 0) {
        refusals[function] = {nth, static_cast<Result>(result)};
    } else {
        refusals.erase(function);
    }
}

GR_EXPORT void gr_emulated_take(size_t bytes) {
    const Lock held(lock);
    wanted_by_others = bytes;
    if (bytes == 0) {
        held_by_others = 0;
    }
}
