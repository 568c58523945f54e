/* How many CPUs this process may use. A container often shows all CPUs of the machine in the
 * affinity mask but grants the time of a few: the quota in `cpu.max` ("max 100000" or
 * "150000 100000", microseconds of CPU time per period) limits that, in the process's own cgroup
 * or in any above it. Files are read without stdio, which would allocate behind the host's
 * allocator. */
#define _GNU_SOURCE
#include "core/cpu.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TEXT_SIZE 4096 /* of /proc/self/cgroup, and of a path */

/* A small file as text; "" when it cannot be read. */
static void read_text(const char *path, char *text, size_t size)
{
    text[0] = '\0';
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return;
    const ssize_t length = read(file, text, size - 1);
    text[length > 0 ? length : 0] = '\0';
    close(file);
}

/* "quota period" to CPUs, rounded up; INT32_MAX for "max" and for anything else. */
static int32_t parse_quota(const char *text)
{
    char *end;
    const long long quota = strtoll(text, &end, 10);
    if (end == text || quota <= 0)
        return INT32_MAX;
    const long long period = strtoll(end, NULL, 10);
    if (period <= 0)
        return INT32_MAX;
    const long long cpus = quota / period + (quota % period != 0);
    return cpus < INT32_MAX ? (int32_t)cpus : INT32_MAX;
}

int32_t beit__cgroup_cpus(const char *membership, const char *root)
{
    static const char version_2[] = "0::"; /* the line of the unified hierarchy */
    char text[TEXT_SIZE];
    read_text(membership, text, sizeof text);
    char *group = strncmp(text, version_2, strlen(version_2)) == 0 ? text : strstr(text, "\n0::");
    if (!group)
        return INT32_MAX;
    group += strcspn(group, "/");
    group[strcspn(group, "\n")] = '\0';

    int32_t least = INT32_MAX;
    for (;;) { /* from the process's own group up to the root of what is visible */
        char path[TEXT_SIZE], quota[64];
        if (snprintf(path, sizeof path, "%s%s/cpu.max", root, group) < (int)sizeof path) {
            read_text(path, quota, sizeof quota);
            const int32_t cpus = parse_quota(quota);
            least = cpus < least ? cpus : least;
        }
        char *last = strrchr(group, '/');
        if (!last)
            return least;
        *last = '\0';
    }
}

/* The affinity mask; machines with more CPUs than cpu_set_t holds answer by the online count. */
static int32_t affinity_cpus(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        return CPU_COUNT(&set);
    const long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (int32_t)online : 1;
}

int32_t beit__cpu_count(void)
{
    const int32_t affinity = affinity_cpus();
    const int32_t quota = beit__cgroup_cpus("/proc/self/cgroup", "/sys/fs/cgroup");
    return affinity < quota ? affinity : quota;
}
