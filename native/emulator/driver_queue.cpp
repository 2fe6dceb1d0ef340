// Queued work: when it runs, and in which order.
#include <time.h>

#include <algorithm>

#include "driver.h"
#include "order.h"

namespace gr::driver {

namespace {

// So much may wait; more and the driver lets the card go on first.
constexpr size_t MOST_PENDING = 1024;

std::vector<Job> pending;  // in the order of the calls

// Whether the card is a fast one just now, that is done before the caller goes on, or one that has to be waited for.
bool fast = false;

double now() {
    timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_nsec) * 1e-6;
}

bool ready(const Job& job) {
    return std::all_of(job->after.begin(), job->after.end(), [](const Job& before) { return before->done; });
}

void end(const Job& job) {
    job->done = true;
    job->milliseconds = now();
    job->after.clear();
    job->work = nullptr;
}

// Runs one that is ready, of those that are wanted; there is one, because no job waits for a later one.
void run_one(const std::function<bool(const Job&)>& wanted) {
    std::vector<Job> candidates;
    std::copy_if(pending.begin(), pending.end(), std::back_inserter(candidates),
                 [&](const Job& job) { return wanted(job) && ready(job); });
    const Job job = candidates[emulator::roll(candidates.size())];
    const Result result = job->work ? job->work() : SUCCESS;
    if (result != SUCCESS) {
        lose(result);
        forget_jobs();
        return;
    }
    end(job);
    pending.erase(std::find(pending.begin(), pending.end(), job));
}

// What has to run before a job, and the job.
void mark(const Job& job) {
    if (!job->done && !job->marked) {
        job->marked = true;
        std::for_each(job->after.begin(), job->after.end(), mark);
    }
}

}  // namespace

Job queue(std::function<Result()> work, std::vector<Job> after, Range host) {
    const auto over = [](const Job& before) { return !before || before->done; };
    after.erase(std::remove_if(after.begin(), after.end(), over), after.end());
    const Job job = std::make_shared<Work>(Work{std::move(work), std::move(after), host, false, false, 0});
    pending.push_back(job);
    while (fast ? !pending.empty() : pending.size() > MOST_PENDING) {
        run_one([](const Job&) { return true; });
    }
    return job;
}

Result wait_for(const std::vector<Job>& jobs) {
    // Either nothing happens that need not, or whatever may.
    const bool least = emulator::roll(2) == 0;
    for (const Job& job : jobs) {
        if (job) {
            mark(job);
        }
    }
    const auto open = [](const Job& job) { return job && !job->done; };
    while (std::any_of(jobs.begin(), jobs.end(), open)) {
        run_one([least](const Job& job) { return !least || job->marked; });
    }
    for (const Job& job : pending) {
        job->marked = false;
    }
    fast = emulator::roll(4) == 0;
    return lost();
}

Result wait_for_all() { return wait_for(std::vector<Job>(pending)); }

Result look_at(const std::vector<Job>& jobs) {
    for (uint64_t left = emulator::roll(4); left > 0 && !pending.empty(); left--) {
        run_one([](const Job&) { return true; });
    }
    const auto through = [](const Job& job) { return !job || job->done; };
    return lost() != SUCCESS ? lost() : std::all_of(jobs.begin(), jobs.end(), through) ? SUCCESS : NOT_READY;
}

void forget_jobs() {
    std::for_each(pending.begin(), pending.end(), end);
    pending.clear();
}

bool is_needed(Range memory) {
    return std::any_of(pending.begin(), pending.end(), [memory](const Job& job) {
        return job->host.bytes != 0 && job->host.start < memory.start + memory.bytes &&
               memory.start < job->host.start + job->host.bytes;
    });
}

}  // namespace gr::driver

using namespace gr::driver;

GR_EXPORT void gr_emulated_seed(unsigned long long seed) {
    const Lock held(lock);
    gr::emulator::set_seed(seed);
    fast = false;
}

GR_EXPORT void gr_emulated_lose(int nth, int result) {
    const Lock held(lock);
    wait_for_all();  // a fault that is queued still happens
    lose(SUCCESS);
    plant_fault(nth, static_cast<Result>(result));
}
