/* Stands in for a library of Windows that Debian's wine is too old to have: the one function of it that
 * Rust's standard library calls. */
#include <windows.h>

/* ntsecapi.h calls it RtlGenRandom. */
BOOLEAN NTAPI SystemFunction036(PVOID buffer, ULONG length);

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE data, SIZE_T length)
{
    return SystemFunction036(data, (ULONG)length);
}
