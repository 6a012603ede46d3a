/* Serves the pages of many targets, one loopback address each, and counts what is asked of them.
 *
 * Usage: pageserver PORT TARGETS SNAPSHOTS FOLDER
 * Target i listens on 127.1.(i/250).(i%250 + 1):PORT and answers GET /metrics with FOLDER/full-N, where N grows with
 * every answer; GET /metrics/?name[]=... gets FOLDER/named-N, chunked, as Python's prometheus_client sends it.
 * 127.0.0.1:PORT answers GET /stats with "SCRAPES BYTES", and takes POSTs (a remote-write sink) with 204.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

struct answer { char *bytes; size_t size; };

struct peer {
    int fd, listening, target;
    size_t held, skip, sent;
    struct answer *answering;
    char request[16384];
};

static struct answer *full, *named, missing, taken, told;
static char stats[160];
static long scrapes, bytes;
static int snapshots, *asked;

static struct answer loaded(const char *folder, const char *kind, int number, int chunked)
{
    char path[4096], head[256];
    snprintf(path, sizeof path, "%s/%s-%d", folder, kind, number);
    FILE *file = fopen(path, "rb");
    if (!file) { perror(path); exit(1); }
    fseek(file, 0, SEEK_END);
    size_t size = (size_t)ftell(file);
    rewind(file);
    const char *type = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n";
    int head_size = chunked
        ? snprintf(head, sizeof head, "%sTransfer-Encoding: chunked\r\n\r\n%zx\r\n", type, size)
        : snprintf(head, sizeof head, "%sContent-Length: %zu\r\n\r\n", type, size);
    const char *tail = chunked ? "\r\n0\r\n\r\n" : "";
    struct answer made = {malloc((size_t)head_size + size + 16), 0};
    memcpy(made.bytes, head, (size_t)head_size);
    if (fread(made.bytes + head_size, 1, size, file) != size) exit(1);
    memcpy(made.bytes + head_size + size, tail, strlen(tail));
    made.size = (size_t)head_size + size + strlen(tail);
    fclose(file);
    return made;
}

static struct answer fixed(const char *text)
{
    struct answer made = {strdup(text), strlen(text)};
    return made;
}

/* The answer to the request that `peer` holds whole; how much of what it holds that was goes to `used`. */
static struct answer *answered(struct peer *peer, size_t *used)
{
    peer->request[peer->held] = 0;
    char *end = memmem(peer->request, peer->held, "\r\n\r\n", 4);
    if (!end) {
        if (peer->held == sizeof peer->request - 1) peer->held = 0;
        return NULL;
    }
    *used = (size_t)(end - peer->request) + 4;
    if (!strncmp(peer->request, "POST ", 5)) {
        char *length = strcasestr(peer->request, "content-length:");
        peer->skip = length && length < end ? strtoul(length + 15, NULL, 10) : 0;
        return &taken;
    }
    if (peer->target < 0) {
        char body[64];
        int size = snprintf(body, sizeof body, "%ld %ld", scrapes, bytes);
        snprintf(stats, sizeof stats, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", size, body);
        told.bytes = stats;
        told.size = strlen(stats);
        return &told;
    }
    int plain = !strncmp(peer->request, "GET /metrics ", 13);
    if (!plain && strncmp(peer->request, "GET /metrics/?name", 18)) return &missing;
    struct answer *found = (plain ? full : named) + asked[peer->target]++ % snapshots;
    scrapes++;
    bytes += (long)found->size;
    return found;
}

static int wait_for(int poller, struct peer *peer, int operation, unsigned events)
{
    struct epoll_event event = {.events = events, .data.ptr = peer};
    return epoll_ctl(poller, operation, peer->fd, &event);
}

static void closed(struct peer *peer)
{
    close(peer->fd);
    free(peer);
}

/* Sends and receives until the socket would block. */
static void served(int poller, struct peer *peer)
{
    for (;;) {
        while (peer->answering) {
            ssize_t sent = write(peer->fd, peer->answering->bytes + peer->sent, peer->answering->size - peer->sent);
            if (sent < 0) {
                if (errno == EAGAIN) wait_for(poller, peer, EPOLL_CTL_MOD, EPOLLOUT);
                else closed(peer);
                return;
            }
            peer->sent += (size_t)sent;
            if (peer->sent < peer->answering->size) continue;
            peer->answering = NULL;
            wait_for(poller, peer, EPOLL_CTL_MOD, EPOLLIN);
        }
        size_t passed = peer->skip < peer->held ? peer->skip : peer->held;
        peer->skip -= passed;
        peer->held -= passed;
        memmove(peer->request, peer->request + passed, peer->held);
        size_t used;
        if (!peer->skip && peer->held && (peer->answering = answered(peer, &used))) {
            peer->held -= used;
            memmove(peer->request, peer->request + used, peer->held);
            peer->sent = 0;
            continue;
        }
        ssize_t got = read(peer->fd, peer->request + peer->held, sizeof peer->request - 1 - peer->held);
        if (got <= 0) {
            if (got == 0 || errno != EAGAIN) closed(peer);
            return;
        }
        peer->held += (size_t)got;
    }
}

static void listening(int poller, const char *address, int port, int target)
{
    struct sockaddr_in place = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
    inet_pton(AF_INET, address, &place.sin_addr);
    struct peer *peer = calloc(1, sizeof *peer);
    int on = 1;
    peer->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    peer->listening = 1;
    peer->target = target;
    setsockopt(peer->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(peer->fd, (struct sockaddr *)&place, sizeof place) || listen(peer->fd, 64)) { perror(address); exit(1); }
    wait_for(poller, peer, EPOLL_CTL_ADD, EPOLLIN);
}

int main(int count, char **arguments)
{
    if (count != 5) return 2;
    int port = atoi(arguments[1]), targets = atoi(arguments[2]), poller = epoll_create1(0);
    snapshots = atoi(arguments[3]);
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    signal(SIGPIPE, SIG_IGN);
    asked = calloc((size_t)targets, sizeof *asked);
    full = calloc((size_t)snapshots, sizeof *full);
    named = calloc((size_t)snapshots, sizeof *named);
    for (int number = 0; number < snapshots; number++) {
        full[number] = loaded(arguments[4], "full", number, 0);
        named[number] = loaded(arguments[4], "named", number, 1);
    }
    missing = fixed("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    taken = fixed("HTTP/1.1 204 No Content\r\n\r\n");
    for (int target = 0; target < targets; target++) {
        char address[32];
        snprintf(address, sizeof address, "127.1.%d.%d", target / 250, target % 250 + 1);
        asked[target] = target % 16;
        listening(poller, address, port, target);
    }
    listening(poller, "127.0.0.1", port, -1);
    puts("ready");
    fflush(stdout);
    for (;;) {
        struct epoll_event events[256];
        int found = epoll_wait(poller, events, 256, -1);
        for (int number = 0; number < found; number++) {
            struct peer *peer = events[number].data.ptr;
            if (!peer->listening) { served(poller, peer); continue; }
            int on = 1, fd = accept4(peer->fd, NULL, NULL, SOCK_NONBLOCK);
            if (fd < 0) continue;
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
            struct peer *fresh = calloc(1, sizeof *fresh);
            fresh->fd = fd;
            fresh->target = peer->target;
            wait_for(poller, fresh, EPOLL_CTL_ADD, EPOLLIN);
        }
    }
}
