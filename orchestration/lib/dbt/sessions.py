"""Keeps dbt's sessions open: it opens one for each node, which is a third of what the server does in a build."""

import select
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg2  # type: ignore[import-untyped]
from psycopg2.extensions import (  # type: ignore[import-untyped]
    POLL_OK,
    POLL_READ,
    TRANSACTION_STATUS_IDLE,
    connection,
    set_wait_callback,
)


@contextmanager
def sessions() -> Iterator[None]:
    """While in it, a session that a node closes is kept for the next one, and ctrl-c ends a statement at once.

    Those of this thread, in which hooks run, are not: a hook may change with which settings a session begins.
    """
    connect, caller = psycopg2.connect, threading.get_ident()
    idle: list[_Session] = []

    def connect_or_take(**parameters: Any) -> Any:
        if threading.get_ident() != caller:
            while idle:
                session = idle.pop()
                if session.is_usable(parameters):
                    return session
                session.end()
        session = connect(connection_factory=_Session, **parameters)
        session.begin(parameters, idle, is_kept=threading.get_ident() != caller)
        return session

    set_wait_callback(_wait)
    psycopg2.connect = connect_or_take
    try:
        yield
    finally:
        psycopg2.connect = connect
        _end_all(idle)
        set_wait_callback(None)


class _Session(connection):  # type: ignore[misc]
    def begin(self, parameters: dict[str, Any], idle: "list[_Session]", *, is_kept: bool) -> None:
        self._parameters, self._idle, self._is_kept = parameters, idle, is_kept

    def close(self) -> None:
        """Resets the session of a node and keeps it for the next node; one of a hook is closed."""
        if not self._is_kept:
            _end_all(self._idle)
        elif not self.closed:
            with suppress(psycopg2.Error):
                self.rollback()
                self.autocommit = True
                with self.cursor() as cursor:
                    cursor.execute("discard all")
                self.autocommit = False
                self._idle.append(self)
                return
        self.end()

    def end(self) -> None:
        """Closes the session."""
        super().close()

    def is_usable(self, parameters: dict[str, Any]) -> bool:
        """Whether the server still has it open: what an idle session receives is that it was ended."""
        return (
            self._parameters == parameters
            and not self.closed
            and self.info.transaction_status == TRANSACTION_STATUS_IDLE
            and not select.select([self], [], [], 0)[0]
        )


def _end_all(idle: list[_Session]) -> None:
    while idle:
        idle.pop().end()


def _wait(session: Any) -> None:
    """Waits for the server as psycopg2 asks for it; interrupted, it has the statement cancelled first.

    Waiting for a result by itself, psycopg2 would notice ctrl-c at its end only.
    """
    interrupt: KeyboardInterrupt | None = None
    while True:
        try:
            state = session.poll()
            if state == POLL_OK:
                break
            waiting: tuple[list[Any], list[Any]] = ([session], []) if state == POLL_READ else ([], [session])
            select.select(*waiting, [])
        except KeyboardInterrupt as error:
            interrupt = error
            session.cancel()
        except psycopg2.Error:
            if interrupt is None:
                raise
            break
    if interrupt is not None:
        raise interrupt
