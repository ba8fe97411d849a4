/* Owners: who starts the client, who joins it, and whose shutdown ends it. */
#include "test.h"

static char url[256];

static malti_config *usual(void)
{
    return settings("url", url, "service_name", "life", "batch_size", "10", NULL);
}

static void owners(void)
{
    char why[256] = "";
    CHECK_INT(start(usual()), MALTI_OK);
    CHECK_INT(start(usual()), MALTI_ALREADY_RUNNING);

    malti_config *other = usual();
    CHECK_INT(malti_config_set(other, "batch_size", "11", NULL, 0), MALTI_OK);
    CHECK_INT(malti_init(other, why, sizeof why), MALTI_ERR_ALREADY_INITIALIZED);
    CHECK_HAS(why, "batch_size");
    CHECK_INT(malti_init(other, NULL, 0), MALTI_ERR_ALREADY_INITIALIZED);
    malti_config_free(other);
    CHECK_INT(malti_config_get(NULL, "batch_size", why, sizeof why), 2);
    CHECK_STR(why, "10");

    CHECK_INT(malti_record("get", NULL, 200, 1500, NULL, NULL), MALTI_OK);
    CHECK_INT(malti_shutdown(5000), MALTI_OK); /* not the last: it flushes */
    CHECK_INT(ledger().sent, 1);
    CHECK_INT(malti_record("GET", "/two", 200, 0, NULL, NULL), MALTI_OK);
    CHECK_INT(malti_shutdown(5000), MALTI_OK);
    CHECK_INT(malti_record("GET", "/three", 200, 0, NULL, NULL), MALTI_NOT_RUNNING);
    CHECK_INT(malti_shutdown(5000), MALTI_NOT_RUNNING); /* one more is harmless */

    malti_stats last = ledger();
    CHECK_INT(last.recorded, 2);
    CHECK_INT(last.sent, 2);
    CHECK_INT(last.state, 5);
}

/* The figures of one life are not those of the next. */
static void again(void)
{
    for (int life = 0; life < 5; life++) {
        CHECK_INT(start(usual()), MALTI_OK);
        CHECK_INT(ledger().recorded, 0);
        for (int i = 0; i <= life; i++)
            CHECK_INT(malti_record("GET", "/again", 200, 0, NULL, NULL), MALTI_OK);
        CHECK_INT(malti_shutdown(5000), MALTI_OK);
        CHECK_INT(ledger().sent, life + 1);
    }
}

/* Disabled is no life: one with a key may follow, and nothing has to be given back. */
static void disabled_first(void)
{
    CHECK_INT(start(settings("log", "off", NULL)), MALTI_DISABLED);
    CHECK_INT(malti_record("GET", "/", 200, 0, NULL, NULL), MALTI_DISABLED);
    CHECK_INT(start(usual()), MALTI_OK);
    CHECK_INT(malti_record("GET", "/", 200, 0, NULL, NULL), MALTI_OK);
    CHECK_INT(malti_shutdown(5000), MALTI_OK);
    CHECK_INT(ledger().sent, 1);
}

/* NULL: the environment alone. */
static void environment_alone(void)
{
    setenv("MALTI_URL", url, 1);
    setenv("MALTI_SERVICE_NAME", "from-environment", 1);
    CHECK_INT(malti_init(NULL, NULL, 0), MALTI_OK);
    CHECK_INT(malti_init(NULL, NULL, 0), MALTI_ALREADY_RUNNING);
    char name[64];
    malti_config_get(NULL, "service_name", name, sizeof name);
    CHECK_STR(name, "from-environment");
    CHECK_INT(malti_shutdown(0), MALTI_OK);
    CHECK_INT(malti_shutdown(0), MALTI_OK);
    CHECK_INT(malti_shutdown(0), MALTI_NOT_RUNNING);
}

int main(void)
{
    test_begin();
    const char *path = temp_file(url, sizeof url);
    owners();
    again();
    disabled_first();
    environment_alone();
    unlink(path);
    return test_end();
}
