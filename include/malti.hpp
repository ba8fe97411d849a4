/*
 * libmalti for C++17: the functions of malti.h with the types that C++ has for them. Header only;
 * link what malti.h links.
 *
 *     malti::session telemetry;                                  // in main: settings from MALTI_*
 *     ...
 *     malti::request request(method, "/users/{user_id}");        // where a request is handled
 *     request.consumer(user.name());
 *     request.status(response.status());                         // recorded at the end of the scope
 *
 * Making settings and starting the client may throw; whatever runs within a request is noexcept, and
 * what goes wrong there is counted and logged by the library. Text is UTF-8 and is copied. A status
 * without words of its own here means what malti.h says at the function of the same name.
 */

#ifndef MALTI_HPP
#define MALTI_HPP

#include <malti.h>

#ifndef __cpp_exceptions
#error "malti.hpp needs exceptions; a program without them has malti.h"
#endif

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace malti {

/** What became of a call. Expect values that are not named here: later versions add some. */
enum class status : std::int32_t {
    ok = MALTI_OK,
    ignored = MALTI_IGNORED,
    disabled = MALTI_DISABLED,
    already_running = MALTI_ALREADY_RUNNING,
    not_running = MALTI_NOT_RUNNING,
    invalid_argument = MALTI_ERR_INVALID_ARGUMENT,
    unknown_key = MALTI_ERR_UNKNOWN_KEY,
    invalid_value = MALTI_ERR_INVALID_VALUE,
    not_initialized = MALTI_ERR_NOT_INITIALIZED,
    already_initialized = MALTI_ERR_ALREADY_INITIALIZED,
    timed_out = MALTI_ERR_TIMED_OUT,
    rejected = MALTI_ERR_REJECTED,
    no_memory = MALTI_ERR_NO_MEMORY,
    no_thread = MALTI_ERR_NO_THREAD,
    would_deadlock = MALTI_ERR_WOULD_DEADLOCK,
    panic = MALTI_ERR_PANIC
};

/** Whether it is an error. The others say that it was done, or that there was nothing to do. */
constexpr bool failed(status what) noexcept
{
    return static_cast<std::int32_t>(what) < 0;
}

/** What it means, in a few words: static text, never null. */
inline const char *describe(status what) noexcept
{
    return malti_status_str(static_cast<std::int32_t>(what));
}

/** Settings that can't be used, or a client that can't be started. what() names key, value and what
 *  is accepted. */
class error : public std::runtime_error {
public:
    error(status code, const std::string &text) : std::runtime_error(text), code_(code) {}

    status code() const noexcept { return code_; }

private:
    status code_;
};

enum class log_level : std::int32_t { error = 1, warn = 2, info = 3, debug = 4 };

/** Takes a line of the log, which has no line end and is valid during the call. Runs on the
 *  library's thread or inside flush and the beginning and end of a session, on several threads at
 *  once where several have something to say. Inside it only record, request and stats are allowed.
 *  What it throws is swallowed. */
using log_function = std::function<void(log_level, std::string_view)>;

namespace detail {

/** For malti_flush and malti_shutdown: 0 if there is no time left, at most what fits. */
inline std::uint32_t timeout(std::chrono::milliseconds time) noexcept
{
    constexpr std::chrono::milliseconds longest = std::chrono::hours(1); /* more counts as that */
    if (time < std::chrono::milliseconds::zero())
        return 0;
    return static_cast<std::uint32_t>((time < longest ? time : longest).count());
}

/** What a setting in seconds holds, such as "5" or "0.25". Not strtod: that goes by the locale. */
inline std::chrono::milliseconds seconds(const char *text) noexcept
{
    const auto digit = [](char c) noexcept { return c >= '0' && c <= '9'; };
    std::int64_t milliseconds = 0;
    for (; digit(*text); ++text)
        milliseconds = milliseconds * 10 + (*text - '0') * 1000;
    if (*text == '.')
        for (std::int64_t unit = 100; digit(*++text); unit /= 10)
            milliseconds += (*text - '0') * unit;
    return std::chrono::milliseconds(milliseconds);
}

/** The text that `call(buffer, size)` writes as snprintf does; empty after an error. */
template <typename Call> std::string text(Call call)
{
    char first[256];
    std::int32_t length = call(first, sizeof first);
    if (length < 0)
        return {};
    if (static_cast<std::size_t>(length) < sizeof first)
        return std::string(first, static_cast<std::size_t>(length));
    std::string out;
    do {
        out.resize(static_cast<std::size_t>(length));
        length = call(out.data(), out.size() + 1); /* the end of a string is there to be written */
    } while (length > 0 && static_cast<std::size_t>(length) > out.size());
    out.resize(length > 0 ? static_cast<std::size_t>(length) : 0);
    return out;
}

/** Text for whoever can't be told that there was no memory for it: then it is empty. */
inline void assign(std::string &to, std::string_view from) noexcept
{
    try {
        to.assign(from.data(), from.size());
    } catch (...) {
        to.clear();
    }
}

inline void pass_on(std::int32_t level, const char *line, void *function) noexcept
{
    try {
        (*static_cast<const log_function *>(function))(static_cast<log_level>(level), line);
    } catch (...) { /* the caller is not C++, and has no use for it */
    }
}

} /* namespace detail */

/** Settings: the defaults, then the environment (MALTI_BATCH_SIZE for batch_size, and so on), which
 *  is read when this is made and never again; then what is set here. Used by one thread at a time. */
class config {
public:
    /** Throws error. */
    config() : config_(malti_config_new())
    {
        if (!config_)
            throw error(status::panic, describe(status::panic));
    }

    /** Sets one key to a value in text form: ("batch_size", "500"). Throws error; then nothing has
     *  changed. */
    config &set(const std::string &key, const std::string &value)
    {
        char why[1024] = "";
        const auto code = static_cast<status>(
            malti_config_set(config_.get(), key.c_str(), value.c_str(), why, sizeof why));
        if (failed(code))
            throw error(code, *why ? why : describe(code));
        return *this;
    }

    /** What a key is set to, as text; the api_key comes back masked. Throws error. */
    std::string get(const std::string &key) const
    {
        std::int32_t code = MALTI_OK;
        std::string value = detail::text([&](char *out, std::size_t size) noexcept {
            return code = malti_config_get(config_.get(), key.c_str(), out, size);
        });
        if (code < 0)
            throw error(static_cast<status>(code), "no such key: " + key);
        return value;
    }

    /** Sends log lines to a function instead of standard error. The function is kept until the
     *  process ends, since lines may come until then: set it once, and let it hold nothing that may go. */
    config &log(log_function function)
    {
        /* Never freed, but linked to each other, so that no checker takes them for leaks. */
        struct kept {
            log_function function;
            const kept *earlier;
        };
        static std::atomic<const kept *> last{nullptr};
        const bool any = static_cast<bool>(function);
        auto *const added = new kept{std::move(function), nullptr};
        added->earlier = last.exchange(added);
        malti_config_set_log(config_.get(), any ? detail::pass_on : nullptr, &added->function);
        return *this;
    }

    const malti_config *native() const noexcept { return config_.get(); }

private:
    struct deleter {
        void operator()(malti_config *config) const noexcept { malti_config_free(config); }
    };
    std::unique_ptr<malti_config, deleter> config_;
};

/** One owner of the process-wide client, from its making to its end. In a process there may be several
 *  with the same settings; the last one's end stops the client. */
class session {
public:
    /** Starts the client with the environment's settings. Does no I/O. Throws error. */
    session() : session(nullptr) {}

    /** Starts the client with a copy of these settings. Does no I/O. Throws error. */
    explicit session(const config &settings) : session(settings.native()) {}

    session(session &&other) noexcept
        : owner_(std::exchange(other.owner_, false)), timeout_(other.timeout_)
    {
    }

    session &operator=(session &&other) noexcept
    {
        if (this != &other) {
            shutdown();
            owner_ = std::exchange(other.owner_, false);
            timeout_ = other.timeout_;
        }
        return *this;
    }

    session(const session &) = delete;
    session &operator=(const session &) = delete;

    /** As shutdown(). */
    ~session() { shutdown(); }

    /** False: switched off, without an API key, shut down or moved from. Recording does nothing then,
     *  unless there are other owners. */
    bool enabled() const noexcept { return owner_; }

    /** Delivers what it can within the setting shutdown_timeout, 5 s by default, and gives the
     *  ownership back. Not in a signal handler. */
    malti::status shutdown() noexcept { return shutdown(timeout_); }

    /** The same within this time, which counts in milliseconds, at most an hour; 0 does not wait. */
    malti::status shutdown(std::chrono::milliseconds time) noexcept
    {
        if (!std::exchange(owner_, false))
            return status::not_running;
        return static_cast<status>(malti_shutdown(detail::timeout(time)));
    }

private:
    explicit session(const malti_config *settings)
    {
        char text[1024] = "";
        const auto code = static_cast<status>(malti_init(settings, text, sizeof text));
        if (failed(code))
            throw error(code, *text ? text : describe(code));
        owner_ = code != status::disabled;
        if (owner_ && malti_config_get(nullptr, "shutdown_timeout", text, sizeof text) > 0)
            timeout_ = detail::seconds(text);
    }

    bool owner_ = false;
    std::chrono::milliseconds timeout_{5000};
};

/** Waits until everything recorded before the call is delivered or counted, at most this long (at most
 *  an hour; 0 does not wait). Any thread. */
inline status flush(std::chrono::milliseconds time) noexcept
{
    return static_cast<status>(malti_flush(detail::timeout(time)));
}

/** Records one request, in tens of nanoseconds and without allocating; the text need not be
 *  NUL-terminated. `code` is the HTTP status, 100 to 999. `response_time` is from the arrival of the
 *  request to the end of the response's body. An empty endpoint is "/", an empty consumer "anonymous",
 *  an empty context none. `created_at` is when the response ended; the epoch itself: now. Any thread. */
inline status record(std::string_view method, std::string_view endpoint, int code,
                     std::chrono::microseconds response_time, std::string_view consumer = {},
                     std::string_view context = {},
                     std::chrono::system_clock::time_point created_at = {}) noexcept
{
    using std::chrono::microseconds;
    const auto since = std::chrono::duration_cast<microseconds>(created_at.time_since_epoch());
    const auto took = response_time < microseconds::zero() ? microseconds::zero() : response_time;
    return static_cast<status>(malti_record_n(
        method.data(), method.size(), endpoint.data(), endpoint.size(), code,
        static_cast<std::uint64_t>(took.count()), consumer.data(), consumer.size(), context.data(),
        context.size(), since.count()));
}

/** One request from its arrival to the end of its response: recorded when this goes, with the time
 *  that passed. An exception that leaves its scope makes the status 500. Used by one thread at a
 *  time, not always the same one. */
class request {
public:
    using clock = std::chrono::steady_clock;

    /** `endpoint` is the route's pattern, such as "/users/{user_id}" (see normalize_route), else the
     *  path without a query. `arrived`: where a server knows it better than by now. */
    explicit request(std::string_view method, std::string_view endpoint = {},
                     clock::time_point arrived = clock::now()) noexcept
        : arrived_(arrived), exceptions_(std::uncaught_exceptions())
    {
        detail::assign(method_, method);
        detail::assign(endpoint_, endpoint);
    }

    request(request &&other) noexcept
        : method_(std::move(other.method_)), endpoint_(std::move(other.endpoint_)),
          consumer_(std::move(other.consumer_)), context_(std::move(other.context_)),
          arrived_(other.arrived_), exceptions_(other.exceptions_), status_(other.status_),
          open_(std::exchange(other.open_, false))
    {
    }

    request(const request &) = delete;
    request &operator=(const request &) = delete;
    request &operator=(request &&) = delete;

    ~request() { finish(); }

    /** The HTTP status, 100 to 999; 200 unless it is set. */
    request &status(int code) noexcept
    {
        status_ = code;
        return *this;
    }

    /** The route's pattern, where it becomes known only later. */
    request &endpoint(std::string_view pattern) noexcept
    {
        detail::assign(endpoint_, pattern);
        return *this;
    }

    /** Who called (see resolve_consumer); "anonymous" unless it is set. */
    request &consumer(std::string_view who) noexcept
    {
        detail::assign(consumer_, who);
        return *this;
    }

    /** Free text; none unless it is set. */
    request &context(std::string_view text) noexcept
    {
        detail::assign(context_, text);
        return *this;
    }

    /** Records it now. Where that is done already, or it was dismissed or moved from: ignored. */
    malti::status finish() noexcept
    {
        if (!std::exchange(open_, false))
            return malti::status::ignored;
        const bool left_by_exception = std::uncaught_exceptions() > exceptions_;
        const auto took = std::chrono::duration_cast<std::chrono::microseconds>(clock::now() - arrived_);
        return record(method_, endpoint_, left_by_exception ? 500 : status_, took, consumer_, context_);
    }

    /** Leaves it out: it is not recorded. */
    void dismiss() noexcept { open_ = false; }

private:
    std::string method_, endpoint_, consumer_, context_;
    clock::time_point arrived_;
    int exceptions_;
    int status_ = 200;
    bool open_ = true;
};

/** A request's headers, in order of arrival, as the rules for consumer and context want them. */
class headers {
public:
    void add(std::string_view name, std::string_view value) noexcept
    {
        const std::size_t before = text_.size();
        try {
            for (const std::string_view part : {name, value})
                text_.append(part.substr(0, part.find('\0'))).push_back('\0');
        } catch (...) {
            text_.resize(before);
        }
    }

    std::string_view text() const noexcept { return text_; }

private:
    std::string text_;
};

/** Who called, by the running client's rules. `query` is the raw query string without '?', `peer` the
 *  peer's address, `state` what the application itself says. Empty where no client runs. Any thread. */
inline std::string resolve_consumer(const headers &all, std::string_view query, std::string_view peer,
                                    std::string_view state = {}) noexcept
{
    try {
        return detail::text([&](char *out, std::size_t size) noexcept {
            return malti_resolve_consumer(nullptr, state.data(), state.size(), all.text().data(),
                                          all.text().size(), query.data(), query.size(), peer.data(),
                                          peer.size(), out, size);
        });
    } catch (...) {
        return {};
    }
}

/** The context that the setting context_headers asks for; empty: none. Any thread. */
inline std::string resolve_context(const headers &all) noexcept
{
    try {
        return detail::text([&](char *out, std::size_t size) noexcept {
            return malti_resolve_context(nullptr, all.text().data(), all.text().size(), out, size);
        });
    } catch (...) {
        return {};
    }
}

/** A route's pattern in normal form, "/users/{user_id}"; malti.h names the dialects. For once per
 *  route, not per request. Throws error: no such dialect. Any thread, also without a session. */
inline std::string normalize_route(const std::string &dialect, std::string_view pattern)
{
    std::int32_t code = MALTI_OK;
    std::string normal = detail::text([&](char *out, std::size_t size) noexcept {
        return code = malti_normalize_route(dialect.c_str(), pattern.data(), pattern.size(), out, size);
    });
    if (code < 0)
        throw error(static_cast<status>(code), "no such dialect: " + dialect);
    return normal;
}

/** The ledger, exact at one moment. Any thread. */
inline malti_stats stats() noexcept
{
    malti_stats out{};
    malti_stats_get(&out, sizeof out);
    return out;
}

/** The same as a JSON object. Any thread. */
inline std::string stats_json()
{
    return detail::text([](char *out, std::size_t size) noexcept { return malti_stats_json(out, size); });
}

/** The library's version, such as "0.1.0": static text. Any thread. */
inline const char *version() noexcept
{
    return malti_version();
}

} /* namespace malti */

#endif /* MALTI_HPP */
