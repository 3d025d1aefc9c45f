"""Readers that ask the same questions 50 times a second, in a process of their own: `python polling.py URL QUERY …`.

They ask until their input ends, then print JSON: for each query how often it was asked, the longest time it took in
seconds, and the errors.
"""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psycopg

PERIOD = 1 / 50


@dataclass
class Reader:
    """What one of them met with."""

    query: str
    asked: int = 0
    longest: float = 0
    errors: list[str] = field(default_factory=list)

    def read(self, url: str, is_over: threading.Event) -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            while not is_over.is_set():
                began = time.monotonic()
                try:
                    connection.execute(self.query.encode()).fetchall()
                except psycopg.Error as error:
                    self.errors.append(str(error))
                took = time.monotonic() - began
                self.asked += 1
                self.longest = max(self.longest, took)
                time.sleep(max(PERIOD - took, 0))


@contextmanager
def readers(url: str, queries: list[str]) -> Iterator[list[Reader]]:
    """Readers of a database; the list gets what they met with when the block ends."""
    met: list[Reader] = []
    with subprocess.Popen(
        [sys.executable, Path(__file__), url, *queries], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield met
        finally:
            output, _ = process.communicate()
    met.extend(Reader(**each) for each in json.loads(output))


def main(url: str, queries: list[str]) -> None:
    is_over = threading.Event()
    all_readers = [Reader(query) for query in queries]
    threads = [threading.Thread(target=reader.read, args=[url, is_over]) for reader in all_readers]
    for thread in threads:
        thread.start()
    sys.stdin.read()
    is_over.set()
    for thread in threads:
        thread.join()
    json.dump([asdict(reader) for reader in all_readers], sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
