"""The client of the Dask peer: prints what it measured as one line of JSON."""
import json
import sys
import time

from distributed import Client


def noop(*_):
    return 0


def stamp(times):
    return times + [time.time()]


def last(*_):
    return 0


def gathered(values):
    return len(values)


if __name__ == "__main__":
    address = sys.argv[1]
    count, width, length, workers = (int(a) for a in sys.argv[2:6])
    client = Client(address)
    client.wait_for_workers(workers, timeout=60)
    client.submit(noop).result()
    out = {}

    start = time.time()
    client.gather(client.map(noop, range(count), pure=False))
    out["jobs"] = {"jobs": count, "seconds": time.time() - start}

    start = time.time()
    first = client.submit(noop, pure=False)
    middle = client.map(noop, [first] * width, pure=False)
    client.submit(gathered, middle, pure=False).result()
    out["fan"] = {"jobs": width + 2, "seconds": time.time() - start}

    start = time.time()
    step = client.submit(stamp, [], pure=False)
    for _ in range(length - 1):
        step = client.submit(stamp, step, pure=False)
    times = step.result()
    out["chain"] = {
        "jobs": length,
        "seconds": time.time() - start,
        "steps_ms": [1000 * (b - a) for a, b in zip(times, times[1:])],
    }
    print(json.dumps(out))
