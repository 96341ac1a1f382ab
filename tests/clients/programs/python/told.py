"""What the Python programs share: lines that are seen at once, the end of stdin, and a steady rate."""

import sys
import threading
import time

REQUEST_TIMEOUT_MS = 1500

_lock = threading.Lock()


def say(line):
    with _lock:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


def acked(value, offset):
    say(f"acked {value} {offset}")


def failed(value, error):
    say(f"failed {value} {error}".replace("\n", " "))


def end_of_stdin():
    over = threading.Event()

    def wait():
        sys.stdin.read()
        over.set()

    threading.Thread(target=wait, daemon=True).start()
    return over


def paced(rate):
    """The values 0, 1, …, so many a second, until stdin ends."""
    over = end_of_stdin()
    start = time.monotonic()
    value = 0
    while not over.is_set():
        yield value
        value += 1
        ahead = start + value / rate - time.monotonic()
        if ahead > 0:
            time.sleep(ahead)
        elif ahead < -0.5:
            # The client held us: what was missed is not made up for.
            start -= ahead
