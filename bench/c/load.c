/* load.c - a single-threaded epoll load generator for OpenAI chat completions.
 *
 *   cc -O2 -o load load.c && ./load MODE [name=value ...]
 *
 * saturate   closed loop: c connections, each sends as soon as it is answered
 * rate       open loop: r requests/s over c connections; a latency counts from the scheduled time,
 *            so a stall is charged to every request that had to wait for it
 * stream     closed loop of event streams: c at a time, n events each, us microseconds apart
 *
 * Common: port path key model, body (extra bytes of prompt), w (seconds of warm-up), d (seconds of
 * window), drain (seconds). Rates and latencies are of the window. At its end nothing new is
 * begun, and what is open is waited for. `total` counts every whole answer and `errors` every
 * other one, warm-up and drain included: so they can be held against what the gateway has
 * booked. A stream is whole when all n events and [DONE] came. Prints one JSON object.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS = 512, QUEUE = 1 << 20, SAMPLES = 4000000, MARK = 21 /* "t=" and 19 digits */ };
static const int64_t SECOND_NS = 1000000000LL;

typedef enum { HEAD, COUNTED, CHUNK_SIZE, CHUNK, CHUNK_END, LAST_LINE, UNTIL_CLOSE } state;
typedef struct {
    int fd, is_busy, wants_write, status, is_unseen, saw_done, end_bytes;
    state state;
    int64_t begun_ns, left, marks;
    size_t sent;
    char head[8192]; int head_size;
    char line[32]; int line_size;
    char carry[MARK - 1]; int carry_size; /* the last bytes of the body so far: a mark may straddle reads */
} connection;
typedef struct { float *values; size_t count; } samples;

static struct {
    int port, connections, events, is_stream, is_rate;
    double window_s, warm_up_s, drain_s, per_second;
    long delay_us, body;
    const char *path, *key, *model;
} options = {.port = 8000, .connections = 64, .events = 200, .window_s = 3, .warm_up_s = 1, .drain_s = 10, .per_second = 100,
             .path = "/v1/chat/completions", .key = "sk-test-1234", .model = "mock"};
static char *request;
static size_t request_size;
static connection *connections;
static int poller, busy_count, first_bad_status, timer_mark;
static int64_t window_start, window_end, total, errors, total_marks, window_answers, window_marks;
static samples answer_us, first_byte_us, mark_us;
static int64_t queue[QUEUE]; /* when each waiting request of an open loop was due */
static size_t queue_head, queue_size, queue_overrun;

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * SECOND_NS + t.tv_nsec;
}

static int in_window(int64_t now) { return now >= window_start && now <= window_end; }

static void note(samples *s, double value) {
    if (s->count < SAMPLES) s->values[s->count++] = (float)value;
}

static int by_value(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static double quantile(const samples *s, double q) { return s->count ? s->values[(size_t)(q * (s->count - 1))] : -1; }

static void build_request(void) {
    static const char filler[] = "def f(x):\\n    return \\\"a\\\" + x  # comment\\n"; /* escapes, as in code */
    char *body = malloc(options.body + 4096);
    int size = sprintf(body, "{\"model\":\"%s\",\"messages\":[{\"role\":\"system\",\"content\":\"You are a helpful assistant.\"},"
                             "{\"role\":\"user\",\"content\":\"Say hello. ", options.model);
    for (long added = 0; added < options.body; added += sizeof filler - 1) {
        memcpy(body + size, filler, sizeof filler - 1);
        size += sizeof filler - 1;
    }
    size += sprintf(body + size, "\"}],\"temperature\":0.7,");
    if (options.is_stream)
        size += sprintf(body + size, "\"stream\":true,\"seed\":%ld,\"max_tokens\":%d}", options.delay_us, options.events);
    else
        size += sprintf(body + size, "\"max_tokens\":128}");
    request = malloc(size + 8192);
    int head = sprintf(request,
        "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\n"
        "Accept: application/json\r\nUser-Agent: OpenAI/Python 1.99.0\r\nX-Stainless-Lang: python\r\n"
        "X-Stainless-Runtime: CPython\r\nAccept-Encoding: identity\r\nContent-Length: %d\r\n\r\n",
        options.path, options.port, options.key, size);
    memcpy(request + head, body, size);
    request_size = head + size;
    free(body);
}

static void push(connection *c) {
    while (c->sent < request_size) {
        ssize_t sent = send(c->fd, request + c->sent, request_size - c->sent, MSG_NOSIGNAL);
        if (sent < 0) break; /* full, or broken: then the read sees it */
        c->sent += sent;
    }
    int wants_write = c->sent < request_size;
    if (wants_write == c->wants_write) return;
    c->wants_write = wants_write;
    struct epoll_event e = {EPOLLIN | (wants_write ? EPOLLOUT : 0), {.ptr = c}};
    epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &e);
}

