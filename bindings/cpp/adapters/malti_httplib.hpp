// libmalti in a cpp-httplib server (0.11 or later): another type for the server, and nothing else changes.
//
//     malti::httplib_server<> server;              // was: httplib::Server server;
//     malti::httplib_server<httplib::SSLServer> server("cert.pem", "key.pem");
//
//     server.Get("/users/(\\d+)", [](const httplib::Request &request, httplib::Response &response) {
//         malti::current().consumer = "acme";      // also context, endpoint, status
//     });
//
// A request is recorded under the pattern of its route, in normal form: "/users/{0}", and "/users/{id}" for
// "/users/:id" where the version has such. Routes are to be added through this type, not by a reference to
// its base. The process starts the client (malti_init) and ends it (malti_shutdown).
#ifndef MALTI_HTTPLIB_HPP
#define MALTI_HTTPLIB_HPP

#include <httplib.h>
#include <malti.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>
#include <type_traits>
#include <utility>

namespace malti {

// The request that this thread answers; cpp-httplib answers each on one thread, from its head to its end.
// What is empty is left to the rules: the route or the path, headers, query, address.
struct httplib_request {
    std::string endpoint, consumer, context;
    int status = 0; // what is recorded in place of the answer's, such as 500 where a body was given up
    std::chrono::steady_clock::time_point started;
    bool begun = false;
};

inline httplib_request &current()
{
    static thread_local httplib_request now;
    return now;
}

namespace httplib_detail {

// Later versions tell whether the client is still there.
template <class Request, class = void>
struct can_tell : std::false_type {};
template <class Request>
struct can_tell<Request, std::void_t<decltype(std::declval<const Request &>().is_connection_closed())>>
    : std::true_type {};

template <class Request>
void look(const Request &request)
{
    if constexpr (can_tell<Request>::value)
        if (request.is_connection_closed && request.is_connection_closed())
            current().status = 499;
}

// The pattern in normal form. A regular expression has to fit the whole path.
inline std::string route(const std::string &pattern)
{
    bool named = pattern.find("/:") != std::string::npos;
    std::string raw = named ? pattern : "^" + pattern + "$";
    char out[2001];
    std::int32_t length =
        malti_normalize_route(named ? "gin" : "django", raw.data(), raw.size(), out, sizeof out);
    return length < 0 ? pattern : out;
}

inline void record(const httplib::Request &request, const httplib::Response &response, httplib_request &own)
{
    std::string headers;
    for (const auto &header : request.headers)
        if (malti_reads_header(header.first.data(), header.first.size()) > 0)
            headers.append(header.first).append(1, '\0').append(header.second).append(1, '\0');

    auto mark = std::min(request.target.find('?'), request.target.size());
    std::string path = request.target.substr(0, mark);
    std::string query = request.target.substr(std::min(mark + 1, request.target.size()));
    const std::string &endpoint = own.endpoint.empty() ? path : own.endpoint;
    const std::string &peer = request.remote_addr;

    auto took = std::chrono::steady_clock::now() - own.started;
    auto us = std::chrono::duration_cast<std::chrono::microseconds>(took).count();
    malti_record_request(request.method.data(), request.method.size(), endpoint.data(), endpoint.size(),
                         own.status ? own.status : response.status, static_cast<std::uint64_t>(us),
                         own.consumer.data(), own.consumer.size(), own.context.data(), own.context.size(),
                         headers.data(), headers.size(), query.data(), query.size(), peer.data(), peer.size(),
                         0);
}

} // namespace httplib_detail

template <class Base = httplib::Server>
class httplib_server : public Base {
public:
    using Handler = typename Base::Handler;
    using HandlerWithContentReader = typename Base::HandlerWithContentReader;
    using HandlerWithResponse = typename Base::HandlerWithResponse;

    template <class... Arguments>
    explicit httplib_server(Arguments &&...arguments) : Base(std::forward<Arguments>(arguments)...)
    {
        set_pre_routing_handler(nullptr);
        set_logger(nullptr);
    }

    httplib_server &Get(const std::string &pattern, Handler handler)
    {
        Base::Get(pattern, named(pattern, std::move(handler)));
        return *this;
    }
    template <class Any>
    httplib_server &Post(const std::string &pattern, Any handler)
    {
        Base::Post(pattern, named(pattern, std::move(handler)));
        return *this;
    }
    template <class Any>
    httplib_server &Put(const std::string &pattern, Any handler)
    {
        Base::Put(pattern, named(pattern, std::move(handler)));
        return *this;
    }
    template <class Any>
    httplib_server &Patch(const std::string &pattern, Any handler)
    {
        Base::Patch(pattern, named(pattern, std::move(handler)));
        return *this;
    }
    template <class Any>
    httplib_server &Delete(const std::string &pattern, Any handler)
    {
        Base::Delete(pattern, named(pattern, std::move(handler)));
        return *this;
    }
    httplib_server &Options(const std::string &pattern, Handler handler)
    {
        Base::Options(pattern, named(pattern, std::move(handler)));
        return *this;
    }

    // The application's own, called after ours.
    httplib_server &set_pre_routing_handler(HandlerWithResponse next)
    {
        Base::set_pre_routing_handler([next](const httplib::Request &request, httplib::Response &response) {
            current() = httplib_request();
            current().begun = true;
            current().started = std::chrono::steady_clock::now();
            return next ? next(request, response) : Base::HandlerResponse::Unhandled;
        });
        return *this;
    }

    // The application's own, called before the record is made. cpp-httplib logs when the answer has gone out.
    httplib_server &set_logger(httplib::Logger next)
    {
        Base::set_logger([next](const httplib::Request &request, const httplib::Response &response) {
            if (next)
                next(request, response);
            // What was refused before routing has no method, or no start: that took no time.
            if (!current().begun) {
                current() = httplib_request();
                current().started = std::chrono::steady_clock::now();
            }
            if (!request.method.empty())
                httplib_detail::record(request, response, current());
            current() = httplib_request();
        });
        return *this;
    }

private:
    template <class Any>
    static auto named(const std::string &pattern, Any handler)
    {
        using content = std::is_invocable<Any, const httplib::Request &, httplib::Response &,
                                          const httplib::ContentReader &>;
        if constexpr (content::value)
            return HandlerWithContentReader(
                [route = httplib_detail::route(pattern), handler = std::move(handler)](
                    const httplib::Request &request, httplib::Response &response,
                    const httplib::ContentReader &reader) {
                    current().endpoint = route;
                    handler(request, response, reader);
                    httplib_detail::look(request);
                });
        else
            return Handler([route = httplib_detail::route(pattern), handler = std::move(handler)](
                               const httplib::Request &request, httplib::Response &response) {
                current().endpoint = route;
                handler(request, response);
                httplib_detail::look(request);
            });
    }
};

} // namespace malti

#endif
