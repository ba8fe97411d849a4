/* A program of somebody who has the installed tree and nothing else: it records one request. */
#include <malti.h>
#include <stdio.h>
#include <string.h>

int main(void)
{
    char why[256] = "";
    int32_t started = malti_init(NULL, why, sizeof why);
    int32_t recorded = malti_record("GET", "/installed", 200, 1234, NULL, NULL);
    int32_t stopped = malti_shutdown(60000);
    printf("%s %s\n", malti_version(), why);
    return started != MALTI_OK || recorded != MALTI_OK || stopped != MALTI_OK ||
           strcmp(malti_version(), MALTI_VERSION) != 0;
}
