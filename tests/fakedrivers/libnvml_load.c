/* A stand-in for libnvidia-ml.so.1 under load: clocks, link, temperature, power. Compiled at test time.
 *
 * Built with -DOLD it has the name of before driver 535; with -DUNSUPPORTED clocks and link answer
 * NVML_ERROR_NOT_SUPPORTED (3). It knows one card, and one MIG instance of it.
 */
#include <string.h>

#ifdef OLD
#define CLOCKS nvmlDeviceGetCurrentClocksThrottleReasons
#else
#define CLOCKS nvmlDeviceGetCurrentClocksEventReasons
#endif
#ifdef UNSUPPORTED
#define ANSWER(number) return (void)(number), 3
#else
#define ANSWER(number) return device == (void *)1 ? (*value = (number), 0) : 2
#endif

int nvmlInit_v2(void) { return 0; }
int nvmlDeviceGetHandleByUUID(const char *uuid, void **device)
{
    *device = strcmp(uuid, "GPU-1") == 0 ? (void *)1 : strcmp(uuid, "MIG-1") == 0 ? (void *)2 : 0;
    return *device ? 0 : 6;
}
int nvmlDeviceGetDeviceHandleFromMigDeviceHandle(void *instance, void **device)
{
    *device = (void *)1;
    return instance == (void *)2 ? 0 : 2;
}
/* nvmlPciInfo_t: the bus id that is meant stands behind 16 characters and five numbers. */
int nvmlDeviceGetPciInfo_v3(void *device, char *info)
{
    strcpy(info + 36, "00000000:65:00.0");
    return device == (void *)1 ? 0 : 2;
}
/* Power cap and thermal slowdown, and a bit nobody knows yet. */
int CLOCKS(void *device, unsigned long long *value) { ANSWER(0x4 | 0x20 | 0x100000000ULL); }
int nvmlDeviceGetCurrPcieLinkGeneration(void *device, unsigned *value) { ANSWER(4); }
int nvmlDeviceGetMaxPcieLinkGeneration(void *device, unsigned *value) { ANSWER(5); }
int nvmlDeviceGetCurrPcieLinkWidth(void *device, unsigned *value) { ANSWER(8); }
int nvmlDeviceGetMaxPcieLinkWidth(void *device, unsigned *value) { ANSWER(16); }
int nvmlDeviceGetPowerUsage(void *device, unsigned *value) { *value = 300000; return device == 0; }
int nvmlDeviceGetTemperature(void *device, unsigned sensor, unsigned *value) { *value = 70; return sensor != 0; }
int nvmlDeviceGetClockInfo(void *device, unsigned type, unsigned *value) { *value = 1500; return type != 1; }
