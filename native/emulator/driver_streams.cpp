// Streams, events, graphs.
#include <thread>

#include "driver.h"
#include "order.h"

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

constexpr unsigned NON_BLOCKING = 1;  // CUstream_flags
constexpr unsigned WITHOUT_TIME = 2;  // CUevent_flags

struct Stream {
    int device;
    bool blocking;  // ordered against the default stream
    Job last;       // that was queued
    std::shared_ptr<Graph> capture;
    bool origin;     // where the capture began
    long long work;  // so much was submitted
    bool joined;     // another stream of the capture waits for all of it
};

struct Event {
    int device;
    bool timed;
    Job recorded;
    std::weak_ptr<Graph> capture;  // the event was recorded into
    const Stream* stream;          // in which
    long long after;               // that much work of it
};

std::set<Stream*> streams;
std::set<Event*> events;
std::set<std::shared_ptr<Graph>*> graphs;  // captured ones and instantiated ones
Job last_by_default[MAX_DEVICES];          // in the default stream of each device

// The null stream and the two that stand for it have numbers instead of addresses.
bool is_default(void* stream) { return reinterpret_cast<uintptr_t>(stream) <= 2; }

Stream* own_stream(void* handle) {
    Stream* stream = find(streams, handle);
    return stream != nullptr && stream->device == current_device() ? stream : nullptr;
}

// What the next work of a stream, null for the default one, has to wait for.
std::vector<Job> before_next(const Stream* stream) {
    std::vector<Job> jobs = {stream != nullptr ? stream->last : last_by_default[current_device()]};
    if (stream == nullptr) {
        for (const Stream* other : streams) {
            if (other->blocking && other->device == current_device()) {
                jobs.push_back(other->last);
            }
        }
    } else if (stream->blocking) {
        jobs.push_back(last_by_default[stream->device]);
    }
    return jobs;
}

Job append(Stream* stream, std::function<Result()> work, Range host, const Job& also = nullptr) {
    std::vector<Job> after = before_next(stream);
    after.push_back(also);
    Job& last = stream != nullptr ? stream->last : last_by_default[current_device()];
    return last = queue(std::move(work), std::move(after), host);
}

// SUCCESS when the handle is a stream of the current context that may be waited for.
Result waitable(void* handle) {
    if (is_default(handle)) {
        return capturing() ? CAPTURE_UNSUPPORTED : SUCCESS;
    }
    const Stream* stream = own_stream(handle);
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

template <class T>
void end_all(std::set<T*>& open, int device) {
    for (auto i = open.begin(); i != open.end();) {
        T* one = *i++;
        if (one->device == device) {
            open.erase(one);
            delete one;
        }
    }
}

}  // namespace

size_t open_streams() { return streams.size() + events.size() + graphs.size(); }

void end_streams(int device) {
    end_all(streams, device);
    end_all(events, device);
    last_by_default[device] = nullptr;
}

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

Result submit(void* handle, std::function<Result()> work, Range host) {
    Stream* stream = own_stream(handle);
    if (stream == nullptr && !is_default(handle)) {
        return refuse(INVALID_HANDLE, "%p is not a stream of the current context", handle);
    }
    if (stream == nullptr && capturing()) {
        return CAPTURE_UNSUPPORTED;
    }
    if (stream != nullptr) {
        stream->work++;
        stream->joined = false;
        if (stream->capture) {
            stream->capture->work.push_back(work);
            return SUCCESS;
        }
    }
    if (const Result fault = planted_fault()) {
        work = [fault] { return fault; };
    }
    append(stream, std::move(work), host);
    return SUCCESS;
}

Result finish(void* handle) {
    const Result result = waitable(handle);
    return result != SUCCESS ? result : wait_for(before_next(find(streams, handle)));
}

}  // namespace gr::driver

using namespace gr::driver;

GR_EXPORT int cuStreamCreate(void** handle, unsigned flags) {
    GR_CALL_IN_CONTEXT
    const bool blocking = (flags & NON_BLOCKING) == 0;
    *handle = *streams.insert(new Stream{current_device(), blocking, nullptr, nullptr, false, 0, false}).first;
    return SUCCESS;
}

// What is queued in it runs all the same.
GR_EXPORT int cuStreamDestroy_v2(void* handle) {
    GR_CALL_IN_CONTEXT
    Stream* stream = find(streams, handle);
    if (stream == nullptr) {
        return refuse(INVALID_HANDLE, "%p is destroyed and is not a stream", handle);
    }
    streams.erase(stream);
    delete stream;
    return SUCCESS;
}

GR_EXPORT int cuStreamSynchronize(void* stream) {
    GR_CALL_IN_CONTEXT
    return finish(stream);
}

