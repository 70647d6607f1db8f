/* sipload: options, the AoR file, sockets and the end of a run (see sipload.h).
 *
 * usage: sipload HOST:PORT --aors FILE [--scenario redirect|proxy|register|echo]
 *        [--method OPTIONS|INVITE|MESSAGE] [--window N | --rate N] [--seconds S] [--warm S]
 *        [--timeout S] [--bind HOST:PORT] [--callee HOST:PORT] [--cpu N] [--pids P,P] [--anywhere]
 */
#include "load.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LONGEST_LINE 1024
#define LONGEST_NAME 255
#define SOCKET_BUFFER (4 << 20)

void sl_die(const char *what, const char *detail)
{
    fprintf(stderr, "sipload: %s%s%s\n", what, detail ? ": " : "", detail ? detail : "");
    exit(2);
}

/* ---- setting up ---- */

static struct sockaddr_in parse_address(const char *text)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    char host[64];
    const char *colon = strrchr(text, ':');
    long port = colon ? strtol(colon + 1, NULL, 10) : 0;
    if (!colon || (size_t)(colon - text) >= sizeof host || port < 0 || port > 65535) {
        sl_die("an address is written HOST:PORT with a dotted IPv4 host", text);
    }
    memcpy(host, text, (size_t)(colon - text));
    host[colon - text] = '\0';
    if (inet_pton(AF_INET, host, &address.sin_addr) != 1) {
        sl_die("an address is written HOST:PORT with a dotted IPv4 host", text);
    }
    address.sin_port = htons((uint16_t)port);
    return address;
}

static int is_loopback(const struct sockaddr_in *address)
{
    return ntohl(address->sin_addr.s_addr) >> 24 == 127;
}

static int open_socket(const char *where)
{
    struct sockaddr_in address = parse_address(where);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0), size = SOCKET_BUFFER;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) < 0) {
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    }
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0) {
        sl_die("cannot listen", where);
    }
    return fd;
}

static char *field(char **rest)
{
    char *text = strsep(rest, ",");
    if (text && strlen(text) > LONGEST_NAME) {
        sl_die("a field of the AoR file is longer than 255 octets", text);
    }
    return text ? strdup(text) : strdup("");
}

static void read_subscribers(struct load *load)
{
    FILE *file = fopen(load->options.aors, "r");
    char line[LONGEST_LINE];
    uint32_t room = 0;
    if (!file) {
        sl_die("cannot read the AoR file", load->options.aors);
    }
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\r\n")] = '\0';
        if (!line[0] || line[0] == '#' || strncmp(line, "aor", strcspn(line, ",")) == 0) {
            continue; /* a comment or the heading of a CSV */
        }
        if (load->subscriber_count == room) {
            room = room ? 2 * room : 1024;
            load->subscribers = realloc(load->subscribers, room * sizeof *load->subscribers);
        }
        char *rest = line;
        struct sl_subscriber *who = &load->subscribers[load->subscriber_count++];
        who->aor = field(&rest);
        who->contact = field(&rest);
        who->password = field(&rest);
        if (load->run.scenario == SL_REGISTER && !who->contact[0]) {
            sl_die("registering needs a contact in every line of the AoR file", who->aor);
        }
    }
    fclose(file);
    if (!load->subscriber_count) {
        sl_die("the AoR file names nobody", load->options.aors);
    }
}

static int word_index(const char *word, const char *const *words, const char *what)
{
    for (int i = 0; words[i]; i++) {
        if (strcmp(word, words[i]) == 0) {
            return i;
        }
    }
    sl_die(what, word);
    return 0;
}

static const struct option OPTIONS[] = {
    {"scenario", 1, 0, 's'}, {"method", 1, 0, 'm'},  {"aors", 1, 0, 'a'},
    {"rate", 1, 0, 'r'},     {"window", 1, 0, 'w'},  {"seconds", 1, 0, 't'},
    {"warm", 1, 0, 'W'},     {"timeout", 1, 0, 'T'}, {"bind", 1, 0, 'b'},
    {"callee", 1, 0, 'c'},   {"cpu", 1, 0, 'C'},     {"pids", 1, 0, 'p'},
    {"anywhere", 0, 0, 'A'}, {0, 0, 0, 0}};

