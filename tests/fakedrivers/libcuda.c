/* A stand-in for libcuda.so.1, driven by environment variables, compiled at test time.
 *
 *   FAKE_CUDA_INIT      what cuInit returns (default 0)
 *   FAKE_CUDA_VERSION   what cuDriverGetVersion reports (default 12080)
 *   FAKE_CUDA_COUNT     number of devices (default 1)
 *   FAKE_CUDA_HANG      set: cuInit never returns      FAKE_CUDA_ABORT  set: cuInit aborts
 *   FAKE_CUDA_CAPABILITY  "8.9"
 *   FAKE_CUDA_WRONG     set: the kernel's first result is wrong
 *   FAKE_NODE           a file without which cuInit returns 999, as in a container that lost its GPU
 *   FAKE_CUDA_LAUNCH    what cuLaunchKernel returns (default 0)
 *
 * Memory is host memory and the "kernel" is the loop of envcheck's PTX, so the arguments that arrive through ctypes
 * are really used. The CUDA runtime inside PyTorch resolves everything through cuGetProcAddress_v2.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef unsigned long long address;

static int number(const char *name, int otherwise)
{
    const char *text = getenv(name);
    return text ? atoi(text) : otherwise;
}

int cuInit(unsigned flags)
{
    if (getenv("FAKE_CUDA_HANG"))
        for (;;)
            pause();
    if (getenv("FAKE_CUDA_ABORT"))
        abort();
    if (getenv("FAKE_NODE") && access(getenv("FAKE_NODE"), R_OK))
        return 999;
    return flags ? 1 : number("FAKE_CUDA_INIT", 0);
}

int cuDriverGetVersion(int *version) { *version = number("FAKE_CUDA_VERSION", 12080); return 0; }
int cuDeviceGetCount(int *count) { *count = number("FAKE_CUDA_COUNT", 1); return 0; }
int cuDeviceGet(int *device, int ordinal) { *device = ordinal; return ordinal < number("FAKE_CUDA_COUNT", 1) ? 0 : 101; }
int cuDeviceGetName(char *name, int length, int device) { snprintf(name, length, "Fake GPU %d", device); return 0; }
int cuDeviceGetUuid(char *uuid, int device) { memset(uuid, 0x10 + device, 16); return 0; }
int cuDeviceGetUuid_v2(char *uuid, int device) { return cuDeviceGetUuid(uuid, device); }

int cuDeviceGetAttribute(int *value, int attribute, int device)
{
    const char *text = getenv("FAKE_CUDA_CAPABILITY");
    int major = 8, minor = 9;
    if (text)
        sscanf(text, "%d.%d", &major, &minor);
    *value = attribute == 75 ? major : attribute == 76 ? minor : 0;
    return device < 0;
}

int cuDevicePrimaryCtxRetain(void **context, int device) { *context = (void *)(long)(0x1000 + device); return 0; }
int cuDevicePrimaryCtxRelease_v2(int device) { return device < 0; }
int cuCtxSetCurrent(void *context) { return (long)context < 0x1000; }
int cuCtxSynchronize(void) { return 0; }
int cuModuleLoadData(void **module, const char *image) { *module = (void *)2; return strstr(image, "envcheck_fma") ? 0 : 218; }
int cuModuleGetFunction(void **function, void *module, const char *name)
{
    *function = (void *)3;
    return module == (void *)2 && strcmp(name, "envcheck_fma") == 0 ? 0 : 500;
}
int cuModuleUnload(void *module) { return module != (void *)2; }
int cuMemAlloc_v2(address *pointer, size_t size) { *pointer = (address)(size_t)malloc(size); return *pointer ? 0 : 2; }
int cuMemFree_v2(address pointer) { free((void *)(size_t)pointer); return 0; }
int cuMemcpyHtoD_v2(address to, const void *from, size_t size) { memcpy((void *)(size_t)to, from, size); return 0; }
int cuMemcpyDtoH_v2(void *to, address from, size_t size) { memcpy(to, (void *)(size_t)from, size); return 0; }

int cuLaunchKernel(void *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                   unsigned shared, void *stream, void **parameters, void **extra)
{
    float *out = (float *)(size_t) * (address *)parameters[0];
    const float *a = (const float *)(size_t) * (address *)parameters[1];
    const float *b = (const float *)(size_t) * (address *)parameters[2];
    unsigned n = *(unsigned *)parameters[3];
    if (function != (void *)3 || gy * gz * by * bz != 1 || shared || stream || extra)
        return 1;
    for (unsigned i = 0; i < gx * bx && i < n; i++)
        out[i] = a[i] * b[i] + (float)i;
    if (getenv("FAKE_CUDA_WRONG"))
        out[0] += 1;
    return number("FAKE_CUDA_LAUNCH", 0);
}

int cuGetProcAddress_v2(const char *symbol, void **function, int version, unsigned long long flags, int *status)
{
    (void)version, (void)flags;
    *function = dlsym(RTLD_DEFAULT, symbol);
    if (!*function && strcmp(symbol, "cuGetProcAddress") == 0)
        *function = (void *)cuGetProcAddress_v2;
    if (status)
        *status = *function ? 0 : 1;
    return *function ? 0 : 500;
}
