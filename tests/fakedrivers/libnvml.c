/* A stand-in for libnvidia-ml.so.1, driven by environment variables, compiled at test time.
 *
 *   FAKE_NVML_INIT    what nvmlInit_v2 returns (default 0)      FAKE_NVML_COUNT   number of devices (default 1)
 *   FAKE_NVML_DRIVER  driver version text                       FAKE_NVML_HANDLE  what every device handle returns
 *   FAKE_NVML_ABORT   set: nvmlInit_v2 aborts               FAKE_NVML_HANG    set: nvmlInit_v2 never returns
 *   FAKE_NVML_MODE    compute mode (default 0)               FAKE_NVML_CLOCKS  clocks event reasons (default 1)
 *   FAKE_NVML_PCIE    "width,most,generation,most" (default "16,16,1,4")
 *   FAKE_NVML_ECC     "uncorrected,corrected,lifetime" (default: not supported, as on a GeForce)
 *   FAKE_NVML_REMAP   "corrected,uncorrected,pending,failure" (default: not supported)
 *   FAKE_NVML_FABRIC  fabric state (default: not supported)  FAKE_NVML_LINKS   "110": links 0 and 1 up, 2 down
 *   FAKE_NVML_MIG     number of MIG instances of every card (default: not supported)
 *   FAKE_NVML_USED    "1,20": used memory of each card in GiB (default 1)
 *   FAKE_NVML_BUSY    "4711,0": the pid of the one compute process of each card, 0 for none (default: none)
 *   FAKE_NVML_DRAWS   the pid of a graphics process on every card
 *   FAKE_NVML_CROWD   number of further compute processes on every card, with pids from 100000 on
 *   FAKE_NODE         a file without which nvmlInit_v2 returns 999, as in a container that lost its GPU
 *
 * Compiled with OLD_DRIVER it lacks the functions that came with drivers 535 and later.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NOT_SUPPORTED 3

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
    if (getenv("FAKE_NVML_HANG"))
        for (;;)
            pause();
    if (getenv("FAKE_NODE") && access(getenv("FAKE_NODE"), R_OK))
        return 999;
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
    if ((long)device >= 100) {
        snprintf(uuid, length, "MIG-00000000-0000-0000-0000-%012ld", (long)device);
        return 0;
    }
    snprintf(uuid, length, "GPU-00000000-0000-0000-0000-%012ld", (long)device - 1);
    return 0;
}
int nvmlDeviceGetCudaComputeCapability(void *device, int *major, int *minor) { *major = 8, *minor = 9; return device == 0; }
int nvmlDeviceGetBrand(void *device, unsigned *brand) { *brand = 5; return device == 0; }
int nvmlDeviceGetComputeMode(void *device, unsigned *mode) { *mode = number("FAKE_NVML_MODE", 0); return device == 0; }
int nvmlDeviceGetPersistenceMode(void *device, unsigned *mode) { *mode = 1; return device == 0; }

/* The index-th number of a comma-separated list; a variable that is not set is a card that cannot. */
static int item(const char *name, const char *otherwise, int index, unsigned *value)
{
    const char *text = getenv(name);
    if (!text)
        text = otherwise;
    for (; text && index; index--) {
        text = strchr(text, ',');
        text = text ? text + 1 : NULL;
    }
    if (!text)
        return NOT_SUPPORTED;
    *value = atoi(text);
    return 0;
}

int nvmlDeviceGetMemoryInfo(void *device, memory *info)
{
    unsigned gibibytes = 1;
    item("FAKE_NVML_USED", "1", (long)device - 1, &gibibytes);
    info->total = 24ULL << 30, info->used = (unsigned long long)gibibytes << 30, info->free = info->total - info->used;
    return device == 0;
}

typedef struct { unsigned pid; unsigned long long memory; unsigned gpu_instance, compute_instance; } process;
static int listed(const process *found, unsigned number_found, unsigned *count, process *rows)
{
    unsigned room = *count;
    *count = number_found;
    if (room < number_found)
        return 7; /* NVML_ERROR_INSUFFICIENT_SIZE */
    for (unsigned index = 0; index < number_found; index++)
        rows[index] = found[index];
    return 0;
}
int nvmlDeviceGetComputeRunningProcesses_v3(void *device, unsigned *count, process *rows)
{
    process found[1000];
    unsigned pid = 0, number_found = 0;
    item("FAKE_NVML_BUSY", "0", (long)device - 1, &pid);
    if (pid)
        found[number_found++] = (process){.pid = pid, .memory = 3ULL << 30};
    for (int index = 0; index < number("FAKE_NVML_CROWD", 0); index++)
        found[number_found++] = (process){.pid = 100000 + index, .memory = ~0ULL};
    return device ? listed(found, number_found, count, rows) : 2;
}
int nvmlDeviceGetGraphicsRunningProcesses_v3(void *device, unsigned *count, process *rows)
{
    process found = {.pid = number("FAKE_NVML_DRAWS", 0), .memory = 1 << 20};
    return device ? listed(&found, found.pid != 0, count, rows) : 2;
}
int nvmlDeviceGetUtilizationRates(void *device, unsigned *rates)
{
    rates[0] = 42, rates[1] = 7;
    return device && !getenv("FAKE_NVML_MIG") ? 0 : NOT_SUPPORTED;
}

