/* Plain answers: the octets of one, and nothing touched outside any buffer, whatever is cut. */
#include "plain_rig.h"

#define OUT 1024U

static const char expected[] =
    "SIP/2.0 302 Moved Temporarily\r\n"
    "Via: SIP/2.0/UDP a:5061;branch=z9;received=192.0.2.1;rport=5060\r\nVia: b\r\n"
    "From: \"A B\" <sip:a@b>;tag=f\r\nTo: <sip:bob@r.example>;tag=3922b9326a2759d0\r\n"
    "Call-ID: c\r\nCSeq: 1 INVITE\r\nContact: <sip:b@h>;q=0.7;expires=60\r\n"
    "Content-Length: 0\r\n\r\n";

typedef struct {
    uint8_t *mem;
    uint32_t size;
    uint8_t *work;
    uint8_t *config;
    uint8_t *out;
    uint32_t result[4];
} rig;

static int32_t answer(rig *r, const uint8_t *buf, uint32_t length, uint32_t capacity)
{
    return sf_answer(r->config, sizeof config, r->mem, r->size, buf, length, peer, NOW_S, r->work,
                     r->out + OUT - capacity, capacity, r->result);
}

static void test_the_octets(rig *r)
{
    uint32_t length = sizeof request - 1U;
    uint8_t *buf = guarded(length);
    memcpy(buf, request, length);
    int32_t wanted = (int32_t)sizeof expected - 1;
    CHECK(answer(r, buf, length, OUT) == wanted);
    CHECK(memcmp(r->out, expected, (size_t)wanted) == 0);
    CHECK(r->result[0] == SF_DID_REDIRECT && r->result[1] == 5060);
    CHECK(memcmp(buf + r->result[2], "SIP/2.0/UDP a:5061;rport;Branch=z9", 34) == 0);
    CHECK(r->result[3] == 34);
    for (uint32_t room = 0; room < OUT; room++) {
        CHECK(answer(r, buf, length, room) == (room < (uint32_t)wanted ? SF_NOT_PLAIN : wanted));
    }
}

static void test_every_cut_and_octet(rig *r)
{
    static const uint8_t octets[] = {0, '\t', '\n', '\r', ' ', ':', ';', ',', '<', '>', '"', '@',
                                     '0', '=', 'A', 0x7F, 0x80, 0xFF};
    uint32_t length = sizeof request - 1U;
    for (uint32_t n = 0; n < length; n++) {
        uint8_t *part = guarded(n);
        memcpy(part, request, n);
        CHECK(answer(r, part, n, OUT) == SF_NOT_PLAIN);
    }
    uint8_t *buf = guarded(length);
    memcpy(buf, request, length);
    for (uint32_t at = 0; at < length * sizeof octets; at++) {
        uint8_t old = buf[at % length];
        buf[at % length] = octets[at / length];
        int32_t rc = answer(r, buf, length, OUT);
        CHECK(rc == SF_NOT_PLAIN || (rc > 0 && rc <= (int32_t)OUT));
        buf[at % length] = old;
    }
}

static void test_every_octet_of_the_configuration(rig *r)
{
    for (uint32_t at = 0; at < sizeof config * 256U; at++) {
        r->config[at % sizeof config] = (uint8_t)(at / sizeof config);
        int32_t rc = answer(r, (const uint8_t *)request, sizeof request - 1U, OUT);
        CHECK(rc == SF_NOT_PLAIN || rc == SF_BAD_ARGUMENT || rc > 0);
        r->config[at % sizeof config] = config[at % sizeof config];
    }
    for (uint32_t n = 0; n < sizeof config; n++) {
        uint8_t *part = guarded(n);
        memcpy(part, config, n);
        int32_t rc = sf_answer(part, n, r->mem, r->size, (const uint8_t *)request,
                               sizeof request - 1U, peer, NOW_S, r->work, r->out, OUT, r->result);
        CHECK(rc == SF_BAD_ARGUMENT);
    }
}

/* A record may hold anything: a card serves what it was given. */
static void test_every_octet_of_the_record(rig *r)
{
    uint8_t changed[sizeof value];
    for (uint32_t length = 0; length <= sizeof value; length++) {
        for (uint32_t at = 0; at < length * 256U; at += 3) {
            memcpy(changed, value, sizeof value);
            changed[at % length] = (uint8_t)(at / length);
            sf_table_put(r->mem, r->size, (const uint8_t *)"abob@r.example", 14, changed, length);
            int32_t rc = answer(r, (const uint8_t *)request, sizeof request - 1U, OUT);
            CHECK(rc == SF_NOT_PLAIN || rc > 0);
        }
    }
    sf_table_put(r->mem, r->size, (const uint8_t *)"abob@r.example", 14, value, sizeof value);
}

static void test_every_octet_of_the_table(rig *r)
{
    for (uint32_t at = 16; at < r->size; at++) {
        uint8_t old = r->mem[at];
        r->mem[at] = (uint8_t)(old ^ 0xFFU);
        int32_t rc = answer(r, (const uint8_t *)request, sizeof request - 1U, OUT);
        CHECK(rc == SF_NOT_PLAIN || rc > 0);
        r->mem[at] = old;
    }
}

int main(void)
{
    rig r = {0};
    r.mem = table_of_bob(&r.size);
    r.work = guarded(SF_ANSWER_WORK);
    r.config = guarded(sizeof config);
    memcpy(r.config, config, sizeof config);
    r.out = guarded(OUT);
    test_the_octets(&r);
    test_every_cut_and_octet(&r);
    test_every_octet_of_the_configuration(&r);
    test_every_octet_of_the_record(&r);
    test_every_octet_of_the_table(&r);
    return 0;
}
