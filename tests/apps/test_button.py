"""A cell awaits an event that a widget's button sets, as users write it: in queue mode, with the library that
they like. In browsers: `tests/browser/test_lite.py`.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator

import pytest

import laneway
from laneway.client.client import Client
from tests.conformance.checks import find, output, soon

pytestmark = pytest.mark.anyio

BUTTON = """
import {library}
import ipywidgets as widgets

pressed = {library}.Event()
button = widgets.Button(description="Press me")
button.on_click(lambda _: pressed.set())
display(button)
print("ready")
await {wait}
print("pressed")
"""


@pytest.fixture(scope="module", params=["asyncio", "trio"])
async def kernel(request: pytest.FixtureRequest) -> AsyncGenerator[tuple[str, Client], None]:
    """The backend of a kernel, and the kernel."""
    argv = [sys.executable, "-m", "laneway", "-f", "{connection_file}", f"--backend={request.param}"]
    async with laneway.launch(argv) as kc:
        yield request.param, kc


@pytest.mark.parametrize("library", ["asyncio", "trio", "anyio", "aiologic"])
async def test_a_click_reaches_the_cell_that_awaits_it(kernel: tuple[str, Client], library: str) -> None:
    backend, kc = kernel
    if library in ("asyncio", "trio") and library != backend:
        pytest.skip("cells of this kernel await the other one's functions")
    opened = kc.subscribe(lambda message: message.msg_type == "comm_open")
    wait = "pressed" if library == "aiologic" else "pressed.wait()"
    cell = kc.execute(BUTTON.format(library=library, wait=wait))
    behind = kc.execute("print('behind')")
    await output(cell, "ready")
    while True:
        widget = await find(opened, "comm_open")
        if widget.content["data"]["state"]["_model_name"] == "ButtonModel":
            break
    click = {"method": "custom", "content": {"event": "click"}}
    kc.post("comm_msg", {"comm_id": widget.content["comm_id"], "data": click})
    assert (await soon(cell)).stdout == "ready\npressed\n"
    assert (await soon(behind)).stdout == "behind\n"
    opened.close()
