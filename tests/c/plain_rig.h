/* A table, a configuration and a request for the tests of plain answers. */
#ifndef PLAIN_RIG_H
#define PLAIN_RIG_H

#include "guard.h"
#include "sipfast.h"

#define NOW_S 1700000000U
#define RECORDS 16U
#define HEAP 4096U

static const uint8_t peer[6] = {192, 0, 2, 1, 0x13, 0xC4}; /* 192.0.2.1:5060 */

/* VIP port 5060, 64 headers, entries: redirect domain r.example (default), own 192.0.2.10:5060 */
static const uint8_t config[] = {
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0xC4, 0x13, 64, 0, 2, 0, 0, 0,
    11, 9, 0, 0, 'r', '.', 'e', 'x', 'a', 'm', 'p', 'l', 'e',
    0, 10, 0xC4, 0x13, '1', '9', '2', '.', '0', '.', '2', '.', '1', '0',
};

/* one binding: q 700, expires NOW_S + 60, contact sip:b@h */
static const uint8_t value[] = {
    1, 0, 24, 2, 0xBC, 0x65, 0x53, 0xF1, 0x3C, 0, 0, 0, 0, 0, 0, 0, 0,
    1, 0, 7, 's', 'i', 'p', ':', 'b', '@', 'h',
};

static const char request[] =
    "INVITE sip:bob@r.example SIP/2.0\r\nVia: SIP/2.0/UDP a:5061;rport;Branch=z9\r\nv: b\r\n"
    "From: \"A B\" <sip:a@b>;tag=f\r\nTo: <sip:bob@r.example>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n"
    "Content-Length: 0\r\n\r\n";

/* A table with the user bob, right before a forbidden page. */
static inline uint8_t *table_of_bob(uint32_t *size)
{
    *size = (uint32_t)sf_table_size(RECORDS, HEAP);
    uint8_t *mem = guarded(*size);
    CHECK(sf_table_init(mem, *size, RECORDS, (const uint8_t *)"0123456789abcdef") == SF_OK);
    CHECK(sf_table_put(mem, *size, (const uint8_t *)"abob@r.example", 14, value, sizeof value)
          == SF_OK);
    return mem;
}

#endif
