/* Memory that ends at a page nobody may touch, so that one octet too far is a fault. */
#ifndef GUARD_H
#define GUARD_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE 4096U

#define CHECK(condition)                                                                          \
    do {                                                                                          \
        if (!(condition)) {                                                                       \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                       \
            exit(1);                                                                              \
        }                                                                                         \
    } while (0)

/* `size` octets right before a forbidden page; freed with the process. */
static inline uint8_t *guarded(uint32_t size)
{
    size_t pages = (size + PAGE - 1U) / PAGE;
    uint8_t *start = mmap(NULL, (pages + 1U) * PAGE, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(start != MAP_FAILED);
    CHECK(mprotect(start + pages * PAGE, PAGE, PROT_NONE) == 0);
    return start + pages * PAGE - size;
}

#endif
