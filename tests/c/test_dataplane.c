/* Batches on loopback sockets: answers, relay headers, what is handed over, the bounds of a turn. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "plain_rig.h"
#include "sipplane.h"

#define VIP_PORT 5060U
#define RELAY_HEAD 12U

static uint32_t report[SP_REPORT_ITEMS];

typedef struct {
    int server;
    int client;
    uint8_t *mem;
    uint32_t size;
    uint8_t *plane;
} rig;

static int open_loopback(struct sockaddr_in *name)
{
    socklen_t length = sizeof *name;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    memset(name, 0, sizeof *name);
    name->sin_family = AF_INET;
    name->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(bind(fd, (struct sockaddr *)name, sizeof *name) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)name, &length) == 0);
    return fd;
}

/* with `strangers` the client is none of those whose relayed datagrams are answered */
static int strangers;

static int32_t turn(rig *r, uint32_t relay_port, uint32_t hand_all)
{
    struct sockaddr_in name;
    socklen_t length = sizeof name;
    uint8_t source[6];
    CHECK(getsockname(r->client, (struct sockaddr *)&name, &length) == 0);
    memcpy(source, &name.sin_addr, 4);
    memcpy(source + 4, &name.sin_port, 2);
    return sp_turn((uint32_t)r->server, relay_port, config, sizeof config, r->mem, r->size, source,
                   strangers ? 0 : 1, NOW_S, hand_all, r->plane, report);
}

static int32_t receive(const rig *r, uint8_t *out, uint32_t capacity)
{
    return (int32_t)recv(r->client, out, capacity, MSG_DONTWAIT);
}

static void send_to_server(const rig *r, const void *octets, uint32_t length)
{
    CHECK(send(r->client, octets, length, 0) == (ssize_t)length);
}

static void test_plain(rig *r)
{
    uint8_t out[2048];
    CHECK(turn(r, 0, 0) == 0 && report[1] == 0);
    send_to_server(r, request, sizeof request - 1U);
    send_to_server(r, "noise", 5);
    send_to_server(r, "", 0);
    CHECK(turn(r, 0, 0) == 3 && report[1] == 1 && report[2] == 1 && report[3] == 1);
    CHECK(receive(r, out, sizeof out) > 0 && memcmp(out, "SIP/2.0 302 ", 12) == 0);
    CHECK(receive(r, out, sizeof out) < 0);
    const uint32_t *item = report + SP_REPORT;
    CHECK(item[0] == SP_INVITE && memcmp(r->plane + item[1], "SIP/2.0/UDP a:5061", 18) == 0);
    item += SP_ITEM;
    CHECK(item[0] == SP_HANDED && item[2] == 5 && memcmp(r->plane + item[1], "noise", 5) == 0);
    CHECK(item[3] == INADDR_LOOPBACK && item[3] == item[5] && item[4] == item[6]);
    CHECK(item[SP_ITEM] == SP_HANDED && item[SP_ITEM + 2] == 0);
    send_to_server(r, request, sizeof request - 1U);
    CHECK(turn(r, 0, 1) == 1 && report[1] == 0 && report[SP_REPORT] == SP_HANDED);
}

static void test_relay(rig *r)
{
    static const uint8_t head[RELAY_HEAD] = {0x5E, 0x10, 0, 0, 192, 0, 2, 1, 0x13, 0xC4, 1, 1};
    uint8_t octets[RELAY_HEAD + sizeof request];
    uint8_t out[2048];
    memcpy(octets, head, RELAY_HEAD);
    memcpy(octets + RELAY_HEAD, request, sizeof request);
    send_to_server(r, octets, RELAY_HEAD + sizeof request - 1U);
    CHECK(turn(r, VIP_PORT, 0) == 1 && report[2] == 1);
    int32_t length = receive(r, out, sizeof out);
    CHECK(length > (int32_t)RELAY_HEAD && memcmp(out, head, 10) == 0);
    CHECK(out[10] == 0x13 && out[11] == 0xC4 && memcmp(out + RELAY_HEAD, "SIP/2.0 302 ", 12) == 0);
    strangers = 1;
    send_to_server(r, octets, RELAY_HEAD + sizeof request - 1U);
    CHECK(turn(r, VIP_PORT, 0) == 1 && report[2] == 0 && report[SP_REPORT] == SP_HANDED);
    strangers = 0;
    for (uint32_t n = 0; n <= RELAY_HEAD; n++) {
        send_to_server(r, head, n);
    }
    CHECK(turn(r, VIP_PORT, 0) == 1 && report[7] == RELAY_HEAD);
    CHECK(report[SP_REPORT + 2] == 0 && report[SP_REPORT + 3] == 0xC0000201U);
    static const uint8_t places[] = {0, 1, 9, 11};
    for (uint32_t i = 0; i < sizeof places; i++) {
        memcpy(octets, head, RELAY_HEAD);
        octets[8] = octets[10] = octets[places[i]] = 0;
        send_to_server(r, octets, sizeof octets - 1U);
    }
    CHECK(turn(r, VIP_PORT, 0) == 0 && report[7] == 4 && report[1] == 0);
}

/* Every answer arrives once, however many wait, and a turn ends. */
static void test_many(rig *r)
{
    static const char options[] =
        "OPTIONS sip:192.0.2.10 SIP/2.0\r\nVia: SIP/2.0/UDP a;rport\r\nFrom: <a>\r\nTo: <b>\r\n"
        "Call-ID: c\r\nCSeq: 1 OPTIONS\r\n\r\n";
    uint8_t out[2048];
    for (uint32_t count = 0; count < SP_BATCH + 9U; count++) {
        send_to_server(r, options, sizeof options - 1U);
    }
    CHECK(turn(r, 0, 0) == 0);
    CHECK(report[1] == SP_BATCH + 9U && report[2] == report[1] && report[5] == report[1]);
    for (uint32_t count = 0; count < SP_BATCH + 9U; count++) {
        CHECK(receive(r, out, sizeof out) > 0 && memcmp(out, "SIP/2.0 200 ", 12) == 0);
    }
    CHECK(receive(r, out, sizeof out) < 0);
}

static void test_bad_arguments(rig *r)
{
    CHECK(turn(r, 0x10000U, 0) == SF_BAD_ARGUMENT);
    r->plane += 8;
    CHECK(turn(r, 0, 0) == SF_BAD_ARGUMENT);
    r->plane -= 8;
}

int main(void)
{
    struct sockaddr_in server;
    struct sockaddr_in client;
    rig r = {0};
    r.server = open_loopback(&server);
    r.client = open_loopback(&client);
    CHECK(connect(r.client, (struct sockaddr *)&server, sizeof server) == 0);
    r.mem = table_of_bob(&r.size);
    r.plane = guarded(((uint32_t)sp_size() + 15U) & ~15U);
    test_plain(&r);
    test_relay(&r);
    test_many(&r);
    test_bad_arguments(&r);
    return 0;
}
