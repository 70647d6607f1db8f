/* MD5 (RFC 1321) and digest authentication as a client (RFC 2617, RFC 3261 22). */
#include "sipload.h"

#include <stdio.h>
#include <string.h>

struct md5 {
    uint32_t state[4];
    uint64_t length;
    uint8_t block[64];
};

/* floor(2^32 * |sin(i + 1)|), RFC 1321 3.4 */
static const uint32_t SINES[64] = {
    0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501,
    0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821,
    0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
    0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a,
    0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
    0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
    0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
    0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391};
static const uint8_t SHIFTS[4][4] = {
    {7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}};

static uint32_t rotate(uint32_t value, unsigned bits)
{
    return (value << bits) | (value >> (32 - bits));
}

static void md5_block(struct md5 *md5)
{
    uint32_t words[16];
    for (unsigned i = 0; i < 16; i++) {
        const uint8_t *p = md5->block + 4 * i;
        words[i] = (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
    }
    uint32_t a = md5->state[0], b = md5->state[1], c = md5->state[2], d = md5->state[3];
    for (unsigned i = 0; i < 64; i++) {
        uint32_t mixed;
        unsigned pick;
        switch (i / 16) {
        case 0: mixed = (b & c) | (~b & d); pick = i; break;
        case 1: mixed = (d & b) | (~d & c); pick = (5 * i + 1) % 16; break;
        case 2: mixed = b ^ c ^ d; pick = (3 * i + 5) % 16; break;
        default: mixed = c ^ (b | ~d); pick = (7 * i) % 16; break;
        }
        uint32_t turned = rotate(a + mixed + SINES[i] + words[pick], SHIFTS[i / 16][i % 4]);
        a = d;
        d = c;
        c = b;
        b += turned;
    }
    md5->state[0] += a;
    md5->state[1] += b;
    md5->state[2] += c;
    md5->state[3] += d;
}

static void md5_start(struct md5 *md5)
{
    static const uint32_t first[4] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476};
    memcpy(md5->state, first, sizeof first);
    md5->length = 0;
}

static void md5_add(struct md5 *md5, const void *data, size_t n)
{
    const uint8_t *p = data;
    for (size_t i = 0; i < n; i++) {
        md5->block[md5->length++ % 64] = p[i];
        if (md5->length % 64 == 0) {
            md5_block(md5);
        }
    }
}

static void md5_hex(struct md5 *md5, char hex[33])
{
    uint64_t bits = md5->length * 8;
    uint8_t tail[8];
    md5_add(md5, "\x80", 1);
    while (md5->length % 64 != 56) {
        md5_add(md5, "", 1);
    }
    for (unsigned i = 0; i < 8; i++) {
        tail[i] = (uint8_t)(bits >> (8 * i));
    }
    md5_add(md5, tail, sizeof tail);
    for (unsigned i = 0; i < 16; i++) {
        snprintf(hex + 2 * i, 3, "%02x", (unsigned)(md5->state[i / 4] >> (8 * (i % 4)) & 0xff));
    }
}

/* hex = MD5 of the parts joined by colons */
static void hash_joined(char hex[33], const char *const *parts, size_t count)
{
    struct md5 md5;
    md5_start(&md5);
    for (size_t i = 0; i < count; i++) {
        if (i) {
            md5_add(&md5, ":", 1);
        }
        md5_add(&md5, parts[i], strlen(parts[i]));
    }
    md5_hex(&md5, hex);
}

/* Copy the value of parameter `name` (with its '=', quoted or not); 0, or -1 when absent or too long. */
static int read_parameter(const char *value, size_t n, const char *name, char *out, size_t room)
{
    size_t length = strlen(name);
    for (size_t at = 0; at + length < n; at++) {
        int starts = at == 0 || strchr(" ,\t", value[at - 1]) != NULL;
        if (!starts || memcmp(value + at, name, length) != 0) {
            continue;
        }
        size_t from = at + length;
        int quoted = value[from] == '"';
        from += (size_t)quoted;
        size_t to = from;
        while (to < n && value[to] != '"' && (quoted || !strchr(" ,\t", value[to]))) {
            to++;
        }
        if (to - from >= room) {
            return -1;
        }
        memcpy(out, value + from, to - from);
        out[to - from] = '\0';
        return 0;
    }
    return -1;
}

int sl_read_challenge(struct sl_challenge *challenge, const char *value, size_t n)
{
    struct sl_challenge fresh = {.has_qop = 0};
    char word[64];
    if (n < 7 || memcmp(value, "Digest ", 7) != 0) {
        return -1;
    }
    value += 7;
    n -= 7;
    if (read_parameter(value, n, "algorithm=", word, sizeof word) == 0 && strcmp(word, "MD5") != 0) {
        return -1;
    }
    if (read_parameter(value, n, "realm=", fresh.realm, sizeof fresh.realm) < 0
        || read_parameter(value, n, "nonce=", fresh.nonce, sizeof fresh.nonce) < 0) {
        return -1;
    }
    read_parameter(value, n, "opaque=", fresh.opaque, sizeof fresh.opaque);
    fresh.has_qop = read_parameter(value, n, "qop=", word, sizeof word) == 0;
    *challenge = fresh;
    return 0;
}

size_t sl_build_authorization(struct sl_challenge *challenge, char *out, const char *user,
                              size_t user_length, const char *password, const char *uri)
{
    char name[128], ha1[33], ha2[33], response[33], count[9], extra[160] = "";
    snprintf(name, sizeof name, "%.*s", (int)user_length, user);
    hash_joined(ha1, (const char *const[]){name, challenge->realm, password}, 3);
    hash_joined(ha2, (const char *const[]){"REGISTER", uri}, 2);
    snprintf(count, sizeof count, "%08x", (unsigned)++challenge->count);
    if (challenge->has_qop) {
        const char *const parts[] = {ha1, challenge->nonce, count, "0a4f113b", "auth", ha2};
        hash_joined(response, parts, 6);
        snprintf(extra, sizeof extra, ", qop=auth, cnonce=\"0a4f113b\", nc=%s", count);
    } else {
        hash_joined(response, (const char *const[]){ha1, challenge->nonce, ha2}, 3);
    }
    int n = sprintf(out,
                    "Authorization: Digest username=\"%s\", realm=\"%s\", nonce=\"%s\", uri=\"%s\", "
                    "response=\"%s\", algorithm=MD5%s",
                    name, challenge->realm, challenge->nonce, uri, response, extra);
    if (challenge->opaque[0]) {
        n += sprintf(out + n, ", opaque=\"%s\"", challenge->opaque);
    }
    n += sprintf(out + n, "\r\n");
    return (size_t)n;
}
