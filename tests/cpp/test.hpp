// What the test programs share. A program's main() ends with `return test::end();`.
#ifndef TEST_HPP
#define TEST_HPP

#include <malti.hpp>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <string_view>
#include <unistd.h>
#include <vector>

extern char **environ;

namespace test {

inline int failures = 0;

inline void check(bool held, const char *what, int line, const std::string &seen = {})
{
    if (held)
        return;
    failures++;
    std::printf("line %d: %s%s%s\n", line, what, seen.empty() ? "" : ": ", seen.c_str());
}

template <typename Actual, typename Expected>
void check_equal(const Actual &actual, const Expected &expected, const char *what, int line)
{
    std::ostringstream seen;
    seen << actual << ", expected " << expected;
    check(actual == expected, what, line, seen.str());
}

/// Only what a test sets counts, not what is in the environment that it is run in.
inline void begin()
{
    std::vector<std::string> ours;
    for (char **entry = environ; *entry; entry++)
        if (std::strncmp(*entry, "MALTI_", 6) == 0)
            ours.emplace_back(*entry, std::strcspn(*entry, "="));
    for (const std::string &name : ours)
        unsetenv(name.c_str());
}

inline int end()
{
    std::printf("%d failed\n", failures);
    return failures != 0;
}

/// A file that records go to, removed at the end.
class sink {
public:
    sink()
    {
        const int fd = mkstemp(path_);
        check(fd >= 0, "mkstemp", __LINE__);
        close(fd);
    }
    ~sink() { unlink(path_); }
    sink(const sink &) = delete;
    sink &operator=(const sink &) = delete;

    std::string url() const { return std::string("file:") + path_; }

    /// The records so far, each a line of JSON.
    std::vector<std::string> lines() const
    {
        std::ifstream file(path_);
        std::vector<std::string> all;
        for (std::string line; std::getline(file, line);)
            all.push_back(line);
        return all;
    }

private:
    char path_[40] = "/tmp/malti-test-XXXXXX";
};

inline bool has(const std::string &text, std::string_view part)
{
    return text.find(part) != std::string::npos;
}

/// What is between the quotes, or up to the comma, after a name in a line of JSON.
inline std::string field(const std::string &line, const std::string &name)
{
    const std::string key = "\"" + name + "\":";
    const std::size_t at = line.find(key);
    if (at == std::string::npos)
        return "absent";
    const std::string rest = line.substr(at + key.size());
    return rest[0] == '"' ? rest.substr(1, rest.find('"', 1) - 1) : rest.substr(0, rest.find_first_of(",}"));
}

} // namespace test

#define CHECK(condition) test::check((condition), #condition, __LINE__)
#define CHECK_EQ(actual, expected) test::check_equal((actual), (expected), #actual, __LINE__)

#endif
