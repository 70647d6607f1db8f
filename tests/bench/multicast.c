/* Bare multicast to several receivers on loopback, nothing acknowledged: what the bus has to live
 * with. usage: multicast GROUP PORT RECEIVERS PACKETS OCTETS; prints the packets per second that
 * the slowest receiver got, counting what it got from its first to its last packet. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BATCH 32
#define DATAGRAM 2048

struct count {
    double first_s, last_s;
    long packets;
};

static struct mmsghdr headers[BATCH];
static struct iovec parts[BATCH];
static char buffers[BATCH][DATAGRAM];

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void prepare(size_t octets)
{
    for (unsigned i = 0; i < BATCH; i++) {
        parts[i] = (struct iovec){buffers[i], octets};
        headers[i].msg_hdr.msg_iov = &parts[i];
        headers[i].msg_hdr.msg_iovlen = 1;
    }
}

static int open_receiver(const struct sockaddr_in *group)
{
    struct ip_mreq membership = {group->sin_addr, {htonl(INADDR_LOOPBACK)}};
    struct timeval silence = {0, 300000}; /* the stream is over */
    int fd = socket(AF_INET, SOCK_DGRAM, 0), one = 1, size = 8 << 20;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) < 0) {
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    }
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &silence, sizeof silence);
    if (bind(fd, (const struct sockaddr *)group, sizeof *group) < 0
        || setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &membership, sizeof membership) < 0) {
        perror("multicast");
        exit(1);
    }
    return fd;
}

static void receive(int fd, struct count *count)
{
    prepare(DATAGRAM);
    for (;;) {
        int n = recvmmsg(fd, headers, BATCH, MSG_WAITFORONE, NULL);
        if (n <= 0 && count->packets) {
            exit(0);
        }
        if (n > 0) {
            count->last_s = now_s();
            count->first_s = count->packets ? count->first_s : count->last_s;
            count->packets += n;
        }
    }
}

static void send_all(struct sockaddr_in *group, long packets, size_t octets)
{
    struct in_addr loopback = {htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &loopback, sizeof loopback);
    prepare(octets);
    for (unsigned i = 0; i < BATCH; i++) {
        headers[i].msg_hdr.msg_name = group;
        headers[i].msg_hdr.msg_namelen = sizeof *group;
    }
    while (packets > 0) {
        int sent = sendmmsg(fd, headers, BATCH, 0);
        packets -= sent > 0 ? sent : 1;
    }
}

int main(int argc, char **argv)
{
    struct sockaddr_in group = {.sin_family = AF_INET};
    if (argc != 6 || inet_pton(AF_INET, argv[1], &group.sin_addr) != 1) {
        fprintf(stderr, "usage: multicast GROUP PORT RECEIVERS PACKETS OCTETS\n");
        return 2;
    }
    group.sin_port = htons((uint16_t)atoi(argv[2]));
    int receivers = atoi(argv[3]);
    struct count *counts = mmap(NULL, sizeof *counts * (size_t)receivers, PROT_READ | PROT_WRITE,
                                MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < receivers; i++) {
        int fd = open_receiver(&group); /* listening before the first packet leaves */
        if (fork() == 0) {
            receive(fd, &counts[i]);
        }
        close(fd);
    }
    send_all(&group, atol(argv[4]), (size_t)atol(argv[5]));
    while (wait(NULL) > 0) {
    }
    double slowest = 1e18;
    for (int i = 0; i < receivers; i++) {
        double rate = (double)counts[i].packets / (counts[i].last_s - counts[i].first_s);
        slowest = rate < slowest ? rate : slowest;
    }
    printf("%.0f\n", slowest);
    return 0;
}