int nvmlDeviceGetCurrPcieLinkWidth(void *d, unsigned *v) { return d ? item("FAKE_NVML_PCIE", "16,16,1,4", 0, v) : 2; }
int nvmlDeviceGetMaxPcieLinkWidth(void *d, unsigned *v) { return d ? item("FAKE_NVML_PCIE", "16,16,1,4", 1, v) : 2; }
int nvmlDeviceGetCurrPcieLinkGeneration(void *d, unsigned *v) { return d ? item("FAKE_NVML_PCIE", "16,16,1,4", 2, v) : 2; }
int nvmlDeviceGetMaxPcieLinkGeneration(void *d, unsigned *v) { return d ? item("FAKE_NVML_PCIE", "16,16,1,4", 3, v) : 2; }

typedef struct { char legacy[16]; unsigned numbers[5]; char bus_id[32]; } pci_info;
int nvmlDeviceGetPciInfo_v3(void *device, pci_info *info)
{
    snprintf(info->bus_id, sizeof info->bus_id, "00000000:%02lX:00.0", (long)device + 9);
    return device == 0;
}

int nvmlDeviceGetEccMode(void *device, unsigned *now, unsigned *later)
{
    *now = *later = getenv("FAKE_NVML_ECC") != NULL;
    return device && *now ? 0 : NOT_SUPPORTED;
}
int nvmlDeviceGetTotalEccErrors(void *device, unsigned kind, unsigned counter, unsigned long long *errors)
{
    unsigned value = 0;
    int code = item("FAKE_NVML_ECC", NULL, counter ? 2 : kind ? 0 : 1, &value);
    *errors = value;
    return device ? code : 2;
}
int nvmlDeviceGetRemappedRows(void *device, unsigned *corrected, unsigned *uncorrected, unsigned *pending, unsigned *failed)
{
    unsigned *values[] = {corrected, uncorrected, pending, failed};
    for (int index = 0; index < 4; index++)
        if (!device || item("FAKE_NVML_REMAP", NULL, index, values[index]))
            return NOT_SUPPORTED;
    return 0;
}
int nvmlDeviceGetNvLinkState(void *device, unsigned link, unsigned *active)
{
    const char *links = getenv("FAKE_NVML_LINKS");
    if (!device || !links || link >= strlen(links))
        return NOT_SUPPORTED;
    *active = links[link] == '1';
    return 0;
}

int nvmlDeviceGetMigMode(void *device, unsigned *current, unsigned *pending)
{
    *current = *pending = 1;
    return device && getenv("FAKE_NVML_MIG") ? 0 : NOT_SUPPORTED;
}
int nvmlDeviceGetMaxMigDeviceCount(void *device, unsigned *count) { *count = 7; return device == 0; }
int nvmlDeviceGetMigDeviceHandleByIndex(void *device, unsigned index, void **instance)
{
    *instance = (void *)((long)device * 100 + index);
    return index < (unsigned)number("FAKE_NVML_MIG", 0) ? 0 : 6; /* NVML_ERROR_NOT_FOUND */
}

#ifdef OLD_DRIVER
int nvmlDeviceGetCurrentClocksThrottleReasons(void *device, unsigned long long *reasons)
#else
typedef struct { unsigned char cluster[16]; int status; unsigned clique; unsigned char state; } fabric_info;
typedef struct { unsigned version; fabric_info info; unsigned health; } fabric_info_v;
int nvmlDeviceGetGpuFabricInfoV(void *device, fabric_info_v *fabric)
{
    unsigned state = 0;
    int code = item("FAKE_NVML_FABRIC", NULL, 0, &state);
    fabric->info.state = state;
    return device && fabric->version == 0x02000024 ? code : 2;
}
int nvmlDeviceGetRetiredPagesPendingStatus(void *device, unsigned *pending) { *pending = 0; return device ? NOT_SUPPORTED : 2; }
int nvmlDeviceGetCurrentClocksEventReasons(void *device, unsigned long long *reasons)
#endif
{
    *reasons = number("FAKE_NVML_CLOCKS", 1);
    return device == 0;
}
