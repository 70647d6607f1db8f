/* sipfast: location table, SIP message scanner and SipHash for the fast path.
 *
 * Portable C99 without heap, globals or library calls but memcpy and memset. State lives in memory
 * the caller owns; nothing keeps a pointer after return. Every function returns int32_t: a result
 * >= 0 or one of the codes below. `firmware/fastpath/layout.py` has the same numbers and
 * `pure*.py` the same functions in Python, which give the same octets for every input.
 */
#ifndef SIPFAST_H
#define SIPFAST_H

#include <stdint.h>

#define SF_OK 0
#define SF_SYNTAX (-1)       /* the input breaks the grammar; more octets will not mend it */
#define SF_PARTIAL (-2)      /* the input ends before the end of the message head */
#define SF_NO_SPACE (-3)     /* a caller's bound is reached; nothing was changed */
#define SF_BAD_ARGUMENT (-4) /* the call is wrong, or the memory is no table of this layout */
#define SF_NOT_FOUND (-5)
#define SF_CORRUPT (-6)      /* the region contradicts itself */
#define SF_BUSY (-7)         /* another process wrote during every try of a read */
#define SF_NOT_PLAIN (-8)    /* the message is Python's to answer */

/* ------------------------------------------------------------------------------------------------
 * Hashes
 */

/* SipHash-2-4 (Aumasson, Bernstein 2012) of buf[start..end) under key[16] into out[8], octets in
 * the order of the paper's vectors. O(end - start). BAD_ARGUMENT if start > end. */
int32_t sf_siphash(const uint8_t *key, const uint8_t *buf, uint32_t start, uint32_t end,
                   uint8_t *out);

/* Bucket 0..255 of a key in the database digest: out[0] of sf_siphash under the digest's public
 * key "SIP location db1", so equal on every card. */
int32_t sf_bucket(const uint8_t *key, uint32_t key_length);

/* ------------------------------------------------------------------------------------------------
 * SIP message scanner (RFC 3261 sections 7 and 25.1)
 *
 * sf_scan reads buf[0..length) once and writes u16 items to spans[0..capacity). capacity is at
 * least SF_HEAD_ITEMS; it bounds the headers: (capacity - SF_HEAD_ITEMS) / SF_HEADER_ITEMS.
 * Returns the number of headers; SYNTAX; PARTIAL: no end of the head yet, call again with more;
 * NO_SPACE: more headers than the spans hold, or a head past 65,535 octets; BAD_ARGUMENT. The
 * spans count only when the result is >= 0. O(length).
 *
 *   item 0   kind: 1 request, 2 response, 3 malformed request whose headers are good for a 400
 *        1   method: 1 INVITE ... 14 UPDATE (layout.py), 0 another; case-sensitive
 *        2,3 method: start, length          4,5 Request-URI: start, length
 *        6   version: major * 256 + minor   7   status 100..699, 0 in a request
 *        8,9 reason: start, length          10  start of the start line
 *        11  start of the body              12  length of the head: item 11 - item 10
 *        13  number of headers              14,15 zero
 *   then for each header, in order:
 *        +0  id (layout.py), compact forms and any case included; 0 another
 *        +1,2 name: start, length           +3,4 value without LWS at both ends: start, length
 *        +5  1 if the value holds a line fold, which means one space
 *
 * Policy. A line ends with CRLF or LF alone; a CR without LF is a SYNTAX error. Empty lines before
 * the start line are skipped (7.5). A NUL in the head is a SYNTAX error but as a quoted-pair in a
 * header value (RFC 4475 3.1.1.2 "intmeth"); other control characters in values pass unjudged.
 * Header names are tokens; SP and HTAB may stand before the colon. Versions other than 2.0 are
 * scanned (the answer to them is a 505). Kind 3 is a request line with a method, a version and
 * wrong spacing, no Request-URI, or octets in it outside %x21-7E. The reason phrase may be empty,
 * and then its SP missing. Octets behind the head are not looked at.
 */
#define SF_HEAD_ITEMS 16U
#define SF_HEADER_ITEMS 6U

int32_t sf_scan(const uint8_t *buf, uint32_t length, uint16_t *spans, uint32_t capacity);

