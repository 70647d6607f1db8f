/* The scanner reads and writes nothing outside its buffers, wherever a message is cut. */
#include "guard.h"
#include "sipfast.h"

#define HEADERS 4U
#define ITEMS (SF_HEAD_ITEMS + HEADERS * SF_HEADER_ITEMS)

static const char *const messages[] = {
    "INVITE sip:bob@biloxi.com SIP/2.0\r\nVia: a\r\nTo : b ;\r\n c\r\ni:\r\n\r\n",
    "SIP/2.0 200 OK\nv: a\n\tb\n\n",
    "SIP/2.0 486\r\n\r\n",
    "\r\n\n\r\nACK sip:a sip/2.0\r\nProxy-Authorization: Digest \\\\\r\n\r\n",
    "OPTIONS  sip:a b  SIP/2.0 \r\n\r\n",
};

static uint8_t *cut(const char *message, uint32_t length)
{
    uint8_t *buf = guarded(length);
    memcpy(buf, message, length);
    return buf;
}

static void test_every_cut(uint16_t *spans)
{
    for (uint32_t i = 0; i < sizeof messages / sizeof *messages; i++) {
        uint32_t length = (uint32_t)strlen(messages[i]);
        for (uint32_t n = 0; n < length; n++) {
            CHECK(sf_scan(cut(messages[i], n), n, spans, ITEMS) == SF_PARTIAL);
        }
        CHECK(sf_scan(cut(messages[i], length), length, spans, ITEMS) >= 0);
        CHECK(spans[11] == length && spans[12] == length - spans[10]);
    }
}

static void test_every_octet_replaced(uint16_t *spans)
{
    static const uint8_t octets[] = {0, '\t', '\n', '\r', ' ', ':', '/', '\\', 0x7F, 0x80, 0xFF};
    for (uint32_t i = 0; i < sizeof messages / sizeof *messages; i++) {
        uint32_t length = (uint32_t)strlen(messages[i]);
        uint8_t *buf = cut(messages[i], length);
        for (uint32_t at = 0; at < length * sizeof octets; at++) {
            uint8_t old = buf[at % length];
            buf[at % length] = octets[at / length];
            int32_t rc = sf_scan(buf, length, spans, ITEMS);
            CHECK(rc >= SF_NO_SPACE && rc <= (int32_t)HEADERS);
            buf[at % length] = old;
        }
    }
}

static void test_bounds(void)
{
    const char *message = "BYE sip:a SIP/2.0\r\na:b\r\nc:d\r\n\r\n";
    uint32_t length = (uint32_t)strlen(message);
    uint8_t *buf = cut(message, length);
    for (uint32_t items = 0; items < SF_HEAD_ITEMS + 3U * SF_HEADER_ITEMS; items++) {
        uint16_t *spans = (uint16_t *)(void *)guarded(items * 2U);
        int32_t want = items < SF_HEAD_ITEMS                             ? SF_BAD_ARGUMENT
                       : items < SF_HEAD_ITEMS + 2U * SF_HEADER_ITEMS ? SF_NO_SPACE
                                                                       : 2;
        CHECK(sf_scan(buf, length, spans, items) == want);
    }
    CHECK(sf_scan(NULL, 0, (uint16_t *)(void *)buf, ITEMS) == SF_BAD_ARGUMENT);
    CHECK(sf_scan(buf, length, NULL, ITEMS) == SF_BAD_ARGUMENT);
}

static void test_longest_head(uint16_t *spans)
{
    uint32_t length = 70000;
    uint8_t *buf = guarded(length);
    memset(buf, 'x', length);
    memcpy(buf, "BYE sip:a SIP/2.0\r\na:", 21);
    memcpy(buf + 65531, "\r\n\r\n", 4);
    CHECK(sf_scan(buf, length, spans, ITEMS) == 1);
    CHECK(spans[11] == 65535 && spans[20] == 65531 - 21);
    memcpy(buf + 65531, "x\r\n\r\n", 5);
    CHECK(sf_scan(buf, length, spans, ITEMS) == SF_NO_SPACE);
}

int main(void)
{
    uint16_t *spans = (uint16_t *)(void *)guarded(ITEMS * 2U);
    test_every_cut(spans);
    test_every_octet_replaced(spans);
    test_bounds();
    test_longest_head(spans);
    return 0;
}
