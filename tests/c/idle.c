/* Every function is safe with NULL, before the first init, while disabled and after shutdown. */
#include "test.h"

static void with_nothing(int32_t absent, int32_t no_settings)
{
    char text[64];
    uint64_t ticket = 7;
    CHECK_INT(malti_record(NULL, NULL, 0, 0, NULL, NULL), absent);
    CHECK_INT(malti_record("GET", "/", 200, 1, "c", "x"), absent);
    CHECK_INT(malti_record_n(NULL, 9, NULL, 9, -1, 0, NULL, 9, NULL, 9, -1), absent);
    CHECK_INT(malti_flush(0), absent);
    CHECK_INT(malti_flush(UINT32_MAX), absent);
    CHECK_INT(malti_flush_begin(NULL), absent);
    CHECK_INT(malti_flush_begin(&ticket), absent);
    CHECK_INT(ticket, 7);
    CHECK_INT(malti_flush_wait(0, 0), absent);
    CHECK_INT(malti_flush_wait(UINT64_MAX, UINT32_MAX), absent);
    CHECK_INT(malti_shutdown(UINT32_MAX), absent);
    CHECK_INT(malti_shutdown(0), absent);

    int32_t length = malti_config_get(NULL, "batch_size", text, sizeof text);
    CHECK_INT(length, no_settings ? no_settings : 3);
    length = malti_resolve_consumer(NULL, NULL, 0, NULL, 0, NULL, 0, NULL, 0, text, sizeof text);
    CHECK_INT(length, no_settings ? no_settings : (int32_t)strlen("anonymous"));
    CHECK_INT(malti_resolve_context(NULL, NULL, 0, text, sizeof text), no_settings);
}

static void with_null(void)
{
    char text[64] = "x", why[64] = "x";
    malti_config_free(NULL);
    CHECK_INT(malti_config_set(NULL, "node", "a", why, sizeof why), MALTI_ERR_INVALID_ARGUMENT);
    CHECK_HAS(why, "config");
    CHECK_INT(malti_config_set_log(NULL, NULL, NULL), MALTI_ERR_INVALID_ARGUMENT);
    CHECK_INT(malti_config_get(NULL, NULL, text, sizeof text), MALTI_ERR_INVALID_ARGUMENT);
    CHECK_INT(malti_stats_get(NULL, sizeof(malti_stats)), MALTI_ERR_INVALID_ARGUMENT);
    CHECK(malti_stats_json(NULL, 0) > 2);
    CHECK_INT(malti_log_next(NULL, NULL, 0), 0);
    CHECK_INT(malti_normalize_route(NULL, "/", 1, text, sizeof text), MALTI_ERR_INVALID_ARGUMENT);
    CHECK_INT(malti_normalize_route("flask", "/", 1, text, sizeof text), MALTI_ERR_INVALID_ARGUMENT);
    CHECK_INT(malti_normalize_route("koa", NULL, 1, text, sizeof text), MALTI_ERR_INVALID_ARGUMENT);

    malti_config *config = malti_config_new();
    CHECK(config != NULL);
    CHECK_INT(malti_config_set(config, NULL, "a", why, sizeof why), MALTI_ERR_INVALID_ARGUMENT);
    CHECK_HAS(why, "key");
    CHECK_INT(malti_config_set(config, "node", NULL, why, sizeof why), MALTI_ERR_INVALID_ARGUMENT);
    CHECK_HAS(why, "value");
    CHECK_INT(malti_config_set(config, "nod", "a", NULL, 0), MALTI_ERR_UNKNOWN_KEY);
    CHECK_INT(malti_config_set(config, "nod", "a", NULL, 9), MALTI_ERR_UNKNOWN_KEY);
    CHECK_INT(malti_config_get(config, NULL, text, sizeof text), MALTI_ERR_INVALID_ARGUMENT);
    CHECK_INT(malti_config_set_log(config, NULL, NULL), MALTI_OK);
    CHECK_INT(malti_resolve_consumer(config, NULL, 1, NULL, 0, NULL, 0, NULL, 0, text, sizeof text),
              MALTI_ERR_INVALID_ARGUMENT);
    CHECK_INT(malti_resolve_consumer(config, NULL, 0, NULL, 1, NULL, 0, NULL, 0, text, sizeof text),
              MALTI_ERR_INVALID_ARGUMENT);
    CHECK_INT(malti_resolve_consumer(config, NULL, 0, NULL, 0, NULL, MALTI_NTS, NULL, 0, text, sizeof text),
              MALTI_ERR_INVALID_ARGUMENT);
    CHECK_INT(malti_resolve_context(config, NULL, 1, text, sizeof text), MALTI_ERR_INVALID_ARGUMENT);
    malti_config_free(config);
}

static void versions(void)
{
    CHECK(strlen(malti_version()) >= 5);
    CHECK_INT(malti_abi_version() >> 16, 1);
    for (int32_t status = -13; status < 7; status++)
        CHECK(malti_status_str(status) && *malti_status_str(status));
    CHECK(*malti_status_str(INT32_MAX) && *malti_status_str(INT32_MIN));
    CHECK(strcmp(malti_status_str(MALTI_ERR_TIMED_OUT), malti_status_str(MALTI_ERR_REJECTED)) != 0);
}

int main(void)
{
    test_begin();
    versions();
    malti_stats zero = {0}, stats = ledger();
    CHECK(memcmp(&zero, &stats, sizeof zero) == 0);
    with_nothing(MALTI_NOT_RUNNING, MALTI_ERR_NOT_INITIALIZED);
    with_null();

    /* No key: disabled, and no log line on the test's output. */
    char why[256] = "";
    malti_config *config = settings("log", "off", NULL);
    CHECK_INT(malti_init(config, why, sizeof why), MALTI_DISABLED);
    CHECK_HAS(why, "api_key");
    malti_config_free(config);
    CHECK_INT(ledger().state, 0);
    with_nothing(MALTI_DISABLED, 0);
    with_null();
    CHECK_INT(start(settings("enabled", "no", "api_key", "k", NULL)), MALTI_DISABLED);
    with_nothing(MALTI_DISABLED, 0);

    char url[256];
    const char *path = temp_file(url, sizeof url);
    CHECK_INT(start(settings("url", url, "service_name", "s", NULL)), MALTI_OK);
    CHECK_INT(malti_flush_begin(NULL), MALTI_ERR_INVALID_ARGUMENT);
    with_null();
    CHECK_INT(malti_shutdown(5000), MALTI_OK);
    with_nothing(MALTI_NOT_RUNNING, MALTI_ERR_NOT_INITIALIZED);
    with_null();
    CHECK_INT(ledger().state, 5);
    unlink(path);
    return test_end();
}
