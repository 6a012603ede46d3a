/*
 * A stand-in for NVIDIA's libnvidia-ml.so.1: the symbols that the collector asks for, answered from a control file.
 *
 * FAKE_NVML_CONTROL names the control file. It is read again at each call, so a running process sees a change at once.
 * Each line is `key value`; the last line with a key wins; what no line says has a default.
 *   count 2                          GPUs that exist
 *   driver 580.65.06                 driver version
 *   fn.FUNCTION 18                   FUNCTION returns this NVML code
 *   gpu0.fn.FUNCTION 3               ... for this GPU only
 *   gpu1.state 15                    every call on this GPU returns this code
 *   hang FUNCTION                    FUNCTION does not return while the line stands
 *   block PATH                       every device call creates PATH first: on a frozen file system that is a D state
 *   segv FUNCTION                    FUNCTION dies of SIGSEGV
 *   leak BYTES                       every device call keeps so much memory
 *   chatter TEXT                     every call prints TEXT to stdout
 *   gpu0.uuid, .name, .cc (9.0), .util (%), .mem_total, .mem_used (bytes), .power_mw, .energy_mj, .sm_mhz, .mem_mhz,
 *   .temp (Celsius), .ecc (count), .reasons (bit mask), .mig (0|1), .pids (1,2), .gpm.METRIC_ID (%)
 * FAKE_NVML_LOG names a file to which each call adds a line, `FUNCTION` or `FUNCTION gpuN`.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { OK = 0, BAD_ARGUMENT = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, TOO_SMALL = 7, BAD_VERSION = 25 };
enum { HOST = -1 };

typedef unsigned long long u64;
typedef struct { unsigned gpu, memory; } utilization_t;
typedef struct { u64 total, free, used; } memory_t;
typedef struct { unsigned version; u64 total, reserved, free, used; } memory_v2_t;
typedef struct { unsigned version, sensor; int celsius; } temperature_v1_t;
typedef struct { unsigned pid; u64 used; unsigned gpu_instance, compute_instance; } process_t;
typedef struct { unsigned version, supported; } gpm_support_t;
typedef struct { char *short_name, *long_name, *unit; } gpm_info_t;
typedef struct { unsigned id; int code; double value; gpm_info_t info; } gpm_metric_t;
typedef struct { unsigned version, count; void *older, *newer; gpm_metric_t metrics[]; } gpm_get_t;
typedef struct { int gpu; } gpm_sample_t;

/* Copies the value of the last line `key value` into out; 0 when there is none. */
static int look_up(const char *key, char *out, size_t size) {
    const char *path = getenv("FAKE_NVML_CONTROL");
    FILE *file = path ? fopen(path, "re") : NULL;
    char line[1024];
    int found = 0;
    size_t length = strlen(key);
    if (!file) return 0;
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        if (strncmp(line, key, length) == 0 && line[length] == ' ') {
            snprintf(out, size, "%s", line + length + 1);
            found = 1;
        }
    }
    fclose(file);
    return found;
}

/* 1 when some line is exactly `key value`. */
static int says(const char *key, const char *value) {
    const char *path = getenv("FAKE_NVML_CONTROL");
    FILE *file = path ? fopen(path, "re") : NULL;
    char line[1024], wanted[1024];
    int found = 0;
    if (!file) return 0;
    snprintf(wanted, sizeof wanted, "%s %s", key, value);
    while (!found && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        found = strcmp(line, wanted) == 0;
    }
    fclose(file);
    return found;
}

static void text(int gpu, const char *name, const char *otherwise, char *out, size_t size) {
    char key[128];
    snprintf(key, sizeof key, "gpu%d.%s", gpu, name);
    if (!look_up(key, out, size)) snprintf(out, size, "%s", otherwise);
}

static double number(int gpu, const char *name, const char *otherwise) {
    char value[64];
    text(gpu, name, otherwise, value, sizeof value);
    return strtod(value, NULL);
}

static int gpu_count(void) {
    char value[64];
    return look_up("count", value, sizeof value) ? atoi(value) : 1;
}

