// Settings and the life of the client: what throws, who owns it, where its log goes.
#include "test.hpp"

#include <mutex>

using namespace std::chrono_literals;

static_assert(std::is_nothrow_move_constructible_v<malti::session>);
static_assert(std::is_nothrow_move_assignable_v<malti::session>);
static_assert(!std::is_copy_constructible_v<malti::session>);
constexpr std::chrono::milliseconds brief{1};
static_assert(noexcept(malti::flush(brief)) && noexcept(malti::stats()));

template <typename Call> static malti::status thrown_by(Call call, std::string_view part)
{
    try {
        call();
    } catch (const malti::error &error) {
        test::check(test::has(error.what(), part), "what() names it", __LINE__, error.what());
        return error.code();
    }
    return malti::status::ok;
}

static void settings_throw()
{
    malti::config settings;
    settings.set("batch_size", "17").set("api_key", "secret-key");
    CHECK_EQ(settings.get("batch_size"), "17");
    CHECK(!test::has(settings.get("api_key"), "secret-key"));
    CHECK(thrown_by([&] { settings.set("batch_sise", "1"); }, "batch_size") == malti::status::unknown_key);
    CHECK(thrown_by([&] { settings.set("batch_size", "many"); }, "many") == malti::status::invalid_value);
    CHECK(thrown_by([&] { settings.get("batch_sise"); }, "batch_sise") == malti::status::unknown_key);
    CHECK_EQ(settings.get("batch_size"), "17");
    const std::string agents(300, 'x');
    CHECK_EQ(settings.set("consumer_headers", agents).get("consumer_headers"), agents);
}

static void without_a_client()
{
    malti::config settings;
    malti::session session(settings.set("enabled", "false"));
    CHECK(!session.enabled());
    CHECK(malti::record("GET", "/", 200, 1us) == malti::status::disabled);
    CHECK(session.shutdown() == malti::status::not_running);
    CHECK(!malti::failed(malti::status::disabled) && malti::failed(malti::status::timed_out));
    CHECK(*malti::describe(malti::status::panic) && *malti::describe(static_cast<malti::status>(77)));
}

static void owners(const test::sink &sink)
{
    malti::config settings;
    settings.set("url", sink.url()).set("service_name", "owners").set("shutdown_timeout", "0.25");
    malti::session first(settings);
    malti::session second(settings);
    CHECK(first.enabled() && second.enabled());
    malti::config other;
    other.set("url", sink.url()).set("service_name", "another");
    CHECK(thrown_by([&] { malti::session third(other); }, "service_name") ==
          malti::status::already_initialized);

    malti::session moved(std::move(first));
    CHECK(!first.enabled() && moved.enabled());
    CHECK(first.shutdown() == malti::status::not_running);
    moved = std::move(second); // gives its own ownership back
    CHECK(malti::record("GET", "/one", 200, 1us) == malti::status::ok);
    CHECK(malti::flush(10s) == malti::status::ok);
    CHECK_EQ(malti::stats().sent, 1U);
    CHECK(test::has(malti::stats_json(), "\"sent\":1"));
    {
        const malti::session last(std::move(moved));
    }
    CHECK(malti::record("GET", "/two", 200, 1us) == malti::status::not_running);
    CHECK_EQ(sink.lines().size(), 1U);
}

// Nobody answers there: the end of the session waits as long as the settings say, and no longer.
static void the_end_is_bounded()
{
    std::mutex lock;
    std::vector<std::string> lines;
    malti::config settings;
    settings.set("url", "http://127.0.0.1:1").set("api_key", "k").set("service_name", "log");
    settings.set("shutdown_timeout", "0.05").log([&](malti::log_level level, std::string_view line) {
        const std::lock_guard<std::mutex> held(lock);
        CHECK(level <= malti::log_level::warn);
        CHECK(malti::stats().recorded == 1);
        CHECK(malti::flush(1s) != malti::status::ok);
        lines.emplace_back(line);
        throw std::runtime_error("from the callback");
    });
    {
        const malti::session session(settings);
        malti::request("GET", "/lost").finish();
    }
    const std::lock_guard<std::mutex> held(lock);
    CHECK(!lines.empty() && test::has(lines.back(), "recorded 1"));
    CHECK_EQ(malti::stats().dropped_shutdown, 1U);
    // Empty: standard error again. The functions before it are still there for lines on their way.
    settings.log(nullptr);
}

static void time_is_clamped()
{
    using malti::detail::seconds;
    using malti::detail::timeout;
    CHECK_EQ(timeout(-1ms), 0U);
    CHECK_EQ(timeout(0ms), 0U);
    CHECK_EQ(timeout(1500ms), 1500U);
    CHECK_EQ(timeout(std::chrono::hours(24 * 365)), 3600000U);
    CHECK_EQ(timeout(std::chrono::milliseconds::max()), 3600000U);
    CHECK_EQ(seconds("5").count(), 5000);
    CHECK_EQ(seconds("0.25").count(), 250);
    CHECK_EQ(seconds("86400").count(), 86400000);
    CHECK_EQ(seconds("12.3456").count(), 12345);
    CHECK_EQ(seconds("").count(), 0);
}

int main()
{
    test::begin();
    const test::sink sink;
    settings_throw();
    without_a_client();
    owners(sink);
    the_end_is_bounded();
    time_is_clamped();
    CHECK_EQ(std::string(malti::version()), MALTI_VERSION);
    return test::end();
}
