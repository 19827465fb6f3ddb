"""The client's end over ZMQ, against our own end of the kernel and against a raw kernel of the older kind."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager, suppress

import pytest
import zmq
from jupyter_client.session import Session

from laneway.protocol.errors import ClosedError, SettingsError
from laneway.protocol.message import Channel, Message
from laneway.transports import zmq_socket
from laneway.transports.connection import Connection
from laneway.transports.zmq_client import ZmqClientTransport
from laneway.transports.zmq_kernel import ZmqKernelTransport

from .keeping import send
from .zmq_peers import ENDING, TIMEOUT, Inbox, kernel, nothing_left, output, reply

pytestmark = pytest.mark.anyio


class Client(ZmqClientTransport):
    """Keeps what comes."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self.messages: asyncio.Queue[Message] = asyncio.Queue()
        self.heard = asyncio.Event()

    async def next(self, channel: Channel) -> Message:
        """The next message of `channel`, but for welcomes."""
        while True:
            message = await asyncio.wait_for(self.messages.get(), TIMEOUT)
            if message.channel is channel and message.msg_type != "iopub_welcome":
                return message

    async def begin(self) -> None:
        await self.start(self.messages.put_nowait, lambda _error: None)

    def _hear(self) -> None:
        super()._hear()
        if self.last_beat is not None:
            self.heard.set()


@asynccontextmanager
async def connected(connection: Connection) -> AsyncGenerator[Client]:
    client = Client(connection)
    try:
        await asyncio.wait_for(client.begin(), TIMEOUT)
        yield client
    finally:
        await client.close()


def welcoming(transport: ZmqKernelTransport, inbox: Inbox) -> None:
    """Let the kernel welcome subscribers (JEP 65), and answer requests."""

    def welcome(topic: str) -> None:
        message = output(0)
        message.header["msg_type"] = "iopub_welcome"
        message.content = {"subscription": topic}
        send(transport, message)

    inbox.subscribed = welcome  # pyright: ignore[reportAttributeAccessIssue]
    inbox.answer = lambda request: send(transport, reply(request, request.content, request.buffers))


@contextmanager
def welcoming_kernel(connection: Connection | None = None) -> Generator[tuple[ZmqKernelTransport, Inbox]]:
    transport, inbox = ZmqKernelTransport(connection or Connection.new()), Inbox()
    welcoming(transport, inbox)
    transport.start(inbox)
    try:
        yield transport, inbox
    finally:
        transport.close()


def request(number: int, channel: Channel = Channel.SHELL, **fields: object) -> Message:
    header = {
        "msg_id": str(number),
        "msg_type": "test_request",
        "session": "s",
        "username": "u",
        "version": "5.5",
    }
    return Message(channel, header, content={"number": number, **fields})


async def test_requests_and_replies_on_every_channel() -> None:
    with welcoming_kernel() as (transport, _inbox):
        async with connected(transport.connection) as client:
            for number, channel in enumerate((Channel.SHELL, Channel.CONTROL, Channel.STDIN)):
                message = request(number, channel)
                message.buffers = [b"small", bytearray(2**20)]
                client.send(message)
                answer = await client.next(channel)
                assert (answer.parent_id, answer.content) == (str(number), {"number": number})
                assert [bytes(buffer) for buffer in answer.buffers] == [b"small", bytes(2**20)]


async def test_output_sent_after_the_start_is_seen() -> None:
    for _ in range(10):
        with welcoming_kernel() as (transport, _inbox):
            async with connected(transport.connection) as client:
                send(transport, output(7))
                assert (await client.next(Channel.IOPUB)).msg_id == "7"


async def test_the_kernel_may_start_later() -> None:
    with welcoming_kernel() as (transport, _inbox):
        connection = transport.connection  # its ports are free when it is closed
    async with asyncio.TaskGroup() as group:
        client = Client(connection)
        starting = group.create_task(asyncio.wait_for(client.begin(), TIMEOUT))
        await asyncio.sleep(0)
        with welcoming_kernel(connection) as (transport, _inbox):
            await starting
            client.send(request(1))
            assert (await client.next(Channel.SHELL)).parent_id == "1"
            await client.close()


async def test_thousands_in_order_while_sending() -> None:
    with welcoming_kernel() as (transport, _inbox):
        async with connected(transport.connection) as client:
            for number in range(5000):
                client.send(request(number))
                if number % 100 == 0:
                    await asyncio.sleep(0)  # its turn to receive
            for number in range(5000):
                assert (await client.next(Channel.SHELL)).parent_id == str(number)


async def test_bad_frames_are_counted() -> None:
    with kernel() as (transport, inbox):
        welcoming(transport, inbox)
        transport.close()
        context = zmq.Context()
        shell = context.socket(zmq.ROUTER)
        shell.bind(transport.connection.url("shell"))
        iopub = context.socket(zmq.XPUB)
        iopub.bind(transport.connection.url("iopub"))
        session = Session(key=transport.connection.key.encode())
        client = Client(transport.connection)
        try:
            starting = asyncio.ensure_future(client.begin())
            await _readable(iopub)
            session.send(iopub, "iopub_welcome", {}, ident=b"")
            await asyncio.wait_for(starting, TIMEOUT)
            client.send(request(1))
            await _readable(shell)
            identity = shell.recv_multipart()[0]
            for bad in (
                [b"x"],
                [b"<IDS|MSG>", b"", b"{}"],
                [b"<IDS|MSG>", b"0" * 64, b"{}", b"{}", b"{}", b"{}"],
            ):
                shell.send_multipart([identity, *bad])
                iopub.send_multipart([b"stream", *bad])
            session.send(shell, "test_reply", {}, ident=identity)
            assert (await client.next(Channel.SHELL)).msg_type == "test_reply"
            session.send(iopub, "stream", {}, ident=b"stream")
            assert (await client.next(Channel.IOPUB)).msg_type == "stream"
            assert client.dropped == 6
        finally:
            await client.close()
            context.destroy(linger=0)


