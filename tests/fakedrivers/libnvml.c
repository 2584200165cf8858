/* A stand-in for libnvidia-ml.so.1, driven by environment variables, compiled at test time.
 *
 *   FAKE_NVML_INIT    what nvmlInit_v2 returns (default 0)      FAKE_NVML_COUNT   number of devices (default 1)
 *   FAKE_NVML_DRIVER  driver version text                       FAKE_NVML_HANDLE  what every device handle returns
 *   FAKE_NVML_ABORT   set: nvmlInit_v2 aborts
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct { unsigned long long total, free, used; } memory;

static int number(const char *name, int otherwise)
{
    const char *text = getenv(name);
    return text ? atoi(text) : otherwise;
}

int nvmlInit_v2(void)
{
    if (getenv("FAKE_NVML_ABORT"))
        abort();
    return number("FAKE_NVML_INIT", 0);
}
int nvmlShutdown(void) { return 0; }
const char *nvmlErrorString(int code) { return code ? "error" : "Success"; }
int nvmlSystemGetDriverVersion(char *text, unsigned length)
{
    const char *version = getenv("FAKE_NVML_DRIVER");
    snprintf(text, length, "%s", version ? version : "570.124.06");
    return 0;
}
int nvmlSystemGetCudaDriverVersion_v2(int *version) { *version = number("FAKE_CUDA_VERSION", 12080); return 0; }
int nvmlDeviceGetCount_v2(unsigned *count) { *count = number("FAKE_NVML_COUNT", 1); return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device)
{
    *device = (void *)(long)(index + 1);
    return number("FAKE_NVML_HANDLE", 0);
}
int nvmlDeviceGetName(void *device, char *name, unsigned length)
{
    snprintf(name, length, "Fake GPU %ld", (long)device - 1);
    return 0;
}
int nvmlDeviceGetUUID(void *device, char *uuid, unsigned length)
{
    snprintf(uuid, length, "GPU-00000000-0000-0000-0000-%012ld", (long)device - 1);
    return 0;
}
int nvmlDeviceGetMemoryInfo(void *device, memory *info)
{
    info->total = 24ULL << 30, info->used = 1ULL << 30, info->free = 23ULL << 30;
    return device == 0;
}
int nvmlDeviceGetCudaComputeCapability(void *device, int *major, int *minor) { *major = 8, *minor = 9; return device == 0; }
int nvmlDeviceGetBrand(void *device, unsigned *brand) { *brand = 5; return device == 0; }
int nvmlDeviceGetComputeMode(void *device, unsigned *mode) { *mode = 0; return device == 0; }
int nvmlDeviceGetMigMode(void *device, unsigned *current, unsigned *pending)
{
    (void)device, (void)current, (void)pending;
    return 3; /* NVML_ERROR_NOT_SUPPORTED, as on every GeForce */
}
