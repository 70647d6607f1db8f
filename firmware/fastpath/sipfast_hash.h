/* Octets, CRC-32 and SipHash for the files of the fast path; private to them. */
#ifndef SIPFAST_HASH_H
#define SIPFAST_HASH_H

#include <stdint.h>

static const uint8_t digest_key[16] = {'S', 'I', 'P', ' ', 'l', 'o', 'c', 'a',
                                       't', 'i', 'o', 'n', ' ', 'd', 'b', '1'};

/* CRC-32 (IEEE 802.3, reflected) of four bits at a time */
static const uint32_t crc_nibble[16] = {
    0x00000000U, 0x1DB71064U, 0x3B6E20C8U, 0x26D930ACU, 0x76DC4190U, 0x6B6B51F4U,
    0x4DB26158U, 0x5005713CU, 0xEDB88320U, 0xF00F9344U, 0xD6D6A3E8U, 0xCB61B38CU,
    0x9B64C2B0U, 0x86D3D2D4U, 0xA00AE278U, 0xBDBDF21CU,
};

typedef struct {
    uint64_t v0, v1, v2, v3;
    uint64_t word; /* octets not yet mixed in */
    uint32_t length;
} siphash;

static inline uint32_t get16(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static inline uint32_t get32(const uint8_t *p)
{
    return get16(p) | get16(p + 2) << 16;
}

static inline uint64_t get64(const uint8_t *p)
{
    return (uint64_t)get32(p) | (uint64_t)get32(p + 4) << 32;
}

static inline uint32_t get16_big(const uint8_t *p)
{
    return (uint32_t)p[0] << 8 | (uint32_t)p[1];
}

static inline void set16(uint8_t *p, uint32_t number)
{
    p[0] = (uint8_t)number;
    p[1] = (uint8_t)(number >> 8);
}

static inline void set32(uint8_t *p, uint32_t number)
{
    set16(p, number);
    set16(p + 2, number >> 16);
}

static inline void set64(uint8_t *p, uint64_t number)
{
    set32(p, (uint32_t)number);
    set32(p + 4, (uint32_t)(number >> 32));
}

/* memcmp is not to be had in a native MicroPython module. */
static inline uint32_t equal(const uint8_t *a, const uint8_t *b, uint32_t length)
{
    uint32_t at = 0;
    while (at < length && a[at] == b[at]) {
        at++;
    }
    return at == length;
}

static inline uint32_t crc32_of(const uint8_t *p, uint32_t length)
{
    uint32_t crc = 0xFFFFFFFFU;
    for (uint32_t i = 0; i < length; i++) {
        crc ^= p[i];
        crc = crc >> 4 ^ crc_nibble[crc & 15U];
        crc = crc >> 4 ^ crc_nibble[crc & 15U];
    }
    return ~crc;
}

static inline uint64_t rotate(uint64_t number, uint32_t bits)
{
    return number << bits | number >> (64U - bits);
}

static inline void sip_rounds(siphash *s, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        s->v0 += s->v1;
        s->v1 = rotate(s->v1, 13) ^ s->v0;
        s->v0 = rotate(s->v0, 32);
        s->v2 += s->v3;
        s->v3 = rotate(s->v3, 16) ^ s->v2;
        s->v0 += s->v3;
        s->v3 = rotate(s->v3, 21) ^ s->v0;
        s->v2 += s->v1;
        s->v1 = rotate(s->v1, 17) ^ s->v2;
        s->v2 = rotate(s->v2, 32);
    }
}

static inline void sip_begin(siphash *s, const uint8_t *key)
{
    uint64_t k0 = get64(key);
    uint64_t k1 = get64(key + 8);
    s->v0 = k0 ^ 0x736F6D6570736575U;
    s->v1 = k1 ^ 0x646F72616E646F6DU;
    s->v2 = k0 ^ 0x6C7967656E657261U;
    s->v3 = k1 ^ 0x7465646279746573U;
    s->word = 0;
    s->length = 0;
}

static inline void sip_word(siphash *s, uint64_t word)
{
    s->v3 ^= word;
    sip_rounds(s, 2);
    s->v0 ^= word;
}

static inline void sip_add(siphash *s, const uint8_t *p, uint32_t length)
{
    uint32_t at = 0;
    while (at < length) {
        if ((s->length & 7U) == 0 && length - at >= 8) {
            sip_word(s, get64(p + at));
            at += 8;
            s->length += 8;
            continue;
        }
        s->word |= (uint64_t)p[at++] << (8U * (s->length++ & 7U));
        if ((s->length & 7U) == 0) {
            sip_word(s, s->word);
            s->word = 0;
        }
    }
}

static inline uint64_t sip_end(siphash *s)
{
    sip_word(s, s->word | (uint64_t)(s->length & 0xFFU) << 56);
    s->v2 ^= 0xFFU;
    sip_rounds(s, 4);
    return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

static inline uint64_t sip_of(const uint8_t *key, const uint8_t *p, uint32_t length)
{
    siphash s;
    sip_begin(&s, key);
    sip_add(&s, p, length);
    return sip_end(&s);
}

#endif
