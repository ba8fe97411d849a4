// The routes of the suite under cpp-httplib, by the adapter.
#include <malti_httplib.hpp>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <stdexcept>
#include <string>
#include <thread>

using httplib::Request;
using httplib::Response;

namespace {

constexpr int THREADS = 128;

void pause_ms(int ms)
{
    std::this_thread::sleep_for(std::chrono::milliseconds(ms));
}

// Named as the suite has it: std::regex has no groups with names.
template <class Answer>
auto named(const char *route, Answer answer)
{
    return [route, answer](const Request &request, Response &response) {
        malti::current().endpoint = route;
        answer(request, response);
    };
}

void say(Response &response, int status, const std::string &text)
{
    response.status = status;
    response.set_content(text, "text/plain");
}

void say_path(const Request &request, Response &response)
{
    say(response, 200, request.path);
}

// `chunks` of them, 100 ms apart; then the end, or nothing more, which is recorded as a 500.
auto chunks(int count, bool whole)
{
    return [=](const Request &, Response &response) {
        response.set_chunked_content_provider("text/plain", [=, sent = 0](size_t, httplib::DataSink &sink) mutable {
            if (sent == count) {
                if (whole)
                    sink.done();
                else
                    malti::current().status = 500;
                return whole;
            }
            if (sent++ > 0)
                pause_ms(100);
            sink.write("chunk\n", 6);
            return true;
        });
    };
}

template <class Server>
void add_routes(Server &server)
{
    server.Get("/users/(\\d+)", named("/users/{user_id}", say_path));
    server.Get("/files/(.*)", named("/files/{path}", say_path));
    server.Get("/tenants/([^/]+)/orders/([^/]+)", named("/tenants/{tenant}/orders/{order_id}", say_path));
    server.Post("/items", [](const Request &request, Response &response) {
        bool good = request.body == "{}";
        say(response, good ? 201 : 422, good ? "created" : "not JSON");
    });
    server.Get("/stream", chunks(3, true));
    server.Get("/boom-late", chunks(1, false));
    server.Get("/boom", [](const Request &, Response &) { throw std::runtime_error("boom"); });
    server.set_exception_handler([](const Request &, Response &response, auto) { say(response, 500, "boom"); });
    server.Get("/slow", [](const Request &, Response &response) {
        pause_ms(10000);
        say(response, 200, "slow");
    });
    server.Get("/who", [](const Request &, Response &response) {
        malti::current().consumer = " st ";
        malti::current().context = "plan=pro";
        say(response, 200, "who");
    });
    server.Get("/who-null", say_path);
    server.Get("/code/(\\d+)", named("/code/{code}", [](const Request &request, Response &response) {
        say(response, std::stoi(request.matches[1]), "");
    }));
    server.Get("/renamed", named("/custom/{x}", say_path));
    server.Get("/later", [](const Request &request, Response &response) {
        std::string name;
        std::thread worker([&] {
            pause_ms(20);
            name = request.get_param_value("name");
        });
        worker.join();
        malti::current().consumer = name;
        say(response, 200, "later");
    });
}

template <class Server>
void serve(const sigset_t &signals)
{
    Server server;
    server.new_task_queue = [] { return new httplib::ThreadPool(THREADS); };
    server.set_keep_alive_timeout(1);
    add_routes(server);
    int port = server.bind_to_any_port("127.0.0.1");
    std::thread serving([&] { server.listen_after_bind(); });
    std::printf("READY %d\n", port);
    std::fflush(stdout);
    int which;
    sigwait(&signals, &which);
    server.stop();
    serving.join();
}

} // namespace

int main()
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    std::signal(SIGPIPE, SIG_IGN);

    const char *bare = std::getenv("CONFORMANCE_BARE"), *stats = std::getenv("CONFORMANCE_STATS");
    if (bare && std::strcmp(bare, "1") == 0) {
        serve<httplib::Server>(signals);
        return 0;
    }
    if (malti_init(nullptr, nullptr, 0) < 0)
        return 2;
    serve<malti::httplib_server<>>(signals);
    malti_shutdown(5000);
    char ledger[2048];
    malti_stats_json(ledger, sizeof ledger);
    if (stats)
        std::ofstream(stats) << ledger;
    return 0;
}
