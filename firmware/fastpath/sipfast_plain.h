/* A request of the plain kind, taken apart; private to the fast path. */
#ifndef SIPFAST_PLAIN_H
#define SIPFAST_PLAIN_H

#include "sipfast.h"

#define DEFAULT_PORT 5060U /* RFC 3261 19.1.2 */
#define HOST_OCTETS 255U

#define METHOD_INVITE 1U
#define METHOD_ACK 2U
#define METHOD_CANCEL 4U
#define METHOD_OPTIONS 5U
#define METHOD_REGISTER 6U

#define HEADER_VIA 1U
#define HEADER_FROM 2U
#define HEADER_TO 3U
#define HEADER_CALL_ID 4U
#define HEADER_CSEQ 5U
#define HEADER_MAX_FORWARDS 6U
#define HEADER_CONTENT_LENGTH 8U
#define HEADER_ROUTE 11U
#define HEADER_REQUIRE 13U
#define HEADER_IDS 47U

/* Octets of the message, or none where length is 0. */
typedef struct {
    uint32_t at;
    uint32_t length;
} piece;

typedef struct {
    const uint8_t *buf;
    const uint16_t *spans;
    uint32_t headers;
    uint32_t method;
    piece via, from, to, call_id, cseq; /* values; via: of the first Via header */
    piece to_tag;
    piece via_host;
    uint32_t via_head;     /* octets of the via value before its parameters */
    uint32_t via_port;     /* 0: none */
    uint32_t has_rport;    /* a parameter of the via, with or without a value */
    uint32_t has_received;
    piece user;            /* of the Request-URI */
    uint8_t host[HOST_OCTETS]; /* of the Request-URI, lower case */
    uint32_t host_length;
    uint32_t port;         /* 0: none */
    uint32_t has_params;   /* the Request-URI has parameters */
} plain;

/* Sets of octets, one bit each, of those below 128. */
typedef struct {
    uint32_t bits[4];
} octet_set;

static inline uint32_t is_in(const octet_set *set, uint8_t octet)
{
    return octet < 128 ? (set->bits[octet >> 5] >> (octet & 31U)) & 1U : 0;
}

static inline uint8_t lower(uint8_t octet)
{
    return octet >= 'A' && octet <= 'Z' ? (uint8_t)(octet + 32U) : octet;
}

/* Take the request in buf[0..length) apart: 1, or 0 when it is not of the plain kind. spans: as
 * for sf_scan, of `capacity` items; *p points into both. O(length). */
uint32_t sf_plain_read(plain *p, const uint8_t *buf, uint32_t length, uint16_t *spans,
                       uint32_t capacity);

#endif
