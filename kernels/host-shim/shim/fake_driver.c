// The part of the NVIDIA driver that is asked before anything else, with answers of our choice.
#include <stddef.h>
#include <string.h>

int cuInit(unsigned flags) { return INIT; }
int cuDriverGetVersion(int *version) {
    *version = VERSION;
    return 0;
}
int cuDeviceGetCount(int *count) {
    *count = COUNT;
    return 0;
}
int cuDeviceGet(int *device, int ordinal) {
    *device = ordinal;
    return 0;
}
#ifndef INCOMPLETE
int cuDeviceGetName(char *name, int length, int device) {
    strncpy(name, device ? "Second" : "First", length);
    return 0;
}
#endif
int cuDeviceGetAttribute(int *value, int which, int device) {
    *value = which == 75 ? 8 + device : which == 76 ? 9 - 9 * device : which == 16 ? 128 : 0;
    return 0;
}
int cuDeviceTotalMem_v2(size_t *bytes, int device) {
    *bytes = (size_t)24 << 30;
    return 0;
}
