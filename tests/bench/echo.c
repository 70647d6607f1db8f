/* The limit of a UDP answer on this machine: echo in batches, nothing else. usage: echo PORT */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#define BATCH 32
#define DATAGRAM 2048

static struct mmsghdr headers[BATCH];
static struct iovec parts[BATCH];
static struct sockaddr_in peers[BATCH];
static char buffers[BATCH][DATAGRAM];

int main(int argc, char **argv)
{
    struct sockaddr_in own = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_DGRAM, 0), size = 4 << 20;
    own.sin_port = htons((uint16_t)(argc == 2 ? atoi(argv[1]) : 0));
    own.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) < 0) {
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    }
    if (argc != 2 || bind(fd, (struct sockaddr *)&own, sizeof own) < 0) {
        fprintf(stderr, "usage: echo PORT\n");
        return 2;
    }
    for (;;) {
        for (unsigned i = 0; i < BATCH; i++) {
            parts[i] = (struct iovec){buffers[i], DATAGRAM};
            headers[i].msg_hdr = (struct msghdr){.msg_name = &peers[i],
                                                 .msg_namelen = sizeof peers[i],
                                                 .msg_iov = &parts[i],
                                                 .msg_iovlen = 1};
        }
        int count = recvmmsg(fd, headers, BATCH, MSG_WAITFORONE, NULL);
        for (int i = 0; i < count; i++) {
            parts[i].iov_len = headers[i].msg_len;
        }
        for (int done = 0; done < count;) {
            int sent = sendmmsg(fd, headers + done, (unsigned)(count - done), 0);
            done += sent > 0 ? sent : 1;
        }
    }
}