/* What every call does first: log, hang, block, crash; returns the code that the control file asks for. */
static int enter(const char *function, int gpu) {
    const char *log = getenv("FAKE_NVML_LOG");
    char key[160], value[512], entry[160];
    if (log) {
        int fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        int length = gpu == HOST ? snprintf(entry, sizeof entry, "%s\n", function)
                                 : snprintf(entry, sizeof entry, "%s gpu%d\n", function, gpu);
        if (fd >= 0) {
            if (write(fd, entry, (size_t)length) != length) abort();
            close(fd);
        }
    }
    while (says("hang", function)) usleep(20000); /* a loop: signals interrupt the wait, not the call */
    if (says("segv", function)) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        signal(SIGSEGV, SIG_DFL);
        raise(SIGSEGV);
    }
    if (look_up("chatter", value, sizeof value)) {
        puts(value);
        fflush(stdout);
    }
    if (gpu != HOST && look_up("leak", value, sizeof value)) {
        size_t size = strtoull(value, NULL, 10);
        char *kept = malloc(size);
        if (kept) memset(kept, 1, size);
    }
    if (gpu != HOST && look_up("block", value, sizeof value)) close(open(value, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    snprintf(key, sizeof key, "fn.%s", function);
    if (look_up(key, value, sizeof value)) return atoi(value);
    if (gpu == HOST) return OK;
    snprintf(key, sizeof key, "gpu%d.fn.%s", gpu, function);
    if (look_up(key, value, sizeof value)) return atoi(value);
    snprintf(key, sizeof key, "gpu%d.state", gpu);
    return look_up(key, value, sizeof value) ? atoi(value) : OK;
}

#define ENTER(gpu) do { int code = enter(__func__, gpu); if (code != OK) return code; } while (0)
#define DEVICE(handle) ((int)(size_t)(handle) - 1)

int nvmlInitWithFlags(unsigned flags) { (void)flags; ENTER(HOST); return OK; }
int nvmlInit_v2(void) { ENTER(HOST); return OK; }
int nvmlShutdown(void) { ENTER(HOST); return OK; }
const char *nvmlErrorString(int code) { return code == OK ? "Success" : "an error that the fake driver made"; }

int nvmlSystemGetDriverVersion(char *out, unsigned size) {
    ENTER(HOST);
    if (!look_up("driver", out, size)) snprintf(out, size, "580.65.06");
    return OK;
}

int nvmlSystemGetCudaDriverVersion(int *out) { ENTER(HOST); *out = 13000; return OK; }
int nvmlDeviceGetCount_v2(unsigned *out) { ENTER(HOST); *out = (unsigned)gpu_count(); return OK; }

int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **out) {
    ENTER((int)index);
    if ((int)index >= gpu_count()) return BAD_ARGUMENT;
    *out = (void *)(size_t)(index + 1);
    return OK;
}

int nvmlDeviceGetUUID(void *h, char *out, unsigned size) {
    char otherwise[64];
    ENTER(DEVICE(h));
    snprintf(otherwise, sizeof otherwise, "GPU-00000000-0000-0000-0000-%012d", DEVICE(h));
    text(DEVICE(h), "uuid", otherwise, out, size);
    return OK;
}

int nvmlDeviceGetName(void *h, char *out, unsigned size) {
    ENTER(DEVICE(h));
    text(DEVICE(h), "name", "NVIDIA H100 80GB HBM3", out, size);
    return OK;
}

int nvmlDeviceGetCudaComputeCapability(void *h, int *major, int *minor) {
    char value[64];
    ENTER(DEVICE(h));
    text(DEVICE(h), "cc", "9.0", value, sizeof value);
    return sscanf(value, "%d.%d", major, minor) == 2 ? OK : NOT_FOUND;
}

int nvmlDeviceGetUtilizationRates(void *h, utilization_t *out) {
    ENTER(DEVICE(h));
    out->gpu = (unsigned)number(DEVICE(h), "util", "37");
    out->memory = 11;
    return OK;
}

int nvmlDeviceGetMemoryInfo(void *h, memory_t *out) {
    ENTER(DEVICE(h));
    out->total = (u64)number(DEVICE(h), "mem_total", "85899345920");
    out->used = (u64)number(DEVICE(h), "mem_used", "42949672960");
    out->free = out->total - out->used;
    return OK;
}

int nvmlDeviceGetMemoryInfo_v2(void *h, memory_v2_t *out) {
    ENTER(DEVICE(h));
    if (out->version != (sizeof *out | 2u << 24)) return BAD_VERSION;
    out->total = (u64)number(DEVICE(h), "mem_total", "85899345920");
    out->used = (u64)number(DEVICE(h), "mem_used", "42949672960");
    out->reserved = 0;
    out->free = out->total - out->used;
    return OK;
}

