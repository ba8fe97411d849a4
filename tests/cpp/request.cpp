// The guard: what a request leaves when it ends in each of its ways.
#include "test.hpp"

#include <thread>

using namespace std::chrono_literals;

static_assert(std::is_nothrow_move_constructible_v<malti::request>);
static_assert(!std::is_copy_constructible_v<malti::request>);
static_assert(std::is_nothrow_destructible_v<malti::request>);
constexpr std::string_view text = "GET";
constexpr std::chrono::microseconds brief{1};
constexpr malti::request::clock::time_point moment;
constexpr std::chrono::system_clock::time_point ended{std::chrono::seconds(1700000000)};
static_assert(noexcept(malti::record(text, text, 200, brief, text, text, ended)));
static_assert(noexcept(malti::request(text, text, moment).status(1).consumer(text).context(text).endpoint(text).finish()));

static void thrown(malti::request moved)
{
    moved.status(201);
    throw std::runtime_error("from a handler");
}

struct ends_while_another_exception_flies {
    ~ends_while_another_exception_flies()
    {
        malti::request within("GET", "/unwinding");
    }
};

int main()
{
    test::begin();
    const test::sink sink;
    malti::config settings;
    settings.set("url", sink.url()).set("service_name", "guard").set("context_headers", "traceparent");
    malti::session session(settings);
    CHECK(session.enabled());

    { // What it was given may be gone by the time that it records.
        malti::request request(std::string("GET"), std::string("/users/{user_id}"));
        request.consumer(std::string(600, 'a')).context("first");
        request.status(404).status(204);
        std::this_thread::sleep_for(30ms);
    }
    { // Whoever knows when it came in says so.
        malti::request request("POST", "", malti::request::clock::now() - 2s);
    }
    try {
        thrown(malti::request("PUT", "/thrown"));
    } catch (const std::runtime_error &error) {
        CHECK_EQ(std::string(error.what()), "from a handler");
    }
    { // Caught within: the application's answer counts.
        malti::request request("GET", "/caught");
        try {
            throw 1;
        } catch (int) {
            request.status(503);
        }
    }
    try {
        const ends_while_another_exception_flies last;
        throw 1;
    } catch (int) {
    }
    malti::request early("GET", "/early");
    CHECK(early.finish() == malti::status::ok);
    CHECK(early.finish() == malti::status::ignored);
    malti::request("GET", "/dismissed").dismiss();
    malti::request("GET", "/late").endpoint("/late/{id}").finish();
    CHECK(malti::request("GET", "/").status(7).finish() == malti::status::invalid_argument);

    malti::headers headers;
    headers.add("X-Consumer-Id", "bob");
    headers.add("traceparent", std::string(5000, 't'));
    headers.add(std::string_view("split\0name", 10), "value");
    CHECK_EQ(malti::resolve_consumer(headers, "", "127.0.0.1"), "bob");
    CHECK_EQ(malti::resolve_consumer(headers, "", "", "alice"), "alice");
    CHECK_EQ(malti::resolve_consumer({}, "user_id=eve", ""), "eve");
    CHECK_EQ(malti::resolve_consumer({}, "", ""), "anonymous");
    CHECK_EQ(malti::resolve_context(headers), std::string(5000, 't'));
    CHECK_EQ(malti::resolve_context({}), "");
    CHECK_EQ(malti::normalize_route("express", "/users/:id"), "/users/{id}");
    malti::status refused = malti::status::ok;
    try {
        malti::normalize_route("cobol", "/");
    } catch (const malti::error &error) {
        refused = error.code();
    }
    CHECK(refused == malti::status::invalid_argument);

    const std::string_view padded = "GET /given?";
    CHECK(malti::record(padded.substr(0, 3), padded.substr(4, 6), 200, -brief, "c", "d", ended) == malti::status::ok);

    CHECK(session.shutdown(10s) == malti::status::ok);
    const auto lines = sink.lines();
    const std::vector<std::vector<std::string>> expected = {
        {"GET", "/users/{user_id}", "204", std::string(500, 'a'), "first"},
        {"POST", "/", "200", "anonymous", "absent"},
        {"PUT", "/thrown", "500", "anonymous", "absent"},
        {"GET", "/caught", "503", "anonymous", "absent"},
        {"GET", "/unwinding", "200", "anonymous", "absent"},
        {"GET", "/early", "200", "anonymous", "absent"},
        {"GET", "/late/{id}", "200", "anonymous", "absent"},
        {"GET", "/given", "200", "c", "d"},
    };
    CHECK_EQ(lines.size(), expected.size());
    for (std::size_t i = 0; i < lines.size() && i < expected.size(); i++) {
        std::size_t column = 0;
        for (const char *name : {"method", "endpoint", "status", "consumer", "context"})
            CHECK_EQ(test::field(lines[i], name), expected[i][column++]);
    }
    if (lines.size() == expected.size()) {
        CHECK(std::stoi(test::field(lines[0], "response_time")) >= 30);
        CHECK(std::stoi(test::field(lines[1], "response_time")) >= 2000);
        CHECK_EQ(test::field(lines[7], "response_time"), "0");
        CHECK(test::has(lines[7], "2023-11-14T22:13:20"));
    }
    return test::end();
}
