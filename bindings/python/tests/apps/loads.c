/* A host that finds the library only when it runs, as Python does: `loads PATH-OF-LIBRARY`. */

#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>

#include "malti.h"

int main(int count, char **arguments)
{
    void *library = count == 2 ? dlopen(arguments[1], RTLD_NOW | RTLD_LOCAL) : NULL;
    if (library == NULL) {
        fprintf(stderr, "not loaded: %s\n", count == 2 ? dlerror() : "name a library");
        return 1;
    }
    int32_t (*init)(const malti_config *, char *, size_t) = dlsym(library, "malti_init");
    int32_t (*record)(const char *, const char *, int32_t, uint64_t, const char *, const char *) =
        dlsym(library, "malti_record");
    int32_t (*stop)(uint32_t) = dlsym(library, "malti_shutdown");
    if (init == NULL || record == NULL || stop == NULL) {
        fprintf(stderr, "not libmalti: %s\n", dlerror());
        return 1;
    }
    char error[200] = "";
    int32_t started = init(NULL, error, sizeof error);
    int32_t recorded = record("GET", "/wheel", 200, 1234, NULL, NULL);
    int32_t stopped = stop(60000);
    printf("%d %d %d %s\n", started, recorded, stopped, error);
    return started != MALTI_OK || recorded != MALTI_OK || stopped != MALTI_OK;
}
