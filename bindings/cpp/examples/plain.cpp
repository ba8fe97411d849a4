// An application that handles requests, whatever brings them: one is found, one is not, one fails.
#include <malti.hpp>

#include <cstdio>
#include <map>
#include <stdexcept>
#include <string>

namespace {

const std::map<std::string, int> stock = {{"bolt-m8", 40}, {"nut-m8", 0}};

// A handler: from its first line to its last is one record, whichever way it is left.
std::string order(const std::string &item, const std::string &customer)
{
    malti::request request("GET", "/orders/{id}");
    request.consumer(customer);
    const auto found = stock.find(item);
    if (found == stock.end()) {
        request.status(410).context("no longer sold");
        return "gone";
    }
    if (found->second == 0)
        throw std::runtime_error("out of stock"); // recorded as 500
    return "ok";
}

} // namespace

int main()
{
    try {
        // Settings come from MALTI_*. Its end delivers what is left.
        const malti::session telemetry;
        if (!telemetry.enabled())
            std::puts("telemetry is off: MALTI_URL and MALTI_API_KEY say where it goes");
        for (const char *item : {"bolt-m8", "nail", "nut-m8"}) {
            try {
                std::printf("%s: %s\n", item, order(item, "alice").c_str());
            } catch (const std::runtime_error &error) {
                std::printf("%s: %s\n", item, error.what());
            }
        }
        malti::flush(std::chrono::seconds(2)); // a server has no need to: records leave by themselves
        const malti_stats stats = malti::stats();
        std::printf("recorded %llu, sent %llu\n", static_cast<unsigned long long>(stats.recorded),
                    static_cast<unsigned long long>(stats.sent));
    } catch (const malti::error &error) {
        std::fprintf(stderr, "telemetry: %s\n", error.what());
        return 2;
    }
    return 0;
}
