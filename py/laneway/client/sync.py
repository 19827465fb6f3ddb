"""The client for code that does not await: the same calls, blocking, from any thread but the client's own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from typing import Any, Concatenate, ParamSpec, TypeVar

from ..protocol.errors import LocalProtocolError
from ..transports.event_loops import EventLoop, Task, running_loop
from .client import Client

P = ParamSpec("P")
T = TypeVar("T")


def _blocking(
    method: Callable[Concatenate[Client, P], Awaitable[T]],
) -> Callable[Concatenate[SyncClient, P], T]:
    """The blocking form of a client's method."""

    async def call(client: Client, *args: P.args, **kwargs: P.kwargs) -> T:
        return await method(client, *args, **kwargs)

    def blocking(self: SyncClient, *args: P.args, **kwargs: P.kwargs) -> T:
        return self.wait(call(self.client, *args, **kwargs))

    blocking.__doc__ = f"`Client.{method.__name__}`, and wait for what it gives."
    return blocking


class SyncClient:
    """What `Client.sync` is. A call raises LocalProtocolError on the thread of the client's event loop, which
    it would stop.
    """

    def __init__(self, client: Client, loop: EventLoop) -> None:
        self.client = client
        self._loop = loop

    def wait(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run any coroutine on the client's event loop and wait for its result; a KeyboardInterrupt here
        cancels it there.
        """
        try:
            running = running_loop()
        except RuntimeError:
            running = None
        if running is self._loop:
            coroutine.close()
            raise LocalProtocolError(
                "kc.sync would block the event loop of this client; await kc's own methods here."
            )
        outcome: Future[T] = Future()
        tasks: list[Task] = []

        async def run() -> None:
            try:
                outcome.set_result(await coroutine)
            except Exception as error:
                outcome.set_exception(error)
            except BaseException:  # it was cancelled
                outcome.cancel()
                raise

        def cancel() -> None:
            tasks[0].cancel()

        try:
            self._loop.call_soon_threadsafe(lambda: tasks.append(self._loop.create_task(run())))
        except RuntimeError:  # the loop is closed
            coroutine.close()
            raise
        try:
            return outcome.result()
        finally:
            if not outcome.done():
                self._loop.call_soon_threadsafe(cancel)

    execute = _blocking(Client.execute)
    request = _blocking(Client.request)
    interrupt = _blocking(Client.interrupt)
    kernel_info = _blocking(Client.kernel_info)
    complete = _blocking(Client.complete)
    inspect = _blocking(Client.inspect)
    is_complete = _blocking(Client.is_complete)
    history = _blocking(Client.history)
    comm_info = _blocking(Client.comm_info)
    debug = _blocking(Client.debug)
    create_subshell = _blocking(Client.create_subshell)
    delete_subshell = _blocking(Client.delete_subshell)
    list_subshells = _blocking(Client.list_subshells)
    jobs = _blocking(Client.jobs)
    cancel = _blocking(Client.cancel)
    shutdown = _blocking(Client.shutdown)
    aclose = _blocking(Client.aclose)
