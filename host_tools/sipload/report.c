/* What a run gives: latencies, processor time of the target, and the JSON report. */
#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static unsigned bucket_of(uint64_t value)
{
    if (value < 1u << SL_SUB_BITS) {
        return (unsigned)value;
    }
    unsigned top = 63u - (unsigned)__builtin_clzll(value);
    return ((top - SL_SUB_BITS + 1) << SL_SUB_BITS) + (unsigned)((value >> (top - SL_SUB_BITS)) & 31);
}

static uint64_t bucket_value(unsigned bucket)
{
    unsigned shift = bucket >> SL_SUB_BITS;
    return shift ? (uint64_t)((bucket & 31) + 32) << (shift - 1) : bucket;
}

static double percentile_us(const struct load *load, double share)
{
    uint64_t wanted = (uint64_t)((double)load->answered * share), seen = 0;
    for (unsigned i = 0; i < SL_BUCKETS; i++) {
        seen += load->histogram[i];
        if (seen > wanted) {
            return (double)bucket_value(i) / 1000.0;
        }
    }
    return 0.0;
}

void sl_count_latency(struct load *load, uint64_t latency_ns)
{
    load->answered++;
    load->histogram[bucket_of(latency_ns)]++;
    load->slowest_ns = latency_ns > load->slowest_ns ? latency_ns : load->slowest_ns;
}

double sl_cpu_seconds(const char *pids)
{
    double total = 0;
    char *list = strdup(pids), *rest = list, *pid;
    while ((pid = strsep(&rest, ",")) != NULL) {
        char path[64], line[1024];
        snprintf(path, sizeof path, "/proc/%.20s/stat", pid);
        FILE *file = fopen(path, "r");
        if (!file) {
            sl_die("no such process", pid);
        }
        size_t n = fread(line, 1, sizeof line - 1, file);
        fclose(file);
        line[n] = '\0';
        char *words = strrchr(line, ')'); /* the name before it may hold anything */
        unsigned long user = 0, system = 0;
        if (words) {
            sscanf(words + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system);
        }
        total += (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
    }
    free(list);
    return total;
}

void sl_report(const struct load *load, double used_s)
{
    double seconds = load->options.seconds;
    double whole = (double)(sl_now_ns() - load->start_ns);
    printf("{\"offered\": %llu, \"answered\": %llu, \"wrong\": %llu, \"lost\": %llu, "
           "\"foreign\": %llu, \"challenged\": %llu, \"seconds\": %.3f, \"per_second\": %.1f, "
           "\"p50_us\": %.1f, \"p99_us\": %.1f, \"p99_9_us\": %.1f, \"max_us\": %.1f, "
           "\"generator_busy\": %.3f, ",
           (unsigned long long)load->offered, (unsigned long long)load->answered,
           (unsigned long long)load->wrong, (unsigned long long)load->lost,
           (unsigned long long)load->foreign, (unsigned long long)load->challenged, seconds,
           (double)load->answered / seconds, percentile_us(load, 0.5), percentile_us(load, 0.99),
           percentile_us(load, 0.999), (double)load->slowest_ns / 1000.0,
           1.0 - (double)load->idle_ns / whole);
    if (used_s >= 0 && load->answered) {
        printf("\"target_cpu_us\": %.3f}\n", used_s * 1e6 / (double)load->answered);
    } else {
        printf("\"target_cpu_us\": null}\n");
    }
}

