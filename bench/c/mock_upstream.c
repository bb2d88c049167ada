/* mock_upstream.c - a single-threaded epoll upstream that speaks OpenAI chat completions.
 *
 *   cc -O2 -o mock_upstream mock_upstream.c && ./mock_upstream PORT
 *
 * Any POST is answered. Three ordinary fields steer the answer, so every gateway passes them on:
 *   "stream":true     server-sent events; else one JSON answer of about 1 KB
 *   "max_tokens":N    how many content events (default 200), about 200 bytes each
 *   "seed":D          microseconds between events; 0 is one event a stream a turn of the loop
 * Each event is its own write and carries "t=<CLOCK_MONOTONIC nanoseconds, 19 digits>", so a reader
 * on the same machine can count events and time each one. Usage comes with the last, then [DONE].
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAX_FD = 65536, EVENTS = 512, READ_ROOM = 65536 };
static const int64_t SECOND_NS = 1000000000LL;

typedef struct {
    int fd, is_streaming, is_blocked, events_left, events_total, active_index;
    int64_t delay_ns, due_ns;
    char *in; size_t in_size, in_room;
    char *out; size_t out_size, out_sent, out_room;
} connection;

static connection *connections[MAX_FD];
static connection *active[MAX_FD];
static int active_count, poller;
static char json_answer[4096];
static int json_size;

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * SECOND_NS + t.tv_nsec;
}

static void activate(connection *c) {
    if (c->active_index >= 0) return;
    c->active_index = active_count;
    active[active_count++] = c;
}

static void deactivate(connection *c) {
    if (c->active_index < 0) return;
    connection *last = active[--active_count];
    active[c->active_index] = last;
    last->active_index = c->active_index;
    c->active_index = -1;
}

static void hang_up(connection *c) {
    deactivate(c);
    connections[c->fd] = NULL;
    close(c->fd);
    free(c->in);
    free(c->out);
    free(c);
}

static void watch(connection *c, uint32_t wanted) {
    struct epoll_event e = {wanted, {.fd = c->fd}};
    epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &e);
}

/* Sends or queues; -1 when the connection is gone (and freed). */
static int send_or_queue(connection *c, const char *data, size_t size) {
    if (c->out_size == c->out_sent) {
        ssize_t sent = send(c->fd, data, size, MSG_NOSIGNAL);
        if (sent == (ssize_t)size) return 0;
        if (sent < 0) {
            if (errno != EAGAIN) { hang_up(c); return -1; }
            sent = 0;
        }
        data += sent;
        size -= sent;
        c->out_size = c->out_sent = 0;
    }
    if (c->out_size + size > c->out_room) {
        c->out_room = (c->out_size + size) * 2;
        c->out = realloc(c->out, c->out_room);
    }
    memcpy(c->out + c->out_size, data, size);
    c->out_size += size;
    if (!c->is_blocked) { c->is_blocked = 1; watch(c, EPOLLIN | EPOLLOUT); }
    return 0;
}

/* Sends what is queued; -1 when the connection is gone. */
static int flush(connection *c) {
    ssize_t sent = send(c->fd, c->out + c->out_sent, c->out_size - c->out_sent, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) { hang_up(c); return -1; }
    if (sent > 0) c->out_sent += sent;
    if (c->out_sent == c->out_size) {
        c->is_blocked = 0;
        c->out_size = c->out_sent = 0;
        watch(c, EPOLLIN);
    }
    return 0;
}

static void build_json_answer(void) {
    char body[2048], text[641];
    for (int i = 0; i < 640; i++) text[i] = i % 6 == 5 ? ' ' : 'a';
    text[640] = 0;
    int size = snprintf(body, sizeof body,
        "{\"id\":\"chatcmpl-mock0000000000000000000001\",\"object\":\"chat.completion\",\"created\":1700000000,"
        "\"model\":\"mock-upstream\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"%s\"},"
        "\"logprobs\":null,\"finish_reason\":\"stop\"}],"
        "\"usage\":{\"prompt_tokens\":25,\"completion_tokens\":128,\"total_tokens\":153,"
        "\"prompt_tokens_details\":{\"cached_tokens\":0},\"completion_tokens_details\":{\"reasoning_tokens\":0}},"
        "\"system_fingerprint\":\"fp_mock\"}", text);
    json_size = snprintf(json_answer, sizeof json_answer,
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: keep-alive\r\n\r\n%s",
        size, body);
}

static int send_event(connection *c) {
    static const char common[] =
        "data: {\"id\":\"chatcmpl-mock01\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,"
        "\"model\":\"mock-upstream\",\"choices\":[{\"index\":0,\"delta\":";
    char event[768], framed[1024];
    int size, framed_size;
    if (c->events_left > 0) {
        c->events_left--;
        size = snprintf(event, sizeof event, "%s{\"content\":\"t=%019lld ab\"},\"finish_reason\":null}]}\n\n",
                        common, (long long)now_ns());
        framed_size = snprintf(framed, sizeof framed, "%x\r\n%s\r\n", size, event);
        return send_or_queue(c, framed, framed_size);
    }
    size = snprintf(event, sizeof event,
        "%s{},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":25,\"completion_tokens\":%d,\"total_tokens\":%d}}\n\n"
        "data: [DONE]\n\n", common, c->events_total, c->events_total + 25);
    framed_size = snprintf(framed, sizeof framed, "%x\r\n%s\r\n0\r\n\r\n", size, event);
    c->is_streaming = 0;
    deactivate(c);
    return send_or_queue(c, framed, framed_size);
}

