/* libmalti.a inside somebody's plugin, which is loaded, used, and unloaded while the client runs: its code stays, since
 * its thread is still in it. */
/* flags: -ldl */
/* valgrind: no, it runs a compiler */
#include "test.h"

#include <dlfcn.h>

static const char source[] =
    "#include <malti.h>\n"
    "int plugin_start(void) { return malti_init(0, 0, 0); }\n"
    "int plugin_record(void) { return malti_record(\"GET\", \"/plugin\", 200, 0, 0, 0); }\n"
    "int plugin_flush(void) { return malti_flush(20000); }\n"
    "int plugin_stop(void) { return malti_shutdown(20000); }\n";

static int (*loaded(void *plugin, const char *name))(void)
{
    union {
        void *object;
        int (*call)(void);
    } symbol = {.object = dlsym(plugin, name)};
    CHECK(symbol.object != NULL);
    return symbol.call;
}

int main(void)
{
    test_begin();
    const char *library = getenv("MALTI_LIBRARY"), *cc = getenv("CC");
    const char *slash = library ? strrchr(library, '/') : NULL;
    if (!slash) {
        puts("MALTI_LIBRARY does not say where the library is");
        return 77;
    }
    char folder[] = "/tmp/malti-plugin-XXXXXX", path[128], command[2048], url[256];
    if (!CHECK(mkdtemp(folder) != NULL))
        return test_end();
    snprintf(path, sizeof path, "%s/plugin.c", folder);
    FILE *file = fopen(path, "w");
    CHECK(file && fputs(source, file) >= 0 && fclose(file) == 0);
    int size = (int)(slash - library);
    snprintf(command, sizeof command,
             "%s -shared -fPIC -Wl,--exclude-libs,ALL -Iinclude %s/plugin.c %.*s/libmalti.a $(cat %.*s/native-static-libs.txt) -o %s/plugin.so",
             cc && *cc ? cc : "cc", folder, size, library, size, library, folder);
    if (!CHECK_INT(system(command), 0))
        return test_end();

    const char *lines_path = temp_file(url, sizeof url);
    setenv("MALTI_URL", url, 1);
    setenv("MALTI_SERVICE_NAME", "plugin", 1);
    snprintf(path, sizeof path, "%s/plugin.so", folder);
    for (int round = 1; round <= 100; round++) {
        void *plugin = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        if (!CHECK(plugin != NULL)) {
            puts(dlerror());
            break;
        }
        CHECK_INT(loaded(plugin, "plugin_start")(), round == 1 ? MALTI_OK : MALTI_ALREADY_RUNNING);
        CHECK_INT(loaded(plugin, "plugin_record")(), MALTI_OK);
        CHECK_INT(loaded(plugin, "plugin_flush")(), MALTI_OK);
        CHECK_INT(dlclose(plugin), 0); /* while the client runs, each time */
    }
    void *plugin = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    CHECK(plugin != NULL);
    for (int owner = 0; owner < 100; owner++)
        CHECK_INT(loaded(plugin, "plugin_stop")(), MALTI_OK);
    CHECK_INT(loaded(plugin, "plugin_stop")(), MALTI_NOT_RUNNING);
    CHECK_INT(dlclose(plugin), 0);
    char *lines = content(lines_path);
    CHECK_INT(count_of(lines, "/plugin"), 100);
    free(lines);
    unlink(lines_path);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    CHECK_INT(system(command), 0);
    return test_end();
}
