/* The state of one run, and what its three parts give each other. */
#ifndef SIPLOAD_LOAD_H
#define SIPLOAD_LOAD_H

#include "sipload.h"

#include <sys/socket.h>

#define SL_BATCH 64
#define SL_NS 1000000000u
#define SL_SUB_BITS 5 /* latency buckets: 32 for each doubling, 3 % wide */
#define SL_BUCKETS (64 << SL_SUB_BITS)

/* one exchange under way; its place is its sequence number modulo the ring */
struct slot {
    uint64_t seq;
    uint64_t begun_ns;
    uint32_t subscriber;
    uint8_t is_open;
    uint8_t is_measured;
};

struct options {
    double rate, seconds, warm, timeout;
    unsigned window;
    int cpu;
    int is_anywhere;
    const char *aors, *bind, *callee, *pids;
};

struct batch {
    struct mmsghdr headers[SL_BATCH];
    struct iovec parts[SL_BATCH];
    struct sockaddr_in peers[SL_BATCH];
    char buffers[SL_BATCH][2 * SL_DATAGRAM];
    unsigned count;
};

struct load {
    struct options options;
    struct sl_run run;
    struct sl_subscriber *subscribers;
    uint32_t subscriber_count;
    int fd, callee_fd;
    struct slot *slots;
    uint64_t slot_mask, next, oldest;
    unsigned open;
    uint64_t random;
    uint64_t start_ns, measure_ns, end_ns;
    uint64_t offered, answered, wrong, lost, foreign, challenged;
    uint64_t histogram[SL_BUCKETS], slowest_ns, idle_ns;
    unsigned shown;
    struct batch out, in;
};

/* End the program, exit code 2, with one sentence. */
void sl_die(const char *what, const char *detail);

uint64_t sl_now_ns(void);

/* Run the load to its end; returns the processor seconds of --pids in the measured time, or -1. */
double sl_run_load(struct load *load);

/* Count one right answer that took `latency_ns`. */
void sl_count_latency(struct load *load, uint64_t latency_ns);

/* User and system seconds that the processes of a comma-separated list have used so far. */
double sl_cpu_seconds(const char *pids);

/* Print the run as one JSON object. */
void sl_report(const struct load *load, double used_s);

#endif
