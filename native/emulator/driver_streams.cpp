// Streams, events, graphs.
#include <time.h>

#include <memory>
#include <thread>
#include <vector>

#include "driver.h"

namespace gr::driver {

namespace {

// What a capture records, in the order of the calls, which every order of the streams allows.
struct Graph {
    std::vector<std::function<Result()>> work;
    std::thread::id thread;  // that began the capture
    int mode;
};

// CUstreamCaptureMode: whom a capture keeps from calls that may wait. All threads, its own, or nobody.
constexpr int GLOBAL = 0;
constexpr int THREAD_LOCAL = 1;

struct Stream {
    int device;
    std::shared_ptr<Graph> capture;
    bool origin;     // where the capture began
    long long work;  // so much was submitted
    bool joined;     // another stream of the capture waits for all of it
};

struct Event {
    int device;
    bool recorded;
    double milliseconds;
    std::weak_ptr<Graph> capture;  // the event was recorded into
    const Stream* stream;          // in which
    long long after;               // that much work of it
};

std::set<Stream*> streams;
std::set<Event*> events;
std::set<std::shared_ptr<Graph>*> graphs;  // captured ones and instantiated ones

// The null stream and the two that stand for it have numbers instead of addresses.
bool is_default(void* stream) { return reinterpret_cast<uintptr_t>(stream) <= 2; }

double now() {
    timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_nsec) * 1e-6;
}

// SUCCESS when the handle is a stream of the current context that may be waited for.
Result waitable(void* handle) {
    if (current_device() < 0) {
        return no_context();
    }
    if (is_default(handle)) {
        return capturing() ? CAPTURE_UNSUPPORTED : SUCCESS;
    }
    const Stream* stream = find(streams, handle);
    return stream == nullptr ? INVALID_HANDLE : stream->capture ? CAPTURE_UNSUPPORTED : SUCCESS;
}

int drop_graph(void* handle) {
    const Lock held(lock);
    const auto graph = static_cast<std::shared_ptr<Graph>*>(handle);
    if (graphs.erase(graph) == 0) {
        return INVALID_VALUE;
    }
    delete graph;
    return SUCCESS;
}

}  // namespace

size_t open_streams() { return streams.size() + events.size() + graphs.size(); }

bool capturing() {
    for (const Stream* stream : streams) {
        const Graph* capture = stream->capture.get();
        const bool own = capture != nullptr && capture->thread == std::this_thread::get_id();
        if (capture != nullptr && (capture->mode == GLOBAL || (capture->mode == THREAD_LOCAL && own))) {
            return true;
        }
    }
    return false;
}

Result submit(void* handle, const std::function<Result()>& work) {
    if (is_default(handle)) {
        return capturing() ? CAPTURE_UNSUPPORTED : work();
    }
    Stream* stream = find(streams, handle);
    if (stream == nullptr || stream->device != current_device()) {
        return refuse(INVALID_HANDLE, "%p is not a stream of the current context", handle);
    }
    stream->work++;
    stream->joined = false;
    if (stream->capture) {
        stream->capture->work.push_back(work);
        return SUCCESS;
    }
    return work();
}

}  // namespace gr::driver

using namespace gr::driver;

GR_EXPORT int cuStreamCreate(void** handle, unsigned) {
    const Lock held(lock);
    const int device = current_device();
    if (device < 0) {
        return no_context();
    }
    *handle = *streams.insert(new Stream{device, nullptr, false, 0, false}).first;
    return SUCCESS;
}

GR_EXPORT int cuStreamDestroy_v2(void* handle) {
    const Lock held(lock);
    Stream* stream = find(streams, handle);
    if (stream == nullptr) {
        return refuse(INVALID_HANDLE, "%p is destroyed and is not a stream", handle);
    }
    streams.erase(stream);
    delete stream;
    return SUCCESS;
}

GR_EXPORT int cuStreamSynchronize(void* stream) {
    const Lock held(lock);
    return waitable(stream);
}

GR_EXPORT int cuStreamWaitEvent(void* handle, void* event_handle, unsigned) {
    const Lock held(lock);
    Stream* stream = find(streams, handle);
    const Event* event = find(events, event_handle);
    if (event == nullptr || (stream == nullptr && !is_default(handle))) {
        return refuse(INVALID_HANDLE, "%p waits for %p, and one of them is no stream or event", handle, event_handle);
    }
    const std::shared_ptr<Graph> capture = event->capture.lock();
    if (capture && stream != nullptr && !stream->capture) {
        stream->capture = capture;
        stream->origin = false;
        stream->joined = true;
    } else if (capture && stream != nullptr) {
        for (Stream* other : streams) {
            other->joined |= other == event->stream && other->work == event->after;
        }
    }
    return SUCCESS;
}

