/* A table's region, checked: geometry, sequence, records, search; private to the fast path. */
#ifndef SIPFAST_REGION_H
#define SIPFAST_REGION_H

#include <string.h>

#include "sipfast.h"
#include "sipfast_hash.h"

#define MAX_SIZE 0x7FFFFFF0U
#define HEADER_BYTES 4096U
#define AT_VERSION 4U
#define AT_DIRTY 6U
#define AT_SIZE 8U
#define AT_SEQUENCE 12U
#define AT_SEED 32U
#define AT_COUNT 48U
#define AT_SLOTS 52U
#define AT_HEAP 56U
#define AT_GRANULES 60U
#define AT_TOP 64U
#define AT_FREE 68U
#define AT_DIGEST 72U
#define AT_FREE_LISTS 256U
#define AT_BUCKETS 2048U
#define LAYOUT_VERSION 1U
#define MAGIC 0x31544653U /* "SFT1" */

#define MIN_SLOTS 16U
#define MAX_SLOTS (1U << 27)
#define REFERENCE_MASK ((1U << 27) - 1U)
#define RECORD_HEAD 12U

/* The checked geometry of a region, for the time of one call. */
typedef struct {
    uint8_t *mem;
    uint32_t mask;     /* slots - 1 */
    uint32_t heap;     /* offset of granule 0 */
    uint32_t granules; /* of the heap */
} region;

/* The sequence is one aligned word, so that a reader in another process sees it whole. */
static inline uint32_t read_sequence(const uint8_t *mem)
{
    uint32_t word = *(const volatile uint32_t *)(const void *)(mem + AT_SEQUENCE);
    uint8_t octets[4];
    memcpy(octets, &word, 4);
    return get32(octets);
}

static inline void bump_sequence(uint8_t *mem)
{
    uint8_t octets[4];
    uint32_t word;
    set32(octets, read_sequence(mem) + 1);
    memcpy(&word, octets, 4);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    *(volatile uint32_t *)(void *)(mem + AT_SEQUENCE) = word;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* Check the fixed fields against the caller's size and fill `r`. */
static inline int32_t open_region(region *r, const void *mem, uint32_t size)
{
    uint8_t *p = (uint8_t *)(uintptr_t)mem;
    if (!p || ((uintptr_t)p & 3U) || size < HEADER_BYTES || size > MAX_SIZE) {
        return SF_BAD_ARGUMENT;
    }
    if (get32(p) != MAGIC || get16(p + AT_VERSION) != LAYOUT_VERSION
        || get32(p + AT_SIZE) != size) {
        return SF_BAD_ARGUMENT;
    }
    uint32_t slots = get32(p + AT_SLOTS);
    if (slots < MIN_SLOTS || slots > MAX_SLOTS || (slots & (slots - 1U))) {
        return SF_BAD_ARGUMENT;
    }
    uint32_t heap = HEADER_BYTES + 4U * slots;
    if (get32(p + AT_HEAP) != heap || heap > size
        || get32(p + AT_GRANULES) != (size - heap) >> 4) {
        return SF_BAD_ARGUMENT;
    }
    r->mem = p;
    r->mask = slots - 1U;
    r->heap = heap;
    r->granules = (size - heap) >> 4;
    return SF_OK;
}

static inline uint8_t *index_at(const region *r, uint32_t slot)
{
    return r->mem + HEADER_BYTES + 4U * slot;
}

static inline uint8_t *granule_at(const region *r, uint32_t granule)
{
    return r->mem + r->heap + (granule << 4);
}

static inline uint32_t key_length_of(const uint8_t *record)
{
    return get16(record + 8);
}

static inline uint32_t value_length_of(const uint8_t *record)
{
    return get16(record + 10);
}

/* Octets of the heap behind the head of a record. */
static inline uint32_t octets_behind(const region *r, const uint8_t *record)
{
    return (uint32_t)(granule_at(r, r->granules) - record) - RECORD_HEAD;
}

/* The record an index entry refers to, NULL if it cannot be one. */
static inline uint8_t *record_of(const region *r, uint32_t entry)
{
    uint32_t reference = entry & REFERENCE_MASK;
    if (reference == 0 || reference > r->granules) {
        return NULL;
    }
    uint8_t *record = granule_at(r, reference - 1U);
    uint32_t room = (r->granules - reference + 1U) << 4;
    uint32_t length = key_length_of(record);
    if (length == 0 || length > SF_MAX_KEY
        || RECORD_HEAD + length + value_length_of(record) > room) {
        return NULL;
    }
    return record;
}

/* Slot of the key and its record, or the free slot that ends its run and NULL; SF_CORRUPT if the
 * index has no free slot. */
static inline int32_t search(const region *r, const uint8_t *key, uint32_t length, uint64_t hash,
                      uint8_t **record)
{
    uint32_t fingerprint = (uint32_t)(hash >> 59) << 27;
    uint32_t slot = (uint32_t)hash & r->mask;
    *record = NULL;
    for (uint32_t i = 0; i <= r->mask; i++, slot = (slot + 1U) & r->mask) {
        uint32_t entry = get32(index_at(r, slot));
        if (entry == 0) {
            return (int32_t)slot;
        }
        if ((entry & ~REFERENCE_MASK) != fingerprint) {
            continue;
        }
        uint8_t *found = record_of(r, entry);
        if (found && key_length_of(found) == length && length <= octets_behind(r, found)
            && equal(found + RECORD_HEAD, key, length)) {
            *record = found;
            return (int32_t)slot;
        }
    }
    return SF_CORRUPT;
}

static inline uint64_t hash_of(const region *r, const uint8_t *key, uint32_t length)
{
    return sip_of(r->mem + AT_SEED, key, length);
}

#endif