/* ------------------------------------------------------------------------------------------------
 * Location table
 *
 * One region of the caller's memory, 4-aligned, at most 0x7FFFFFF0 octets: a bytearray, or a mapped
 * file, which then is the warm-start image too. All integers little-endian, whatever the machine.
 *
 *      0 magic "SFT1"          4 version u16 = 1       6 dirty u16        8 size u32
 *     12 sequence u32         16 level u64            24 birthday 8      32 seed 16
 *     48 records u32          52 slots u32            56 heap offset     60 heap granules u32
 *     64 top u32              68 free granules u32    72 digest u64      80..255 zero
 *    256 free lists: 71 u32                          540..2047 zero
 *   2048 bucket sums: 256 u64
 *   4096 index: slots u32        an entry is 5 bits of fingerprint | 27 bits of reference
 *   heap offset ...              granules of 16 octets; reference r is granule r - 1; 0 is none
 *
 * Index: open addressing with linear probing. Hash = SipHash-2-4(seed, key) read little-endian;
 * home slot = low bits, fingerprint = top 5 bits. At most three quarters of the slots are used.
 * Deletion shifts the rest of the run back, so no tombstone stays.
 *
 * Record: crc u32 (CRC-32 of all that follows to the end of the value) | low 32 bits of the hash |
 * klen u16 | vlen u16 | key | value, zeroed to the end of the granule. A block has 1..64 granules,
 * or 128, 256 ... 8192; free blocks of one size are chained through their first u32. A block is
 * taken from its own list, else from new ground, else by cutting a larger free one.
 *
 * Digest: the sum modulo 2^64 over all records of SipHash-2-4("SIP location db1", klen u16
 * big-endian | key | value), its octets read as a big-endian number; so it does not depend on the
 * order of changes. The bucket sums split it by sf_bucket of the key.
 *
 * Processes. One writer; sequence is odd during a write. sf_table_get may run in other processes
 * beside the writer. The others belong to the writer's process. dirty is set by the caller around
 * a run of rows and the level that belongs to them; sf_table_attach refuses a torn region.
 *
 * Every reference is checked before use: a corrupted region gives a wrong answer or CORRUPT, but no
 * access outside mem[0..size). `size` is the caller's, always checked against the header's.
 */
#define SF_MAX_KEY 1024U
#define SF_MAX_VALUE 0xFFFEU
#define SF_ROW_REMOVED 0xFFFFU

/* Octets of a region with an index for `records` and `heap` octets of heap; BAD_ARGUMENT if more
 * than the largest. A record takes 12 octets + key + value, rounded up to 16. */
int32_t sf_table_size(uint32_t records, uint32_t heap);

/* Make an empty table. seed[16] is this card's secret against crafted collisions. O(slots).
 * NO_SPACE if `size` cannot hold the index. */
int32_t sf_table_init(void *mem, uint32_t size, uint32_t records, const uint8_t *seed);

/* Check a region that was filled before: OK, BAD_ARGUMENT (other layout or size), CORRUPT (torn). */
int32_t sf_table_attach(const void *mem, uint32_t size);

/* Insert or replace. key 1..1024 octets, value 0..65534. OK; NO_SPACE: index or heap full. O(1). */
int32_t sf_table_put(void *mem, uint32_t size, const uint8_t *key, uint32_t key_length,
                     const uint8_t *value, uint32_t value_length);

/* Remove: OK or NOT_FOUND. O(1). */
int32_t sf_table_remove(void *mem, uint32_t size, const uint8_t *key, uint32_t key_length);

/* Find: span[0], span[1] = offset and length of the value in the region; NOT_FOUND. O(1). */
int32_t sf_table_find(const void *mem, uint32_t size, const uint8_t *key, uint32_t key_length,
                      uint32_t *span);

/* Copy the value to out[0..capacity) and return its length; NOT_FOUND; NO_SPACE if it is longer;
 * BUSY. Safe beside a writer in another process: the copy is taken between two equal, even
 * readings of the sequence. */
int32_t sf_table_get(const void *mem, uint32_t size, const uint8_t *key, uint32_t key_length,
                     uint8_t *out, uint32_t capacity);