static void begin(connection *c, int64_t begun_ns) {
    c->begun_ns = begun_ns;
    c->is_busy = c->is_unseen = 1;
    c->state = HEAD;
    c->head_size = c->line_size = c->carry_size = c->saw_done = 0;
    c->marks = 0;
    c->sent = 0;
    busy_count++;
    push(c);
}

static int dial(connection *c) {
    int one = 1;
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(options.port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    c->is_busy = c->wants_write = 0;
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(c->fd, (void *)&address, sizeof address)) { close(c->fd); c->fd = -1; return -1; }
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    fcntl(c->fd, F_SETFL, fcntl(c->fd, F_GETFL) | O_NONBLOCK);
    struct epoll_event e = {EPOLLIN, {.ptr = c}};
    return epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &e);
}

static void fail(int status) {
    errors++;
    if (!first_bad_status) first_bad_status = status;
}

static void finish(connection *c, int64_t now) {
    c->is_busy = 0;
    busy_count--;
    if (c->status != 200 || (options.is_stream && (!c->saw_done || c->marks < options.events))) { fail(c->status); return; }
    total++;
    if (!in_window(now)) return;
    window_answers++;
    note(&answer_us, (now - c->begun_ns) / 1e3);
}

/* The time in the mark at p, or -1 when it is none. */
static int64_t read_mark(const char *p) {
    int64_t t = 0;
    for (int i = 2; i < MARK; i++) {
        if (p[i] < '0' || p[i] > '9') return -1;
        t = t * 10 + (p[i] - '0');
    }
    return t;
}

/* Counts the whole marks that begin in the first `starts` of `size` bytes. */
static void count_marks(connection *c, const char *p, size_t starts, size_t size, int64_t now) {
    const char *end = p + size, *limit = p + starts;
    for (const char *q = p; (q = memmem(q, end - q, "t=", 2)) && q < limit && q + MARK <= end; q += 2) {
        int64_t sent_ns = read_mark(q);
        if (sent_ns < 0) continue;
        c->marks++;
        total_marks++;
        if (!in_window(now)) continue;
        window_marks++;
        note(&mark_us, (now - sent_ns) / 1e3);
    }
}

static void keep_tail(connection *c, const char *p, size_t size) {
    int kept = size < sizeof c->carry ? (int)size : (int)sizeof c->carry;
    memcpy(c->carry, p + size - kept, kept);
    c->carry_size = kept;
}

static void scan(connection *c, const char *p, size_t size, int64_t now) {
    if (!options.is_stream || !size) return;
    if (c->is_unseen) {
        c->is_unseen = 0;
        if (in_window(now)) note(&first_byte_us, (now - c->begun_ns) / 1e3);
    }
    char seam[3 * MARK];
    size_t seam_size = c->carry_size + (size < 2 * MARK ? size : 2 * MARK);
    memcpy(seam, c->carry, c->carry_size);
    memcpy(seam + c->carry_size, p, seam_size - c->carry_size);
    count_marks(c, seam, c->carry_size, seam_size, now);
    count_marks(c, p, size, size, now);
    if (c->marks >= options.events && (memmem(seam, seam_size, "[DONE]", 6) || memmem(p, size, "[DONE]", 6))) c->saw_done = 1;
    if (size < sizeof c->carry) keep_tail(c, seam, seam_size);
    else keep_tail(c, p, size);
}

