"""A `Receiver` that keeps what it gets."""

from laneway.protocol.message import Message
from laneway.protocol.ports import Transport


class Keeping:
    """What a transport has delivered."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.topics: list[str] = []
        self.failures: list[BaseException] = []
        self.error: BaseException | None = None
        """What `receive` raises, as no receiver should."""

    def receive(self, message: Message) -> None:
        """See `Receiver`."""
        self.messages.append(message)
        if self.error:
            raise self.error

    def subscribed(self, topic: str) -> None:
        """See `Receiver`."""
        self.topics.append(topic)

    def failed(self, error: BaseException) -> None:
        """See `Receiver`."""
        self.failures.append(error)


def send(transport: Transport, message: Message) -> None:
    """Send `message` by a kernel's `transport`, as a host does."""
    transport.send(message, transport.encode(message))