GR_EXPORT int cuStreamQuery(void* handle) {
    GR_CALL_IN_CONTEXT
    const Result result = waitable(handle);
    return result != SUCCESS ? result : look_at(before_next(find(streams, handle)));
}

GR_EXPORT int cuCtxSynchronize() {
    GR_CALL_IN_CONTEXT
    return capturing() ? CAPTURE_UNSUPPORTED : wait_for_all();
}

GR_EXPORT int cuStreamWaitEvent(void* handle, void* event_handle, unsigned) {
    GR_CALL_IN_CONTEXT
    Stream* stream = own_stream(handle);
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
    } else if (event->recorded) {
        append(stream, nullptr, {}, event->recorded);
    }
    return SUCCESS;
}

GR_EXPORT int cuStreamBeginCapture_v2(void* handle, int mode) {
    GR_CALL_IN_CONTEXT
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
    GR_CALL_IN_CONTEXT
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
    GR_CALL_IN_CONTEXT
    const auto graph = static_cast<std::shared_ptr<Graph>*>(handle);
    if (graphs.count(graph) == 0) {
        return INVALID_VALUE;
    }
    *instance = *graphs.insert(new std::shared_ptr<Graph>(*graph)).first;
    return SUCCESS;
}

GR_EXPORT int cuGraphLaunch(void* handle, void* stream) {
    GR_CALL_IN_CONTEXT
    const auto instance = static_cast<std::shared_ptr<Graph>*>(handle);
    if (graphs.count(instance) == 0) {
        return INVALID_VALUE;
    }
    const std::shared_ptr<Graph> graph = *instance;
    return submit(
        stream,
        [graph] {
            for (const auto& work : graph->work) {
                const Result result = work();
                if (result != SUCCESS) {
                    return result;
                }
            }
            return SUCCESS;
        },
        {});
}

GR_EXPORT int cuGraphDestroy(void* graph) { return drop_graph(graph); }

GR_EXPORT int cuGraphExecDestroy(void* instance) { return drop_graph(instance); }

GR_EXPORT int cuEventCreate(void** handle, unsigned flags) {
    GR_CALL_IN_CONTEXT
    const bool timed = (flags & WITHOUT_TIME) == 0;
    *handle = *events.insert(new Event{current_device(), timed, nullptr, {}, nullptr, 0}).first;
    return SUCCESS;
}

GR_EXPORT int cuEventDestroy_v2(void* handle) {
    GR_CALL_IN_CONTEXT
    Event* event = find(events, handle);
    if (event == nullptr) {
        return refuse(INVALID_HANDLE, "%p is destroyed and is not an event", handle);
    }
    events.erase(event);
    delete event;
    return SUCCESS;
}

GR_EXPORT int cuEventRecord(void* handle, void* stream_handle) {
    GR_CALL_IN_CONTEXT
    Event* event = find(events, handle);
    Stream* stream = own_stream(stream_handle);
    if (event == nullptr || (stream == nullptr && !is_default(stream_handle))) {
        return refuse(INVALID_HANDLE, "%p is recorded in %p, and one of them is no event or stream", handle,
                      stream_handle);
    }
    event->capture.reset();
    if (stream != nullptr && stream->capture) {
        event->capture = stream->capture;
        event->stream = stream;
        event->after = ++stream->work;
        stream->joined = false;
    } else {
        event->recorded = append(stream, nullptr, {});
    }
    return SUCCESS;
}

GR_EXPORT int cuEventSynchronize(void* handle) {
    GR_CALL_IN_CONTEXT
    const Event* event = find(events, handle);
    if (event == nullptr) {
        return INVALID_HANDLE;
    }
    return event->capture.lock() ? CAPTURE_UNSUPPORTED : wait_for({event->recorded});
}

GR_EXPORT int cuEventQuery(void* handle) {
    GR_CALL_IN_CONTEXT
    const Event* event = find(events, handle);
    if (event == nullptr) {
        return INVALID_HANDLE;
    }
    return event->capture.lock() ? CAPTURE_UNSUPPORTED : look_at({event->recorded});
}

GR_EXPORT int cuEventElapsedTime(float* milliseconds, void* from, void* to) {
    GR_CALL_IN_CONTEXT
    const Event* first = find(events, from);
    const Event* last = find(events, to);
    if (first == nullptr || last == nullptr || !first->timed || !last->timed || !first->recorded || !last->recorded) {
        return INVALID_HANDLE;
    }
    const Result result = look_at({first->recorded, last->recorded});
    if (result == SUCCESS) {
        *milliseconds = static_cast<float>(last->recorded->milliseconds - first->recorded->milliseconds);
    }
    return result;
}