/* Takes bytes of the head; returns how many. */
static size_t read_head(connection *c, const char *p, size_t size) {
    size_t room = sizeof c->head - 1 - c->head_size, taken = size < room ? size : room;
    int before = c->head_size;
    memcpy(c->head + before, p, taken);
    c->head_size += taken;
    c->head[c->head_size] = 0;
    char *end = memmem(c->head, c->head_size, "\r\n\r\n", 4);
    if (!end) return taken ? taken : size; /* a head without end fails when the drain is over */
    *end = 0;
    c->status = c->head_size > 12 ? atoi(c->head + 9) : 0;
    c->state = UNTIL_CLOSE;
    for (char *line = c->head; line; line = strstr(line, "\r\n"), line = line ? line + 2 : NULL) {
        if (!strncasecmp(line, "content-length:", 15)) { c->left = atoll(line + 15); c->state = COUNTED; }
        else if (!strncasecmp(line, "transfer-encoding:", 18)) { c->state = CHUNK_SIZE; break; }
    }
    return end + 4 - c->head - before;
}

static void read_size(connection *c, char byte) {
    if (byte != '\n') {
        if (c->line_size < (int)sizeof c->line - 1) c->line[c->line_size++] = byte;
        return;
    }
    c->line[c->line_size] = 0;
    c->line_size = 0;
    c->left = strtoll(c->line, NULL, 16);
    c->end_bytes = 2;
    c->state = c->left ? CHUNK : LAST_LINE;
}

/* Takes bytes of an answer; 1 when it is complete. */
static int feed(connection *c, const char *p, size_t size, int64_t now) {
    while (size || (c->state == COUNTED && !c->left)) {
        size_t taken = 1;
        switch (c->state) {
        case HEAD: taken = read_head(c, p, size); break;
        case UNTIL_CLOSE: scan(c, p, size, now); return 0;
        case COUNTED:
        case CHUNK:
            taken = size < (size_t)c->left ? size : (size_t)c->left;
            scan(c, p, taken, now);
            c->left -= taken;
            if (!c->left && c->state == COUNTED) return 1;
            if (!c->left) c->state = CHUNK_END;
            break;
        case CHUNK_SIZE: read_size(c, *p); break;
        case CHUNK_END: if (!--c->end_bytes) c->state = CHUNK_SIZE; break;
        case LAST_LINE: if (!--c->end_bytes) return 1; break;
        }
        p += taken;
        size -= taken;
    }
    return 0;
}

static void lose(connection *c, int64_t now) {
    if (c->is_busy && c->state == UNTIL_CLOSE) finish(c, now);
    else if (c->is_busy) { busy_count--; fail(0); }
    close(c->fd);
    if (dial(c)) fail(0);
}

static void read_answer(connection *c) {
    static char buffer[262144];
    ssize_t size = recv(c->fd, buffer, sizeof buffer, 0);
    int64_t now = now_ns();
    if (size < 0 && errno == EAGAIN) return;
    if (size <= 0) lose(c, now);
    else if (c->is_busy && feed(c, buffer, size, now)) finish(c, now);
    if (!options.is_rate && !c->is_busy && c->fd >= 0 && now < window_end) begin(c, now_ns());
}

static int start_timer(int64_t step_ns) {
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    struct timespec step = {step_ns / SECOND_NS, step_ns % SECOND_NS};
    struct itimerspec schedule = {step, step};
    timerfd_settime(timer, 0, &schedule, NULL);
    struct epoll_event e = {EPOLLIN, {.ptr = &timer_mark}};
    epoll_ctl(poller, EPOLL_CTL_ADD, timer, &e);
    return timer;
}

static void queue_due(int timer, int64_t *due_ns, int64_t step_ns) {
    uint64_t ticks;
    if (read(timer, &ticks, sizeof ticks) != sizeof ticks) return;
    for (; ticks; ticks--, *due_ns += step_ns) {
        if (*due_ns > window_end) return;
        if (queue_size < QUEUE) queue[(queue_head + queue_size++) % QUEUE] = *due_ns;
        else queue_overrun++;
    }
}

static void begin_queued(void) {
    static int next; /* the one used last stays first choice: at a low rate one connection carries all */
    while (queue_size) {
        connection *idle = NULL;
        for (int i = 0; i < options.connections && !idle; i++) {
            connection *c = &connections[(next + i) % options.connections];
            if (!c->is_busy && c->fd >= 0) { idle = c; next = (next + i) % options.connections; }
        }
        if (!idle) return;
        begin(idle, queue[queue_head % QUEUE]);
        queue_head++;
        queue_size--;
    }
}

