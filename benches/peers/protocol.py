"""What the peers share: requests and answers, JSON, a line each, and timing. The requests are those of closed_form.rs;
`problem` tells a peer the parameters and data that all of them take."""

import json
import sys
import time


def repeats(run, seconds):
    """How often `run` is to be called so that it lasts `seconds`; caches are filled and code compiled on the way."""
    run()
    count = 1
    while True:
        elapsed = timed(run, count)
        if elapsed >= seconds / 4:
            return max(1, round(seconds / elapsed * count))
        count *= 4


def timed(run, count):
    started = time.perf_counter()
    for _ in range(count):
        run()
    return time.perf_counter() - started


def serve(about, make):
    """Answers requests until the input ends.

    `make(method, problem)` gives a pair: a function that evaluates and waits for the result, and one that gives what is
    told about it (`lambda_sup` and `gradient` as lists, and `share`, the part of the work that one evaluation does).
    """
    ready = {}
    for line in sys.stdin:
        request = json.loads(line)
        if request["do"] == "about":
            answer = {"about": about}
        else:
            key = (request["method"], tuple(request["sizes"]))
            if key not in ready:
                ready[key] = [*make(request["method"], request["problem"]), {}]
            run, told, known = ready[key]
            if request["do"] == "value":
                answer = told()
            else:
                seconds = request["seconds"]
                if seconds not in known:
                    known[seconds] = repeats(run, seconds)
                answer = {"seconds": timed(run, known[seconds]) / known[seconds]}
        print(json.dumps(answer), flush=True)
