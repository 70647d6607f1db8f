/* The text of an answer: pieces of the request, with what the server notes in them. Private. */
#ifndef SIPFAST_OUTPUT_H
#define SIPFAST_OUTPUT_H

#include <string.h>

#include "sipfast_hash.h"
#include "sipfast_plain.h"

#define AT_KEY 0U /* of the configuration: the To tags' */
#define KEY_OCTETS SF_MAX_KEY
#define SPAN_ITEMS (SF_HEAD_ITEMS + SF_ANSWER_HEADERS * SF_HEADER_ITEMS)
#define TAG_OCTETS 16U

/* A literal as the octets and length that put() takes. */
#define TEXT(literal) (const uint8_t *)(literal), (uint32_t)(sizeof(literal) - 1U)

/* The parts of the caller's work memory: spans, then the key, then the value. */
typedef struct {
    uint16_t spans[SPAN_ITEMS];
    uint8_t key[KEY_OCTETS];
    uint8_t value[SF_MAX_VALUE];
} work_area;

typedef char work_area_fits[sizeof(work_area) <= SF_ANSWER_WORK ? 1 : -1];

typedef struct {
    const uint8_t *config;
    uint32_t config_length;
    const void *mem;
    uint32_t size;
    const uint8_t *peer;
    uint32_t now_s;
    work_area *work;
    uint8_t address[16]; /* the peer's, dotted */
    uint32_t address_length;
    uint8_t tag[TAG_OCTETS];
} context;

typedef struct {
    uint8_t *octets;
    uint32_t used;
    uint32_t capacity;
    uint32_t is_full;
} output;

static inline void put(output *out, const uint8_t *octets, uint32_t length)
{
    if (out->is_full || length > out->capacity - out->used) {
        out->is_full = 1;
        return;
    }
    if (length) {
        memcpy(out->octets + out->used, octets, length);
        out->used += length;
    }
}

static inline void put_number(output *out, uint32_t number)
{
    uint8_t digits[10];
    uint32_t at = sizeof digits;
    do {
        digits[--at] = (uint8_t)('0' + number % 10U);
        number /= 10U;
    } while (number);
    put(out, digits + at, (uint32_t)sizeof digits - at);
}

static inline void put_piece(output *out, const plain *p, piece part)
{
    put(out, p->buf + part.at, part.length);
}

/* Thousandths in the shortest form: 1, 0.7, 0 (headers.py format_q). */
static inline void put_q(output *out, uint32_t q)
{
    uint8_t digits[3] = {(uint8_t)('0' + q / 100U % 10U), (uint8_t)('0' + q / 10U % 10U),
                         (uint8_t)('0' + q % 10U)};
    uint32_t length = 3;
    if (q >= 1000U) {
        put(out, TEXT("1"));
        return;
    }
    while (length && digits[length - 1U] == '0') {
        length--;
    }
    put(out, (const uint8_t *)"0.", length ? 2 : 1);
    put(out, digits, length);
}

static inline void write_address(context *c)
{
    output out = {c->address, 0, sizeof c->address, 0};
    for (uint32_t i = 0; i < 4; i++) {
        if (i) {
            put(&out, TEXT("."));
        }
        put_number(&out, c->peer[i]);
    }
    c->address_length = out.used;
}

/* Our To tag of a call: SipHash of the Call-ID in hex (secrets.py). */
static inline void write_tag(context *c, const plain *p)
{
    static const char hex[] = "0123456789abcdef";
    uint8_t hash[8];
    set64(hash, sip_of(c->config + AT_KEY, p->buf + p->call_id.at, p->call_id.length));
    for (uint32_t i = 0; i < TAG_OCTETS; i++) {
        c->tag[i] = (uint8_t)hex[i & 1U ? hash[i >> 1] & 15U : hash[i >> 1] >> 4];
    }
}

/* The parameters of the via but received and rport, names in lower case (headers.py Via). */
static inline void put_via_params(output *out, const plain *p)
{
    uint32_t at = p->via.at + p->via_head;
    uint32_t end = p->via.at + p->via.length;
    while (at < end) {
        uint32_t name = at + 1U;
        uint32_t name_end = name;
        uint32_t is_rport = 1;
        uint32_t is_received = 1;
        while (name_end < end && p->buf[name_end] != '=' && p->buf[name_end] != ';') {
            uint32_t i = name_end - name;
            uint8_t octet = lower(p->buf[name_end++]);
            is_rport &= (uint32_t)(i < 5 && octet == (uint8_t)"rport"[i]);
            is_received &= (uint32_t)(i < 8 && octet == (uint8_t)"received"[i]);
        }
        is_rport &= (uint32_t)(name_end - name == 5);
        is_received &= (uint32_t)(name_end - name == 8);
        for (at = name_end; at < end && p->buf[at] != ';'; at++) {
        }
        if (is_rport || is_received) {
            continue;
        }
        put(out, TEXT(";"));
        for (uint32_t i = name; i < name_end; i++) {
            uint8_t octet = lower(p->buf[i]);
            put(out, &octet, 1);
        }
        put(out, p->buf + name_end, at - name_end);
    }
}

/* The topmost Via with what the server notes in it (RFC 3261 18.2.1, RFC 3581 4). */
static inline void put_via(output *out, const context *c, const plain *p)
{
    uint32_t is_same = p->via_host.length == c->address_length
                       && equal(p->buf + p->via_host.at, c->address, c->address_length);
    if (p->has_rport || p->has_received) {
        put(out, p->buf + p->via.at, p->via_head);
        put_via_params(out, p);
    } else {
        put_piece(out, p, p->via);
    }
    if (p->has_rport || !is_same) {
        put(out, TEXT(";received="));
        put(out, c->address, c->address_length);
    }
    if (p->has_rport) {
        put(out, TEXT(";rport="));
        put_number(out, get16_big(c->peer + 4));
    }
}

/* Status line and the lines every answer copies (RFC 3261 8.2.6.2). */
static inline void put_head(output *out, const context *c, const plain *p, const uint8_t *status,
                     uint32_t length)
{
    uint32_t vias = 0;
    put(out, status, length);
    put(out, TEXT("\r\nVia: "));
    put_via(out, c, p);
    for (uint32_t i = 0; i < p->headers; i++) {
        const uint16_t *item = p->spans + SF_HEAD_ITEMS + i * SF_HEADER_ITEMS;
        if (item[0] == HEADER_VIA && vias++) {
            put(out, TEXT("\r\nVia: "));
            put(out, p->buf + item[3], item[4]);
        }
    }
    put(out, TEXT("\r\nFrom: "));
    put_piece(out, p, p->from);
    put(out, TEXT("\r\nTo: "));
    put_piece(out, p, p->to);
    if (p->to_tag.length == 0) {
        put(out, TEXT(";tag="));
        put(out, c->tag, TAG_OCTETS);
    }
    put(out, TEXT("\r\nCall-ID: "));
    put_piece(out, p, p->call_id);
    put(out, TEXT("\r\nCSeq: "));
    put_piece(out, p, p->cseq);
    put(out, TEXT("\r\n"));
}

#endif