static int64_t number_after(const char *text, size_t size, const char *key, int64_t otherwise) {
    const char *p = memmem(text, size, key, strlen(key));
    if (!p) return otherwise;
    for (p += strlen(key); p < text + size && (*p == ' ' || *p == ':'); p++) {}
    return strtoll(p, NULL, 10);
}

static int answer(connection *c, const char *body, size_t size) {
    static const char head[] =
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nCache-Control: no-cache\r\n"
        "Transfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n";
    if (!memmem(body, size, "\"stream\":true", 13) && !memmem(body, size, "\"stream\": true", 14))
        return send_or_queue(c, json_answer, json_size);
    c->events_total = c->events_left = (int)number_after(body, size, "\"max_tokens\"", 200);
    c->delay_ns = number_after(body, size, "\"seed\"", 0) * 1000;
    c->is_streaming = 1;
    c->due_ns = now_ns() + c->delay_ns;
    activate(c);
    return send_or_queue(c, head, sizeof head - 1);
}

/* Answers one whole request at the start of c->in: the bytes used, 0 when incomplete, -1 when the connection is gone. */
static ssize_t take_request(connection *c) {
    char *head_end = memmem(c->in, c->in_size, "\r\n\r\n", 4);
    if (!head_end) return 0;
    size_t head_size = head_end - c->in + 4, needed;
    int64_t length = 0;
    int is_chunked = 0;
    for (char *line = c->in; line < head_end;) {
        char *end = memmem(line, head_end - line + 2, "\r\n", 2);
        if (!end) break;
        if (!strncasecmp(line, "content-length:", 15)) length = strtoll(line + 15, NULL, 10);
        else if (!strncasecmp(line, "transfer-encoding:", 18)) is_chunked = 1;
        line = end + 2;
    }
    if (is_chunked) {
        char *last = memmem(head_end + 2, c->in_size - head_size + 2, "\r\n0\r\n\r\n", 7);
        if (!last) return 0;
        needed = last - c->in + 7;
    } else {
        needed = head_size + length;
        if (c->in_size < needed) return 0;
    }
    return answer(c, c->in + head_size, needed - head_size) ? -1 : (ssize_t)needed;
}

static void read_requests(connection *c) {
    if (c->in_size + READ_ROOM > c->in_room) {
        c->in_room = (c->in_size + READ_ROOM) * 2;
        c->in = realloc(c->in, c->in_room);
    }
    ssize_t size = recv(c->fd, c->in + c->in_size, c->in_room - c->in_size - 1, 0);
    if (size == 0 || (size < 0 && errno != EAGAIN)) { hang_up(c); return; }
    if (size < 0) return;
    c->in_size += size;
    c->in[c->in_size] = 0;
    while (c->in_size && !c->is_streaming) {
        ssize_t used = take_request(c);
        if (used <= 0) return;
        memmove(c->in, c->in + used, c->in_size - used);
        c->in_size -= used;
    }
}

static void accept_all(int listener) {
    int one = 1;
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
        if (fd < 0) return;
        if (fd >= MAX_FD) { close(fd); continue; }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        connection *c = calloc(1, sizeof *c);
        c->fd = fd;
        c->active_index = -1;
        connections[fd] = c;
        struct epoll_event e = {EPOLLIN, {.fd = fd}};
        epoll_ctl(poller, EPOLL_CTL_ADD, fd, &e);
    }
}

static void send_due_events(void) {
    int64_t now = now_ns();
    for (int i = active_count - 1; i >= 0; i--) {
        if (i >= active_count) continue;
        connection *c = active[i];
        if (c->is_blocked || c->due_ns > now) continue;
        if (c->delay_ns) {
            c->due_ns += c->delay_ns;
            if (c->due_ns < now - SECOND_NS) c->due_ns = now;
        }
        send_event(c);
    }
}

/* Nanoseconds until the next event is due; -1 when none is. */
static int64_t idle_ns(void) {
    int64_t now = now_ns(), wait = -1;
    for (int i = 0; i < active_count; i++) {
        if (active[i]->is_blocked) continue;
        int64_t left = active[i]->due_ns - now;
        if (left < 0) left = 0;
        if (wait < 0 || left < wait) wait = left;
    }
    return wait;
}

static int listen_on(int port) {
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    if (bind(listener, (void *)&address, sizeof address) || listen(listener, 8192)) { perror("listen"); exit(1); }
    struct epoll_event e = {EPOLLIN, {.fd = listener}};
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &e);
    return listener;
}

int main(int count, char **arguments) {
    signal(SIGPIPE, SIG_IGN);
    build_json_answer();
    poller = epoll_create1(0);
    int listener = listen_on(count > 1 ? atoi(arguments[1]) : 9100);
    struct epoll_event events[EVENTS];
    for (;;) {
        int64_t wait = idle_ns();
        struct timespec timeout = {wait / SECOND_NS, wait % SECOND_NS};
        int ready = epoll_pwait2(poller, events, EVENTS, wait < 0 ? NULL : &timeout, NULL);
        for (int i = 0; i < ready; i++) {
            int fd = events[i].data.fd;
            if (fd == listener) { accept_all(listener); continue; }
            connection *c = connections[fd];
            if (!c) continue;
            if ((events[i].events & EPOLLOUT) && flush(c)) continue;
            if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) read_requests(c);
        }
        send_due_events();
    }
}