async def _readable(socket: zmq.Socket[bytes]) -> None:
    assert await asyncio.to_thread(socket.poll, TIMEOUT * 1000)


@pytest.mark.parametrize("channel", ["control", "shell"])
async def test_a_kernel_without_welcome_is_asked_until_iopub_is_heard(channel: str) -> None:
    with _older_kernel(channel) as (connection, publish):
        async with connected(connection) as client:
            assert client.messages.empty()  # what start asked for is not the client's
            publish.send(b"7")
            assert (await client.next(Channel.IOPUB)).content == {"name": "stdout", "text": "7"}


@contextmanager
def _older_kernel(answers_on: str) -> Generator[tuple[Connection, zmq.Socket[bytes]]]:
    """A kernel with a PUB socket that answers kernel_info on one channel only; and a socket to tell it what
    to publish.
    """
    context = zmq.Context()
    connection = Connection.new()
    sockets: dict[str, zmq.Socket[bytes]] = {}
    for name in ("shell", "control", "stdin", "iopub", "hb"):
        sockets[name] = context.socket(zmq.PUB if name == "iopub" else zmq.ROUTER)
        connection = connection.bind(name, sockets[name])
    told, tell = context.socket(zmq.PAIR), context.socket(zmq.PAIR)
    told.bind("inproc://tell")
    tell.connect("inproc://tell")
    session = Session(key=connection.key.encode())

    def run() -> None:
        poller = zmq.Poller()
        for socket in (sockets[answers_on], told):
            poller.register(socket, zmq.POLLIN)
        while True:
            for socket, _ in poller.poll():
                if socket is told:
                    text = told.recv().decode()
                    if not text:
                        return
                    session.send(sockets["iopub"], "stream", {"name": "stdout", "text": text})
                else:
                    identities, message = session.recv(socket)
                    assert message is not None
                    session.send(sockets["iopub"], "status", {"execution_state": "busy"}, parent=message)
                    session.send(socket, "kernel_info_reply", {}, parent=message, ident=identities)
                    session.send(sockets["iopub"], "status", {"execution_state": "idle"}, parent=message)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield connection, tell
    finally:
        tell.send(b"")
        thread.join()
        context.destroy(linger=0)


async def test_heartbeats_are_heard() -> None:
    with welcoming_kernel() as (transport, _inbox):
        async with connected(transport.connection) as client:
            await asyncio.wait_for(client.heard.wait(), TIMEOUT)
            assert client.last_beat is not None
            assert client.last_beat <= asyncio.get_running_loop().time()


async def test_close_leaves_nothing() -> None:
    await asyncio.to_thread(str)  # the loop's own thread
    with nothing_left(ENDING), welcoming_kernel() as (transport, _inbox):
        async with connected(transport.connection) as client:
            client.send(request(1))
            await client.close()
            await client.close()
            with pytest.raises(ClosedError):
                client.send(request(2))


async def test_close_while_it_waits_for_a_kernel() -> None:
    with welcoming_kernel() as (transport, _inbox):
        connection = transport.connection
    await asyncio.to_thread(str)
    with nothing_left(ENDING):
        client = Client(connection)
        starting = asyncio.ensure_future(client.begin())
        await asyncio.sleep(0)
        starting.cancel()
        with suppress(asyncio.CancelledError):
            await starting
        await asyncio.wait_for(client.close(), TIMEOUT)


async def test_close_does_not_wait_for_a_kernel_to_take_the_subscription_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(zmq_socket, "LINGER", 10 * TIMEOUT * 1000)
    with welcoming_kernel() as (transport, _inbox):
        client = Client(transport.connection)
        await client.begin()
        opened = client._open  # pyright: ignore[reportPrivateUsage]
        assert opened is not None
        with opened.channels[Channel.IOPUB].get_monitor_socket(zmq.EVENT_DISCONNECTED) as lost:
            transport.close()
            assert await asyncio.to_thread(lost.poll, TIMEOUT * 1000)
    await asyncio.wait_for(client.close(), TIMEOUT)


async def test_a_close_that_is_cancelled_leaves_no_context() -> None:
    with welcoming_kernel() as (transport, _inbox):
        async with connected(transport.connection) as client:
            opened = client._open  # pyright: ignore[reportPrivateUsage]
            assert opened is not None
            closing = asyncio.ensure_future(client.close())
            await asyncio.sleep(0)
            closing.cancel()
            with suppress(asyncio.CancelledError):
                await closing
            async with asyncio.timeout(TIMEOUT):
                while not opened.context.closed:  # noqa: ASYNC110, a thread closes it
                    await asyncio.sleep(0.01)


async def test_an_address_that_is_none_is_a_settings_error() -> None:
    client = Client(Connection.new()._replace(ip="no such host", shell_port=1))
    with pytest.raises(SettingsError, match="socket cannot use tcp"):
        await client.begin()
    await client.close()


async def test_encrypted() -> None:
    public, secret = zmq.curve_keypair()
    keys = {"curve_publickey": public.decode(), "curve_secretkey": secret.decode()}
    with welcoming_kernel(Connection.new()._replace(**keys)) as (transport, _inbox):
        async with connected(transport.connection) as client:
            client.send(request(1))
            assert (await client.next(Channel.SHELL)).parent_id == "1"
            await asyncio.wait_for(client.heard.wait(), TIMEOUT)