static void read_options(struct load *load, int argc, char **argv)
{
    static const char *const scenarios[] = {"redirect", "proxy", "register", "echo", NULL};
    static const char *const methods[] = {"OPTIONS", "INVITE", "MESSAGE", NULL};
    struct options *options = &load->options;
    *options = (struct options){.seconds = 5, .warm = 0.5, .timeout = 1, .window = 64, .cpu = -1,
                                .bind = "127.0.0.1:0"};
    int letter;
    while ((letter = getopt_long(argc, argv, "", OPTIONS, NULL)) != -1) {
        switch (letter) {
        case 's':
            load->run.scenario =
                (enum sl_scenario)word_index(optarg, scenarios, "no such scenario");
            break;
        case 'm':
            load->run.method = (enum sl_method)word_index(optarg, methods, "no such method");
            break;
        case 'a': options->aors = optarg; break;
        case 'r': options->rate = atof(optarg); break;
        case 'w': options->window = (unsigned)atoi(optarg); break;
        case 't': options->seconds = atof(optarg); break;
        case 'W': options->warm = atof(optarg); break;
        case 'T': options->timeout = atof(optarg); break;
        case 'b': options->bind = optarg; break;
        case 'c': options->callee = optarg; break;
        case 'C': options->cpu = atoi(optarg); break;
        case 'p': options->pids = optarg; break;
        case 'A': options->is_anywhere = 1; break;
        default: exit(2);
        }
    }
    if (optind != argc - 1 || !options->aors || options->seconds <= 0 || options->window < 1) {
        sl_die("usage: sipload HOST:PORT --aors FILE [--scenario redirect|proxy|register] ...", NULL);
    }
    load->run.target = parse_address(argv[optind]);
    if (!is_loopback(&load->run.target) && !options->is_anywhere) {
        sl_die("the target is not on loopback; --anywhere permits it", argv[optind]);
    }
    if (load->run.scenario == SL_REGISTER) {
        load->run.method = SL_METHOD_REGISTER;
    }
}

static void set_up(struct load *load)
{
    struct options *options = &load->options;
    struct sockaddr_in local;
    socklen_t length = sizeof local;
    char host[INET_ADDRSTRLEN];
    read_subscribers(load);
    load->fd = open_socket(options->bind);
    load->callee_fd = options->callee ? open_socket(options->callee) : -1;
    getsockname(load->fd, (struct sockaddr *)&local, &length);
    inet_ntop(AF_INET, &local.sin_addr, host, sizeof host);
    snprintf(load->run.local, sizeof load->run.local, "%s:%u", host, ntohs(local.sin_port));
    load->run.expires_s = 3600;
    load->run.salt = (uint32_t)(sl_now_ns() ^ (uint64_t)getpid() << 20);
    load->random = sl_now_ns() | 1;
    if (options->cpu >= 0) {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET((size_t)options->cpu, &set);
        sched_setaffinity(0, sizeof set, &set);
    }
    double under_way = options->rate > 0 ? options->rate * options->timeout : options->window;
    uint64_t count = 1024;
    while ((double)count < 4 * under_way) {
        count *= 2;
    }
    load->slots = calloc(count, sizeof *load->slots);
    load->slot_mask = count - 1;
    for (unsigned i = 0; i < SL_BATCH; i++) {
        load->in.parts[i] = (struct iovec){load->in.buffers[i], SL_DATAGRAM};
        load->out.parts[i].iov_base = load->out.buffers[i];
        load->in.headers[i].msg_hdr.msg_iov = &load->in.parts[i];
        load->out.headers[i].msg_hdr.msg_iov = &load->out.parts[i];
        load->in.headers[i].msg_hdr.msg_iovlen = load->out.headers[i].msg_hdr.msg_iovlen = 1;
    }
}

int main(int argc, char **argv)
{
    static struct load load; /* large: batches and histogram */
    read_options(&load, argc, argv);
    set_up(&load);
    double used_s = sl_run_load(&load);
    sl_report(&load, used_s);
    return load.wrong || load.lost || !load.answered;
}
