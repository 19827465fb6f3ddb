"""A `Receiver` that keeps what it gets."""

from laneway.protocol.message import Message


class Keeping:
    """What a transport has delivered."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.topics: list[str] = []

    def receive(self, message: Message) -> None:
        """See `Receiver`."""
        self.messages.append(message)

    def subscribed(self, topic: str) -> None:
        """See `Receiver`."""
        self.topics.append(topic)
