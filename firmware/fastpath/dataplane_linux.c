/* Batches of datagrams on a UDP socket: receive, answer, send. sipplane.h is the manual. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* recvmmsg, sendmmsg */
#endif
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "sipplane.h"

#define RELAY_HEAD 12U
#define SOURCE_OCTETS 6U
#define RELAY_MAGIC 0x5EU
#define RELAY_VERSION 0x10U
#define DATAGRAM_OCTETS 65536U
#define ANSWER_OCTETS 8192U
/* beside the octets: so that the beginnings of all slots do not share one set of the cache */
#define SKEW 1088U

typedef struct {
    struct mmsghdr in[SP_BATCH], out[SP_BATCH];
    struct iovec in_parts[SP_BATCH], out_parts[SP_BATCH];
    struct sockaddr_in in_names[SP_BATCH], out_names[SP_BATCH];
    uint32_t work[SF_ANSWER_WORK / 4U];
    uint8_t datagrams[SP_BATCH][DATAGRAM_OCTETS + SKEW];
    uint8_t answers[SP_BATCH][ANSWER_OCTETS + SKEW];
} batch_memory;

typedef struct {
    int fd;
    uint32_t relay_port;
    const uint8_t *config;
    uint32_t config_length;
    const void *mem;
    uint32_t size;
    const uint8_t *sources;
    uint32_t source_count;
    uint32_t now_s;
    uint32_t hand_all;
    batch_memory *m;
    uint32_t *report;
    uint32_t answers; /* of this batch, to be sent */
} turn;

int32_t sp_size(void)
{
    return (int32_t)sizeof(batch_memory);
}

static void set_up(batch_memory *m, uint32_t i)
{
    m->in_parts[i].iov_base = m->datagrams[i];
    m->in_parts[i].iov_len = DATAGRAM_OCTETS;
    memset(&m->in[i], 0, sizeof m->in[i]);
    m->in[i].msg_hdr.msg_iov = &m->in_parts[i];
    m->in[i].msg_hdr.msg_iovlen = 1;
    m->in[i].msg_hdr.msg_name = &m->in_names[i];
    m->in[i].msg_hdr.msg_namelen = sizeof m->in_names[i];
}

/* Add an item to the report; start: where the octets are. */
static void report_item(turn *t, uint32_t kind, const uint8_t *start, uint32_t length,
                        const uint8_t *peer, uint32_t i)
{
    const struct sockaddr_in *name = &t->m->in_names[i];
    uint32_t *item = t->report + SP_REPORT + t->report[0]++ * SP_ITEM;
    item[0] = kind;
    item[1] = (uint32_t)(start - (const uint8_t *)t->m);
    item[2] = length;
    item[3] = (uint32_t)peer[0] << 24 | (uint32_t)peer[1] << 16 | (uint32_t)peer[2] << 8 | peer[3];
    item[4] = (uint32_t)peer[4] << 8 | peer[5];
    item[5] = ntohl(name->sin_addr.s_addr);
    item[6] = ntohs(name->sin_port);
}

/* Address answer `i` of the batch: octets at out + head, to the port of the result. */
static void queue_answer(turn *t, uint32_t i, const uint8_t *peer, uint32_t port, uint32_t length)
{
    batch_memory *m = t->m;
    uint32_t at = t->answers++;
    uint8_t *head = m->answers[at];
    m->out_names[at] = m->in_names[i];
    m->out_parts[at].iov_base = head;
    m->out_parts[at].iov_len = length;
    memset(&m->out[at], 0, sizeof m->out[at]);
    m->out[at].msg_hdr.msg_iov = &m->out_parts[at];
    m->out[at].msg_hdr.msg_iovlen = 1;
    m->out[at].msg_hdr.msg_name = &m->out_names[at];
    m->out[at].msg_hdr.msg_namelen = sizeof m->out_names[at];
    if (t->relay_port == 0) {
        m->out_names[at].sin_port = htons((uint16_t)port);
        return;
    }
    m->out_parts[at].iov_len += RELAY_HEAD;
    memset(head, 0, RELAY_HEAD);
    head[0] = RELAY_MAGIC;
    head[1] = RELAY_VERSION;
    memcpy(head + 4, peer, 4);
    head[8] = (uint8_t)(port >> 8);
    head[9] = (uint8_t)port;
    head[10] = (uint8_t)(t->relay_port >> 8);
    head[11] = (uint8_t)t->relay_port;
}

