/* The send and receive loop of a run.
 *
 * Closed loop: --window exchanges are always under way. Open loop: --rate of them are begun each
 * second, and latency counts from the moment one should have begun. One thread, one socket, and a
 * second socket for the called phones of a proxied load.
 */
#include "load.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <time.h>

#define SHOWN_FAULTS 3

uint64_t sl_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * SL_NS + (uint64_t)now.tv_nsec;
}

/* ---- the loop ---- */

static void flush(struct load *load, int fd)
{
    unsigned done = 0;
    while (done < load->out.count) {
        int sent = sendmmsg(fd, load->out.headers + done, load->out.count - done, 0);
        if (sent < 0 && errno != EINTR && errno != EAGAIN) {
            done++; /* refused by the peer's host (ICMP): it shows as lost */
        } else if (sent > 0) {
            done += (unsigned)sent;
        }
    }
    load->out.count = 0;
}

/* Room for one more datagram to `peer`; queue() then takes the length written there. */
static char *stage(struct load *load, int fd, const struct sockaddr_in *peer)
{
    if (load->out.count == SL_BATCH) {
        flush(load, fd);
    }
    unsigned i = load->out.count;
    load->out.peers[i] = *peer;
    load->out.headers[i].msg_hdr.msg_name = &load->out.peers[i];
    load->out.headers[i].msg_hdr.msg_namelen = sizeof *peer;
    return load->out.buffers[i];
}

static void queue(struct load *load, size_t length)
{
    if (length) {
        load->out.parts[load->out.count++].iov_len = length;
    }
}

static uint32_t pick(struct load *load, uint64_t seq)
{
    if (load->run.scenario == SL_REGISTER) {
        return (uint32_t)(seq % load->subscriber_count);
    }
    load->random ^= load->random << 13; /* xorshift64 */
    load->random ^= load->random >> 7;
    load->random ^= load->random << 17;
    return (uint32_t)((load->random >> 16) % load->subscriber_count);
}

static void begin(struct load *load, uint64_t due_ns)
{
    struct slot *slot = &load->slots[load->next & load->slot_mask];
    *slot = (struct slot){.seq = load->next++, .begun_ns = due_ns, .is_open = 1};
    slot->subscriber = pick(load, slot->seq);
    slot->is_measured = due_ns >= load->measure_ns && due_ns < load->end_ns;
    load->offered += slot->is_measured;
    load->open++;
    char *out = stage(load, load->fd, &load->run.target);
    const struct sl_subscriber *who = &load->subscribers[slot->subscriber];
    queue(load, sl_build_request(&load->run, out, slot->seq, 0, who));
}

static void close_slot(struct load *load, struct slot *slot)
{
    slot->is_open = 0;
    load->open--;
}

/* Begin what is due now; return how many exchanges. */
static unsigned begin_due(struct load *load, uint64_t now)
{
    const struct options *options = &load->options;
    unsigned begun = 0;
    if (now >= load->end_ns) {
        return 0;
    }
    while (begun < SL_BATCH && load->next - load->oldest <= load->slot_mask) {
        uint64_t due = now;
        if (options->rate > 0) {
            due = load->start_ns + (uint64_t)((double)load->next * SL_NS / options->rate);
            if (due > now) {
                break;
            }
        } else if (load->open >= options->window) {
            break;
        }
        begin(load, due);
        begun++;
    }
    flush(load, load->fd);
    return begun;
}