GR_EXPORT int cuStreamBeginCapture_v2(void* handle, int mode) {
    const Lock held(lock);
    Stream* stream = find(streams, handle);
    if (stream == nullptr) {
        return is_default(handle) ? CAPTURE_UNSUPPORTED : INVALID_HANDLE;
    }
    if (stream->capture) {
        return ILLEGAL_STATE;
    }
    stream->capture = std::make_shared<Graph>();
    stream->capture->thread = std::this_thread::get_id();
    stream->capture->mode = mode;
    stream->origin = true;
    return SUCCESS;
}

GR_EXPORT int cuStreamEndCapture(void* handle, void** graph) {
    const Lock held(lock);
    Stream* stream = find(streams, handle);
    if (stream == nullptr || !stream->capture || !stream->origin) {
        return ILLEGAL_STATE;
    }
    const std::shared_ptr<Graph> capture = stream->capture;
    bool joined = true;
    for (Stream* other : streams) {
        if (other->capture == capture) {
            other->capture = nullptr;
            joined &= other->origin || other->joined;
        }
    }
    *graph = nullptr;
    if (!joined) {
        return refuse(CAPTURE_UNJOINED, "a stream of the capture does work that %p does not wait for", handle);
    }
    *graph = *graphs.insert(new std::shared_ptr<Graph>(capture)).first;
    return SUCCESS;
}

GR_EXPORT int cuGraphInstantiateWithFlags(void** instance, void* handle, unsigned long long) {
    const Lock held(lock);
    const auto graph = static_cast<std::shared_ptr<Graph>*>(handle);
    if (graphs.count(graph) == 0) {
        return INVALID_VALUE;
    }
    *instance = *graphs.insert(new std::shared_ptr<Graph>(*graph)).first;
    return SUCCESS;
}

GR_EXPORT int cuGraphLaunch(void* handle, void* stream) {
    const Lock held(lock);
    const auto instance = static_cast<std::shared_ptr<Graph>*>(handle);
    if (graphs.count(instance) == 0) {
        return INVALID_VALUE;
    }
    const std::shared_ptr<Graph> graph = *instance;
    return submit(stream, [graph] {
        for (const auto& work : graph->work) {
            const Result result = work();
            if (result != SUCCESS) {
                return result;
            }
        }
        return SUCCESS;
    });
}

GR_EXPORT int cuGraphDestroy(void* graph) { return drop_graph(graph); }

GR_EXPORT int cuGraphExecDestroy(void* instance) { return drop_graph(instance); }

GR_EXPORT int cuEventCreate(void** handle, unsigned) {
    const Lock held(lock);
    const int device = current_device();
    if (device < 0) {
        return no_context();
    }
    *handle = *events.insert(new Event{device, false, 0, {}, nullptr, 0}).first;
    return SUCCESS;
}

GR_EXPORT int cuEventDestroy_v2(void* handle) {
    const Lock held(lock);
    Event* event = find(events, handle);
    if (event == nullptr) {
        return refuse(INVALID_HANDLE, "%p is destroyed and is not an event", handle);
    }
    events.erase(event);
    delete event;
    return SUCCESS;
}

GR_EXPORT int cuEventRecord(void* handle, void* stream_handle) {
    const Lock held(lock);
    Event* event = find(events, handle);
    const Stream* stream = find(streams, stream_handle);
    if (event == nullptr || (stream == nullptr && !is_default(stream_handle))) {
        return refuse(INVALID_HANDLE, "%p is recorded in %p, and one of them is no event or stream", handle,
                      stream_handle);
    }
    event->capture.reset();
    if (stream != nullptr && stream->capture) {
        event->capture = stream->capture;
        event->stream = stream;
        event->after = stream->work + 1;  // with the recording
    }
    return submit(stream_handle, [handle] {
        Event* recorded = find(events, handle);
        if (recorded == nullptr) {
            return refuse(INVALID_HANDLE, "a graph records the event %p, which is gone", handle);
        }
        recorded->recorded = true;
        recorded->milliseconds = now();
        return SUCCESS;
    });
}

GR_EXPORT int cuEventSynchronize(void* handle) {
    const Lock held(lock);
    const Event* event = find(events, handle);
    return event == nullptr ? INVALID_HANDLE : event->capture.lock() ? CAPTURE_UNSUPPORTED : SUCCESS;
}

GR_EXPORT int cuEventElapsedTime(float* milliseconds, void* from, void* to) {
    const Lock held(lock);
    const Event* first = find(events, from);
    const Event* last = find(events, to);
    if (first == nullptr || last == nullptr || !first->recorded || !last->recorded) {
        return INVALID_HANDLE;
    }
    *milliseconds = static_cast<float>(last->milliseconds - first->milliseconds);
    return SUCCESS;
}