/* Apply `count` rows of rows[start..end): klen u16 | vlen u16 | key | value, big-endian; vlen
 * 0xFFFF removes. BAD_ARGUMENT, with nothing changed, unless the rows fill the span exactly;
 * else count, or the code of the row that failed (rows before it stay applied). */
int32_t sf_table_apply(void *mem, uint32_t size, const uint8_t *rows, uint32_t start,
                       uint32_t end, uint32_t count);

/* The record in the first used slot >= cursor: spans[0..3] = key offset, key length, value offset,
 * value length. Returns the cursor to go on with; NOT_FOUND at the end; CORRUPT. */
int32_t sf_table_next(const void *mem, uint32_t size, uint32_t cursor, uint32_t *spans);

/* Check CRC, span and hash of the records of `count` slots. Returns the cursor to go on with, 0
 * after the last slot, CORRUPT at the first bad record. */
int32_t sf_table_audit(const void *mem, uint32_t size, uint32_t cursor, uint32_t count);

/* Put the records of `count` slots into another table. Returns as audit, or the put's code. */
int32_t sf_table_copy(const void *mem, uint32_t size, void *other, uint32_t other_size,
                      uint32_t cursor, uint32_t count);

/* ------------------------------------------------------------------------------------------------
 * Plain answers (sipfast_answer.c): what a redirect server says to a request of the plain kind
 *
 * sf_answer writes the whole answer of `firmware/proxy/server.py`, octet for octet, or returns
 * NOT_PLAIN and leaves the message to it. Plain are: one via-parm in the first
 * Via header, by UDP; From and To with a name-addr and at most a tag; no folded header, no Route, no
 * Require; a sip URI without password, escapes or headers; and of those
 *
 *      a request for a user of a redirect domain, but REGISTER, CANCEL and methods without an id:
 *          302 with every live contact (RFC 3261 8.3), 480 without one, 404 for an unknown user.
 *          A contact that has the domain's name in it may be the Request-URI itself: not plain;
 *      OPTIONS about this card or the VIP: 200 (11.2);
 *      ACK to a failure of our own (17.1.1.3), whose To has our tag, or that is for a user of a
 *          redirect domain or for this card or the VIP: no answer.
 *
 * config[0..config_length), made by firmware/cards/plain_linux.py, integers little-endian:
 *
 *      0 key of To tags 16 | 16 VIP port u16 | 18 most headers u16 | 20 entries u16 | 22 zero u16
 *      24 entries: flags u8 | length of name u8 | port u16 | name
 *
 * An entry is an own address (flags 0, with its port), or a domain (port 0): SF_DOMAIN, SF_REDIRECT,
 * SF_NUMERIC (an IPv4 address), SF_DEFAULT (the domain the VIP's address stands for).
 *
 * peer[6]: the sender, IPv4 address and port, big-endian. now_s: Unix seconds. work: SF_ANSWER_WORK
 * octets, 4-aligned. Returns the octets written to out[0..capacity), 0 for an ACK that needs no
 * answer, NOT_PLAIN, or BAD_ARGUMENT; and then result[0] = SF_DID_..., result[1] = the port to answer
 * to (RFC 3261 18.2.2, RFC 3581), result[2], [3] = start and length of the via-parm that a CANCEL of
 * this INVITE will have, length 0 for other methods.
 */
#define SF_ANSWER_WORK 67584U
#define SF_ANSWER_HEADERS 64U
#define SF_CONFIG_HEAD 24U
#define SF_CONFIG_ENTRY 4U

#define SF_DOMAIN 1U
#define SF_REDIRECT 2U
#define SF_NUMERIC 4U
#define SF_DEFAULT 8U

#define SF_DID_REDIRECT 1U
#define SF_DID_ERROR 2U
#define SF_DID_OPTIONS 3U
#define SF_DID_ACK 4U

int32_t sf_answer(const uint8_t *config, uint32_t config_length, const void *mem, uint32_t size,
                  const uint8_t *buf, uint32_t length, const uint8_t *peer, uint32_t now_s,
                  void *work, uint8_t *out, uint32_t capacity, uint32_t *result);

#endif