int nvmlDeviceGetPowerUsage(void *h, unsigned *out) {
    ENTER(DEVICE(h));
    *out = (unsigned)number(DEVICE(h), "power_mw", "350250");
    return OK;
}

int nvmlDeviceGetTotalEnergyConsumption(void *h, u64 *out) {
    ENTER(DEVICE(h));
    *out = (u64)number(DEVICE(h), "energy_mj", "123456789");
    return OK;
}

int nvmlDeviceGetClockInfo(void *h, unsigned clock, unsigned *out) {
    ENTER(DEVICE(h));
    if (clock != 1 && clock != 2) return BAD_ARGUMENT;
    *out = (unsigned)(clock == 1 ? number(DEVICE(h), "sm_mhz", "1980") : number(DEVICE(h), "mem_mhz", "2619"));
    return OK;
}

int nvmlDeviceGetTemperature(void *h, unsigned sensor, unsigned *out) {
    ENTER(DEVICE(h));
    if (sensor != 0) return BAD_ARGUMENT;
    *out = (unsigned)number(DEVICE(h), "temp", "45");
    return OK;
}

int nvmlDeviceGetTemperatureV(void *h, temperature_v1_t *out) {
    ENTER(DEVICE(h));
    if (out->version != (sizeof *out | 1u << 24) || out->sensor != 0) return BAD_VERSION;
    out->celsius = (int)number(DEVICE(h), "temp", "45");
    return OK;
}

int nvmlDeviceGetTotalEccErrors(void *h, int kind, int since, u64 *out) {
    ENTER(DEVICE(h));
    if (kind != 1 || since != 0) return BAD_ARGUMENT; /* uncorrected, since the driver was loaded */
    *out = (u64)number(DEVICE(h), "ecc", "0");
    return OK;
}

static int reasons(void *h, u64 *out) {
    char value[64];
    text(DEVICE(h), "reasons", "0", value, sizeof value);
    *out = strtoull(value, NULL, 0);
    return OK;
}

int nvmlDeviceGetCurrentClocksEventReasons(void *h, u64 *out) { ENTER(DEVICE(h)); return reasons(h, out); }
int nvmlDeviceGetCurrentClocksThrottleReasons(void *h, u64 *out) { ENTER(DEVICE(h)); return reasons(h, out); }

int nvmlDeviceGetMigMode(void *h, unsigned *current, unsigned *pending) {
    ENTER(DEVICE(h));
    *current = *pending = (unsigned)number(DEVICE(h), "mig", "0");
    return OK;
}

int nvmlDeviceGetComputeRunningProcesses_v3(void *h, unsigned *count, process_t *out) {
    char value[256], *rest = value, *token;
    unsigned pids[32], found = 0;
    ENTER(DEVICE(h));
    text(DEVICE(h), "pids", "", value, sizeof value);
    while (found < 32 && (token = strsep(&rest, ",")))
        if (*token) pids[found++] = (unsigned)strtoul(token, NULL, 10);
    if (found > *count) {
        *count = found;
        return TOO_SMALL;
    }
    for (unsigned i = 0; i < found; i++) out[i] = (process_t){.pid = pids[i], .used = 1 << 30};
    *count = found;
    return OK;
}

int nvmlGpmQueryDeviceSupport(void *h, gpm_support_t *out) {
    ENTER(DEVICE(h));
    if (out->version != 1) return BAD_VERSION;
    out->supported = (unsigned)number(DEVICE(h), "gpm", "1");
    return OK;
}

int nvmlGpmSampleAlloc(gpm_sample_t **out) { ENTER(HOST); *out = calloc(1, sizeof **out); return OK; }
int nvmlGpmSampleFree(gpm_sample_t *sample) { ENTER(HOST); free(sample); return OK; }
int nvmlGpmSampleGet(void *h, gpm_sample_t *out) { ENTER(DEVICE(h)); out->gpu = DEVICE(h); return OK; }

int nvmlGpmMetricsGet(gpm_get_t *get) {
    const gpm_sample_t *sample = get->newer;
    char key[32];
    ENTER(HOST);
    if (get->version != 1) return BAD_VERSION;
    for (unsigned i = 0; i < get->count; i++) {
        snprintf(key, sizeof key, "gpm.%u", get->metrics[i].id);
        get->metrics[i].value = number(sample->gpu, key, "-1");
        get->metrics[i].code = get->metrics[i].value < 0 ? NOT_SUPPORTED : OK;
    }
    return OK;
}
