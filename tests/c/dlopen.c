/* A host that loads the library at run time, and closes it while the client runs. */
/* flags: -ldl */
#include "test.h"

#include <dlfcn.h>

/* Through a union: ISO C has no cast from an object pointer to a function's. */
#define LOAD(handle, name)                            \
    union {                                           \
        void *object;                                 \
        __typeof__(&name) call;                       \
    } loaded_##name = {.object = dlsym(handle, #name)}; \
    CHECK(loaded_##name.object != NULL)

int main(void)
{
    test_begin();
    const char *library = getenv("MALTI_LIBRARY");
    if (!library) {
        puts("MALTI_LIBRARY does not say where the library is");
        return 77;
    }
    char url[256];
    const char *path = temp_file(url, sizeof url);
    setenv("MALTI_URL", url, 1);
    setenv("MALTI_SERVICE_NAME", "dlopen", 1);

    for (int round = 1; round <= 100; round++) {
        void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
        if (!CHECK(handle != NULL)) {
            puts(dlerror());
            break;
        }
        LOAD(handle, malti_init);
        LOAD(handle, malti_record);
        LOAD(handle, malti_flush);
        LOAD(handle, malti_shutdown);
        CHECK_INT(loaded_malti_init.call(NULL, NULL, 0), MALTI_OK);
        CHECK_INT(loaded_malti_record.call("GET", "/", 200, 0, "early", NULL), MALTI_OK);
        CHECK_INT(loaded_malti_flush.call(10000), MALTI_OK);

        /* The sender's thread lives on, so the code it runs must too; so must our pointers. */
        CHECK_INT(dlclose(handle), 0);
        sleep_ms(20);
        CHECK_INT(loaded_malti_record.call("GET", "/", 200, 0, "late", NULL), MALTI_OK);
        CHECK_INT(loaded_malti_shutdown.call(10000), MALTI_OK);
        char *lines = content(path);
        CHECK_INT(count_of(lines, "\"consumer\":\"early\""), round);
        CHECK_INT(count_of(lines, "\"consumer\":\"late\""), round);
        free(lines);
    }
    unlink(path);
    return test_end();
}