/* The peer of datagram `i` into peer[6]: 0 where the relay header is malformed. */
static uint32_t read_peer(const turn *t, uint32_t i, uint32_t length, uint8_t *peer)
{
    const uint8_t *head = t->m->datagrams[i];
    if (t->relay_port == 0) {
        memcpy(peer, &t->m->in_names[i].sin_addr, 4);
        memcpy(peer + 4, &t->m->in_names[i].sin_port, 2);
        return 1;
    }
    if (length < RELAY_HEAD || head[0] != RELAY_MAGIC || head[1] != RELAY_VERSION
        || !(head[8] | head[9]) || !(head[10] | head[11])) {
        return 0;
    }
    memcpy(peer, head + 4, 6);
    return 1;
}

/* Did datagram `i` come from one whose relayed datagrams are answered? */
static uint32_t is_trusted(const turn *t, uint32_t i)
{
    const struct sockaddr_in *name = &t->m->in_names[i];
    if (t->relay_port == 0) {
        return 1;
    }
    for (uint32_t at = 0; at < t->source_count; at++) {
        const uint8_t *source = t->sources + at * SOURCE_OCTETS;
        if (memcmp(source, &name->sin_addr, 4) == 0 && memcmp(source + 4, &name->sin_port, 2) == 0) {
            return 1;
        }
    }
    return 0;
}

/* Answer datagram `i`, or put it into the report. */
static void take(turn *t, uint32_t i)
{
    uint32_t head = t->relay_port ? RELAY_HEAD : 0;
    uint32_t length = t->m->in[i].msg_len;
    const uint8_t *octets = t->m->datagrams[i] + head;
    uint8_t peer[6];
    uint32_t result[4];
    if (!read_peer(t, i, length, peer)) {
        t->report[7]++;
        return;
    }
    length -= head;
    int32_t rc = t->hand_all || !is_trusted(t, i)
                     ? SF_NOT_PLAIN
                     : sf_answer(t->config, t->config_length, t->mem, t->size, octets, length,
                                 peer, t->now_s, t->m->work, t->m->answers[t->answers] + head,
                                 ANSWER_OCTETS - head, result);
    if (rc < 0) {
        report_item(t, SP_HANDED, octets, length, peer, i);
        return;
    }
    t->report[1]++;
    t->report[2 + result[0]]++;
    if (rc > 0) {
        t->report[2]++;
        queue_answer(t, i, peer, result[1], (uint32_t)rc);
    }
    if (result[3]) {
        report_item(t, SP_INVITE, octets + result[2], result[3], peer, i);
    }
}

/* Send the answers of the batch; one that the kernel refuses is counted and lost. */
static void send_answers(turn *t)
{
    uint32_t at = 0;
    while (at < t->answers) {
        int sent = sendmmsg(t->fd, t->m->out + at, t->answers - at, MSG_DONTWAIT);
        if (sent <= 0) {
            t->report[8]++;
            sent = 1;
        }
        at += (uint32_t)sent;
    }
}

int32_t sp_turn(uint32_t fd, uint32_t relay_port, const uint8_t *config, uint32_t config_length,
                const void *mem, uint32_t size, const uint8_t *sources, uint32_t source_count,
                uint32_t now_s, uint32_t hand_all, void *plane, uint32_t *report)
{
    if (!plane || ((uintptr_t)plane & 15U) || !report || relay_port > 0xFFFFU) {
        return SF_BAD_ARGUMENT;
    }
    turn t = {(int)fd, relay_port, config, config_length, mem, size, sources, source_count, now_s,
              hand_all, plane, report, 0};
    memset(report, 0, SP_REPORT * sizeof *report);
    for (uint32_t batch = 0; batch < SP_BATCHES && report[0] == 0; batch++) {
        for (uint32_t i = 0; i < SP_BATCH; i++) {
            set_up(t.m, i);
        }
        int count = recvmmsg(t.fd, t.m->in, SP_BATCH, MSG_DONTWAIT, NULL);
        if (count <= 0) {
            break;
        }
        t.answers = 0;
        for (uint32_t i = 0; i < (uint32_t)count; i++) {
            take(&t, i);
        }
        send_answers(&t);
    }
    return (int32_t)report[0];
}
