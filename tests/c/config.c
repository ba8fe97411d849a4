/* Settings: statuses, messages, cut texts, and the environment. */
#include "test.h"

static void messages(void)
{
    char why[512], cut[8];
    malti_config *config = malti_config_new();
    memset(why, 'x', sizeof why);
    CHECK_INT(malti_config_set(config, "batch_sise", "5", why, sizeof why), MALTI_ERR_UNKNOWN_KEY);
    CHECK_HAS(why, "batch_sise");
    CHECK_HAS(why, "batch_size");
    CHECK_INT(malti_config_set(config, "batch_size", "lots", why, sizeof why), MALTI_ERR_INVALID_VALUE);
    CHECK_HAS(why, "batch_size");
    CHECK_HAS(why, "lots");
    CHECK_HAS(why, "10000");
    CHECK_INT(malti_config_set(config, "clean_mode", "\xff", why, sizeof why), MALTI_ERR_INVALID_VALUE);
    CHECK_HAS(why, "clean_mode");

    memset(cut, 'x', sizeof cut);
    CHECK_INT(malti_config_set(config, "batch_sise", "5", cut, 5), MALTI_ERR_UNKNOWN_KEY);
    CHECK_STR(cut, "unkn");
    CHECK_INT(cut[5], 'x');
    CHECK_INT(malti_config_set(config, "batch_sise", "5", cut, 1), MALTI_ERR_UNKNOWN_KEY);
    CHECK_STR(cut, "");

    /* A bad value changes nothing; a good one clears the message. */
    CHECK_INT(malti_config_set(config, "batch_size", "77", why, sizeof why), MALTI_OK);
    CHECK_STR(why, "");
    CHECK_INT(malti_config_set(config, "batch_size", "0", NULL, 0), MALTI_ERR_INVALID_VALUE);
    CHECK_INT(malti_config_get(config, "batch_size", why, sizeof why), 2);
    CHECK_STR(why, "77");
    malti_config_free(config);
}

static void values(void)
{
    static const struct {
        const char *key, *value, *read;
    } cases[] = {
        {"clean_mode", "OFF", "false"}, {"clean_mode", "1", "true"}, {"batch_size", "10000", "10000"},
        {"service_name", "bücher", "bücher"}, {"consumer_headers", "x-a, X-B", NULL},
        {"url", "http://[::1]:8000/malti/", NULL}, {"url", "file:/tmp/x", NULL},
    };
    char text[512];
    malti_config *config = malti_config_new();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CHECK_INT(malti_config_set(config, cases[i].key, cases[i].value, NULL, 0), MALTI_OK);
        CHECK(malti_config_get(config, cases[i].key, text, sizeof text) > 0);
        if (cases[i].read)
            CHECK_STR(text, cases[i].read);
        /* What comes out goes in again. */
        CHECK_INT(malti_config_set(config, cases[i].key, text, NULL, 0), MALTI_OK);
    }
    CHECK_INT(malti_config_get(config, "no_such_key", text, sizeof text), MALTI_ERR_UNKNOWN_KEY);

    /* As snprintf: the whole length comes back, a character is never cut in two. */
    CHECK_INT(malti_config_get(config, "service_name", NULL, 0), 7);
    memset(text, 'x', sizeof text);
    CHECK_INT(malti_config_get(config, "service_name", text, 3), 7);
    CHECK_STR(text, "b");
    CHECK_INT(text[3], 'x');

    CHECK_INT(malti_config_set(config, "api_key", "very-secret-key", NULL, 0), MALTI_OK);
    CHECK(malti_config_get(config, "api_key", text, sizeof text) > 0);
    CHECK(strstr(text, "secret") == NULL);
    CHECK_INT(malti_config_set(config, "api_key", "secret\r\nX: y", text, sizeof text),
              MALTI_ERR_INVALID_VALUE);
    CHECK_HAS(text, "api_key");
    CHECK(strstr(text, "secret") == NULL);
    malti_config_free(config);
}

static atomic_int warnings;

static void take(int32_t level, const char *line, void *userdata)
{
    if (level == 2 && strstr(line, userdata))
        atomic_fetch_add(&warnings, 1);
}

/* Read once, when the settings are made; a bad value in it is a warning and the default. */
static void environment(void)
{
    char text[64];
    setenv("MALTI_NODE", "from-environment", 1);
    setenv("MALTI_BATCH_SIZE", "many", 1);
    malti_config *config = malti_config_new();
    setenv("MALTI_NODE", "too-late", 1);
    CHECK(malti_config_get(config, "node", text, sizeof text) > 0);
    CHECK_STR(text, "from-environment");
    CHECK(malti_config_get(config, "batch_size", text, sizeof text) > 0);
    CHECK_STR(text, "500");
    CHECK_INT(malti_config_set(config, "api_key", "k", NULL, 0), MALTI_OK);
    CHECK_INT(malti_config_set_log(config, take, "MALTI_BATCH_SIZE"), MALTI_OK);
    CHECK_INT(start(config), MALTI_OK);
    CHECK_INT(atomic_load(&warnings), 1);
    CHECK(malti_config_get(NULL, "node", text, sizeof text) > 0);
    CHECK_STR(text, "from-environment");
    CHECK_INT(malti_shutdown(0), MALTI_OK);
}

int main(void)
{
    test_begin();
    messages();
    values();
    environment();
    return test_end();
}
