"""A plain page that shares no memory with its kernels: messages reach code that computes through the site's
service worker, each its own kernel.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest
from playwright.async_api import Page

from tests.page import ROOT, chromium_page, serving_kernel

pytestmark = pytest.mark.anyio

FILES = [
    *[ROOT / "jskernel" / "dist" / name for name in ("register.js", "service-worker.js")],
    ROOT / "site" / "dist" / "lite" / "static" / "laneway",
]

PAGE = """<!doctype html>
<title>mail</title>
<link rel="icon" href="data:," />
<script src="register.js" data-worker="service-worker.js?isolation=off"></script>
<script type="module">
  import { launch } from "./lib/browser/index.js";

  // a kernel with a name of its own among its variables
  window.start = async (name) => {
    const kc = await launch({ kernelURL: "laneway/" }).start();
    await kc.execute(`${name}_here = 1`).done;
    return kc;
  };
  window.compute = async (kc) => {
    const cell = kc.execute("print('ready')\\nwhile True: pass");
    for await (const _ of cell) break;
    return cell;
  };
  // complete `name` so many times; all answers that are not this kernel's
  window.storm = async (kc, name, count) => {
    const wrong = [];
    const ask = async () => {
      const { matches } = await kc.complete(name);
      if (matches.join() !== `${name}_here`) wrong.push(matches);
    };
    for (let at = 0; at < count; at += 5) await Promise.all(Array.from({ length: 5 }, ask));
    return wrong;
  };
</script>
"""


@pytest.fixture(scope="module")
async def page() -> AsyncGenerator[Page, None]:
    with serving_kernel(PAGE, "--no-isolation", files=FILES) as address:
        async with chromium_page() as page:
            await page.goto(address)
            yield page


async def test_at_the_first_visit_a_cell_that_computes_is_reached(page: Page) -> None:
    isolated, info, missing, names, ename = await page.evaluate(
        """async () => {
          const kc = await start("first");
          const cell = await compute(kc);
          const { matches } = await kc.complete("first");
          await kc.interrupt();
          const { laneway } = kc.info;
          const { error } = await cell.done;
          await kc.close();
          return [crossOriginIsolated, laneway, laneway.missing, matches, error.ename];
        }"""
    )
    assert isolated is False
    assert info["answers_while_blocking"]
    assert info["interrupts_blocking"]
    assert missing == []
    assert names == ["first_here"]
    assert ename == "KeyboardInterrupt"


async def test_kernels_of_two_pages_take_nothing_of_each_other(page: Page) -> None:
    """Two in one page, one in another; all compute, all are asked, and one after the other is interrupted."""
    async with page.context.expect_page() as opening:
        await page.evaluate("void window.open(location.href, '_blank', 'noopener')")
    other = await opening.value
    await other.wait_for_function("window.start")
    both = """async (names) => {
      window.kernels = await Promise.all(names.map(start));
      window.cells = await Promise.all(window.kernels.map(compute));
    }"""
    await asyncio.gather(page.evaluate(both, ["abc", "xyz"]), other.evaluate(both, ["pqr"]))
    ask = """async (names) => {
      const storms = window.kernels.map((kc, at) => storm(kc, names[at], 30));
      return (await Promise.all(storms)).flat();
    }"""
    wrong = await asyncio.gather(page.evaluate(ask, ["abc", "xyz"]), other.evaluate(ask, ["pqr"]))
    assert wrong == [[], []]
    states = await page.evaluate(
        """async () => {
          const [[abc, xyz], [first, second]] = [kernels, cells];
          await xyz.interrupt();
          const ended = (await second.done).error.ename;
          const { matches } = await abc.complete("abc");
          return [ended, first.state, matches];
        }"""
    )
    assert states == ["KeyboardInterrupt", "running", ["abc_here"]]
    assert await other.evaluate("cells[0].state") == "running"
    await other.close()
    await page.evaluate("Promise.all(kernels.map((kc) => kc.close()))")


async def test_the_browser_may_end_the_service_worker_at_any_time(page: Page) -> None:
    devtools = await page.context.new_cdp_session(page)
    await devtools.send("ServiceWorker.enable")
    await page.evaluate("async () => { window.kc = await start('abc'); window.cell = await compute(kc); }")
    storm = asyncio.create_task(page.evaluate("async () => await storm(kc, 'abc', 40)"))
    stopped = 0
    while not storm.done():
        await devtools.send("ServiceWorker.stopAllWorkers")
        stopped += 1
        await page.evaluate("kc.complete('abc')")
    assert await storm == []
    assert stopped > 2
    ename = await page.evaluate(
        """async () => {
          await kc.interrupt();
          const { error } = await cell.done;
          await kc.close();
          return error.ename;
        }"""
    )
    assert ename == "KeyboardInterrupt"