static void take_answer(struct load *load, const char *buf, size_t n, uint64_t now)
{
    uint64_t seq;
    unsigned status = 0;
    const char *why = "an answer without our branch";
    struct slot *slot = NULL;
    if (sl_find_exchange(&load->run, buf, n, &seq) == 0) {
        slot = &load->slots[seq & load->slot_mask];
    }
    if (!slot || !slot->is_open || slot->seq != seq) {
        load->foreign++; /* not ours, repeated, or after its time-out */
        return;
    }
    const struct sl_subscriber *who = &load->subscribers[slot->subscriber];
    enum sl_verdict verdict = sl_check_answer(&load->run, buf, n, seq, who, &status, &why);
    if (verdict == SL_PROVISIONAL) {
        return;
    }
    if (verdict == SL_CHALLENGED) {
        load->challenged++;
        char *out = stage(load, load->fd, &load->run.target);
        queue(load, sl_build_request(&load->run, out, seq, 1, who));
        return;
    }
    if (load->run.method == SL_INVITE) {
        char *out = stage(load, load->fd, &load->run.target);
        queue(load, sl_build_ack(&load->run, out, seq, status, who, buf, n));
    }
    close_slot(load, slot);
    if (verdict == SL_RIGHT) {
        if (slot->is_measured) {
            sl_count_latency(load, now - slot->begun_ns);
        }
        return;
    }
    load->wrong += slot->is_measured;
    if (load->shown++ < SHOWN_FAULTS) {
        fprintf(stderr, "sipload: %s for %s:\n%.*s\n", why, who->aor, (int)n, buf);
    }
}

static int receive(struct load *load, int fd)
{
    for (unsigned i = 0; i < SL_BATCH; i++) {
        load->in.headers[i].msg_hdr.msg_name = &load->in.peers[i];
        load->in.headers[i].msg_hdr.msg_namelen = sizeof load->in.peers[i];
    }
    return recvmmsg(fd, load->in.headers, SL_BATCH, 0, NULL);
}

static int take_answers(struct load *load)
{
    int count = receive(load, load->fd);
    uint64_t now = sl_now_ns();
    for (int i = 0; i < count; i++) {
        take_answer(load, load->in.buffers[i], load->in.headers[i].msg_len, now);
    }
    flush(load, load->fd);
    return count;
}

static int answer_calls(struct load *load)
{
    int count = load->callee_fd < 0 ? 0 : receive(load, load->callee_fd);
    for (int i = 0; i < count; i++) {
        char *out = stage(load, load->callee_fd, &load->in.peers[i]);
        size_t n = load->in.headers[i].msg_len;
        queue(load, sl_build_callee_answer(load->in.buffers[i], n, out));
    }
    flush(load, load->callee_fd);
    return count;
}

static void give_up(struct load *load, uint64_t now)
{
    uint64_t timeout = (uint64_t)(load->options.timeout * SL_NS);
    while (load->oldest < load->next) {
        struct slot *slot = &load->slots[load->oldest & load->slot_mask];
        if (slot->is_open) {
            if (now - slot->begun_ns < timeout || now < slot->begun_ns) {
                return;
            }
            load->lost += slot->is_measured;
            close_slot(load, slot);
        }
        load->oldest++;
    }
}

static void wait_for_work(struct load *load, uint64_t now)
{
    struct pollfd fds[2] = {{load->fd, POLLIN, 0}, {load->callee_fd, POLLIN, 0}};
    struct timespec nap = {0, 200000}; /* the next request of an open loop is never far */
    ppoll(fds, load->callee_fd < 0 ? 1 : 2, &nap, NULL);
    load->idle_ns += sl_now_ns() - now;
}

double sl_run_load(struct load *load)
{
    double before = -1, used = -1;
    load->start_ns = sl_now_ns();
    load->measure_ns = load->start_ns + (uint64_t)(load->options.warm * SL_NS);
    load->end_ns = load->measure_ns + (uint64_t)(load->options.seconds * SL_NS);
    for (;;) {
        uint64_t now = sl_now_ns();
        if (load->options.pids && before < 0 && now >= load->measure_ns) {
            before = sl_cpu_seconds(load->options.pids);
        }
        if (load->options.pids && used < 0 && now >= load->end_ns) {
            used = sl_cpu_seconds(load->options.pids) - before;
        }
        if (now >= load->end_ns && !load->open) {
            return used;
        }
        unsigned worked = begin_due(load, now);
        worked += take_answers(load) > 0;
        worked += answer_calls(load) > 0;
        give_up(load, now);
        if (!worked) {
            wait_for_work(load, now);
        }
    }
}

