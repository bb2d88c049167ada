/* spin.c - keep one core from halting:  chrt -i 0 taskset -c CORE ./spin SECONDS
 *
 * Under SCHED_IDLE any real task preempts it at once. It takes the cost of waking a halted
 * (virtual) core out of latencies measured at a low rate.
 */
#include <stdlib.h>
#include <time.h>

int main(int count, char **arguments) {
    time_t end = time(NULL) + (count > 1 ? atoi(arguments[1]) : 1);
    while (time(NULL) < end)
        for (volatile int i = 0; i < 1000000; i++) {}
    return 0;
}