static void run(void) {
    struct epoll_event events[EVENTS];
    int64_t start = now_ns(), step_ns = (int64_t)(SECOND_NS / options.per_second), due_ns = start + step_ns;
    window_start = start + (int64_t)(options.warm_up_s * SECOND_NS);
    window_end = window_start + (int64_t)(options.window_s * SECOND_NS);
    int64_t give_up = window_end + (int64_t)(options.drain_s * SECOND_NS);
    int timer = options.is_rate ? start_timer(step_ns) : -1;
    for (int i = 0; !options.is_rate && i < options.connections; i++) begin(&connections[i], now_ns());
    for (int64_t now = start; now < window_end || (busy_count && now < give_up); now = now_ns()) {
        int ready = epoll_wait(poller, events, EVENTS, 50);
        for (int i = 0; i < ready; i++) {
            if (events[i].data.ptr == &timer_mark) { queue_due(timer, &due_ns, step_ns); continue; }
            connection *c = events[i].data.ptr;
            if (events[i].events & EPOLLOUT) push(c);
            if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) read_answer(c);
        }
        if (options.is_rate) begin_queued();
    }
}

static int read_options(int count, char **arguments) {
    if (count < 2) return -1;
    options.is_stream = !strcmp(arguments[1], "stream");
    options.is_rate = !strcmp(arguments[1], "rate");
    if (options.is_rate) options.connections = 32;
    else if (!options.is_stream && strcmp(arguments[1], "saturate")) return -1;
    for (int i = 2; i < count; i++) {
        char *name = arguments[i], *value = strchr(name, '=');
        if (!value) return -1;
        *value++ = 0;
        if (!strcmp(name, "port")) options.port = atoi(value);
        else if (!strcmp(name, "path")) options.path = value;
        else if (!strcmp(name, "key")) options.key = value;
        else if (!strcmp(name, "model")) options.model = value;
        else if (!strcmp(name, "c")) options.connections = atoi(value);
        else if (!strcmp(name, "n")) options.events = atoi(value);
        else if (!strcmp(name, "us")) options.delay_us = atol(value);
        else if (!strcmp(name, "r")) options.per_second = atof(value);
        else if (!strcmp(name, "body")) options.body = atol(value);
        else if (!strcmp(name, "w")) options.warm_up_s = atof(value);
        else if (!strcmp(name, "d")) options.window_s = atof(value);
        else if (!strcmp(name, "drain")) options.drain_s = atof(value);
        else return -1;
    }
    return 0;
}

static void sort(samples *s) { qsort(s->values, s->count, sizeof *s->values, by_value); }

static void report(void) {
    sort(&answer_us);
    sort(&first_byte_us);
    sort(&mark_us);
    printf("{\"total\":%lld,\"errors\":%lld,\"unfinished\":%d,\"backlog\":%zu,\"first_bad_status\":%d,\"answers_per_s\":%.1f,"
           "\"p50_us\":%.1f,\"p99_us\":%.1f,", (long long)total, (long long)errors, busy_count, queue_size + queue_overrun,
           first_bad_status, window_answers / options.window_s, quantile(&answer_us, .5), quantile(&answer_us, .99));
    printf("\"total_chunks\":%lld,\"chunks_per_s\":%.1f,\"ttft_p50_us\":%.1f,\"ttft_p99_us\":%.1f,"
           "\"chunk_p50_us\":%.1f,\"chunk_p99_us\":%.1f}\n", (long long)total_marks, window_marks / options.window_s,
           quantile(&first_byte_us, .5), quantile(&first_byte_us, .99), quantile(&mark_us, .5), quantile(&mark_us, .99));
}

int main(int count, char **arguments) {
    if (read_options(count, arguments)) { fprintf(stderr, "load: unknown mode or option; see the top of load.c\n"); return 2; }
    signal(SIGPIPE, SIG_IGN);
    build_request();
    answer_us.values = malloc(SAMPLES * sizeof(float));
    first_byte_us.values = malloc(SAMPLES * sizeof(float));
    mark_us.values = malloc(SAMPLES * sizeof(float));
    poller = epoll_create1(0);
    connections = calloc(options.connections, sizeof *connections);
    for (int i = 0; i < options.connections; i++)
        if (dial(&connections[i])) { fprintf(stderr, "load: nobody listens on port %d\n", options.port); return 1; }
    run();
    report();
    return 0;
}
