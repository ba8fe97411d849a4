// cpp-httplib, by its adapter. PORT says where it listens (0: a free port), SIGTERM ends it.
#include <malti_httplib.hpp>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <thread>

int main()
{
    // Before any thread is started: the main one alone is to wait for them.
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    std::signal(SIGPIPE, SIG_IGN);

    // Settings come from the environment: MALTI_URL, MALTI_API_KEY, MALTI_SERVICE_NAME ...
    char why[256] = "";
    if (malti_init(nullptr, why, sizeof why) < 0) {
        std::fprintf(stderr, "telemetry: %s\n", why);
        return 2;
    }

    malti::httplib_server<> server;
    server.Get("/items/([^/]+)", [](const httplib::Request &request, httplib::Response &response) {
        bool known = request.matches[1] != "none";
        response.status = known ? 200 : 404;
        response.set_content(known ? "an item\n" : "no such item\n", "text/plain");
    });
    server.Get("/me", [](const httplib::Request &request, httplib::Response &response) {
        if (request.get_header_value("Authorization") == "Bearer acme-token")
            malti::current().consumer = "acme";
        response.set_content("you\n", "text/plain");
    });
    server.Get("/slow", [](const httplib::Request &, httplib::Response &response) {
        std::this_thread::sleep_for(std::chrono::milliseconds(300));
        response.set_content("at last\n", "text/plain");
    });
    server.Get("/boom", [](const httplib::Request &, httplib::Response &) {
        throw std::runtime_error("boom");
    });

    const char *wanted = std::getenv("PORT");
    int port = wanted ? std::atoi(wanted) : 8081;
    if (port ? !server.bind_to_port("127.0.0.1", port)
             : (port = server.bind_to_any_port("127.0.0.1")) < 0) {
        std::perror("can't listen");
        return 1;
    }
    std::thread serving([&server] { server.listen_after_bind(); });
    std::printf("READY %d\n", port);
    std::fflush(stdout);

    int which;
    sigwait(&signals, &which);
    server.stop();
    serving.join();
    malti_shutdown(5000);
    return 0;
}
