"""The tasks of the Celery peer, and, run as a program, its client: prints what it measured as one line of JSON."""
import json
import os
import sys
import time

from celery import Celery, chain, chord, group

url = os.environ["BENCH_REDIS"]
app = Celery("celery_tasks", broker=url, backend=url)
app.conf.update(
    task_acks_late=True,
    task_serializer="json",
    worker_prefetch_multiplier=16,
    result_chord_join_timeout=300,
    worker_send_task_events=False,
)


@app.task
def noop():
    return 0


@app.task
def after(_):
    return 0


@app.task
def stamp(times):
    return times + [time.time()]


def timed(work, count):
    start = time.time()
    work()
    took = time.time() - start
    return {"jobs": count, "seconds": took}


def jobs(count):
    group(noop.s() for _ in range(count)).apply_async().get(timeout=300, interval=0.01)


def fan(width):
    (noop.s() | chord((after.s() for _ in range(width)), after.s())).apply_async().get(timeout=300, interval=0.01)


def steps(length):
    times = chain(stamp.s([]), *(stamp.s() for _ in range(length - 1))).apply_async().get(timeout=300, interval=0.01)
    return [1000 * (b - a) for a, b in zip(times, times[1:])]


if __name__ == "__main__":
    count, width, length = (int(a) for a in sys.argv[1:4])
    noop.delay().get(timeout=60)  # the workers are there
    out = {"jobs": timed(lambda: jobs(count), count), "fan": timed(lambda: fan(width), width + 2)}
    start = time.time()
    gaps = steps(length)
    out["chain"] = {"jobs": length, "seconds": time.time() - start, "steps_ms": gaps}
    print(json.dumps(out))
