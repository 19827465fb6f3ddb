"""The addon of `jupyter lite build`, seen in the sites that it builds."""

import contextlib
import functools
import http.server
import json
import re
import shutil
import threading
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

from laneway_lite.lock import digest
from tests.lite.conftest import Site, make_wheel

NewSite = Callable[[], Site]
CORE = ("pyodide.mjs", "pyodide.asm.mjs", "pyodide.asm.wasm", "python_stdlib.zip")


@pytest.fixture(scope="module")
def site(new_site: NewSite) -> Site:
    """A site with two wheels of the user's, one of which is loaded at the start."""
    site = new_site()
    make_wheel(site.folder / "wheels", "first", requires=("second", "colorama; sys_platform == 'win32'"))
    make_wheel(site.folder / "wheels", "second")
    site.build(wheels=["wheels"], packages=["first"])
    return site


def test_site_has_pyodide_and_the_wheels(site: Site, bundle: Path) -> None:
    assert {path.name for path in bundle.iterdir()} <= {path.name for path in site.pyodide.iterdir()}
    for name in CORE:
        assert digest(site.pyodide / name) == digest(bundle / name)


def test_lock_lists_exactly_what_is_there(site: Site) -> None:
    packages = site.packages()
    wheels = {path.name for path in site.pyodide.glob("*.whl")}
    assert {package["file_name"] for package in packages.values()} == wheels
    assert packages["first"]["depends"] == ["second"]
    for package in packages.values():
        assert package["sha256"] == digest(site.pyodide / package["file_name"])
        assert set(package["depends"]) <= packages.keys()


def test_index_lists_every_wheel(site: Site) -> None:
    index = site.output / "static" / "laneway" / "simple"
    packages = site.packages()
    assert {page.name for page in index.iterdir()} == packages.keys()
    for name, package in packages.items():
        page = (index / name / "index.html").read_text()
        assert f'href="../../pyodide/{package["file_name"]}#sha256={package["sha256"]}"' in page


def test_settings_of_the_labextension(site: Site) -> None:
    settings = site.settings()
    assert settings["indexURL"] == "static/laneway/pyodide/"
    assert (site.output / settings["indexURL"] / "pyodide-lock.json").is_file()
    assert "lockFileURL" not in settings  # it would outlive a change of indexURL
    assert settings["packages"] == ["laneway", "micropip", "ipywidgets", "msgspec", "pydantic", "first"]
    assert (site.output / settings["pipIndexURLs"][0].format(package_name="second")).is_file()
    assert site.config()["defaultKernelName"] == "laneway"


def test_pages_isolate_themselves(site: Site) -> None:
    page = (site.output / "repl" / "index.html").read_text()
    (script,) = re.findall(r'<script src="(\S+)" data-worker="(\S+)">', page)
    assert script[1] == "../service-worker.js?enableCache=false", "the address that JupyterLite registers"
    assert page.index(script[0]) < page.index("config-utils.js")
    assert (site.output / "repl" / script[0]).is_file()
    imports = re.findall(r'"(\S+?)"', (site.output / "service-worker.js").read_text())
    assert len(imports) == 2
    for path in imports:
        assert (site.output / path).is_file()


def test_isolation_can_be_turned_off_and_on(new_site: NewSite) -> None:
    site = new_site()
    (site.folder / "jupyter-lite.json").write_text(
        json.dumps(
            {"jupyter-lite-schema-version": 0, "jupyter-config-data": {"enableServiceWorkerCache": True}}
        )
    )
    page, worker = site.output / "repl" / "index.html", site.output / "service-worker.js"
    site.build(isolation=False)
    original = page.read_text()
    assert "isolate.js" not in original
    assert worker.read_bytes() == (site.output / "build" / "service-worker.js").read_bytes()
    site.build()
    site.build()
    assert page.read_text().count("isolate.js") == 1
    assert 'data-worker="../service-worker.js?enableCache=true"' in page.read_text()
    site.build(isolation=False)
    assert page.read_text() == original
    assert worker.read_bytes() == (site.output / "build" / "service-worker.js").read_bytes()


def test_check_finds_a_broken_wheel(site: Site) -> None:
    assert site.run("check", wheels=["wheels"], packages=["first"]).returncode == 0
    path = site.pyodide / "second-1.0-py3-none-any.whl"
    good = path.read_bytes()
    path.write_bytes(good + b"x")
    try:
        result = site.run("check", wheels=["wheels"], packages=["first"])
    finally:
        path.write_bytes(good)
    assert result.returncode != 0
    assert "second-1.0-py3-none-any.whl (second) is not what the lock says" in result.stdout


def test_second_build_does_what_changed_only(new_site: NewSite) -> None:
    site = new_site()
    site.build()
    assert "-- post_build:laneway:pyodide" in site.build(), "nothing changed, hence nothing is copied"
    assert site.config()["defaultKernelName"] == "laneway"
    make_wheel(site.folder / "wheels", "late")
    site.build(wheels=["wheels"])
    assert "late" in site.packages()
    site.build()
    assert "late" not in site.packages()
    assert not (site.pyodide / "late-1.0-py3-none-any.whl").exists()


def test_user_settings_win(new_site: NewSite) -> None:
    site = new_site()
    own = {"litePluginSettings": {"@laneway/lite:kernel": {"packages": []}}, "defaultKernelName": "other"}
    (site.folder / "jupyter-lite.json").write_text(
        json.dumps({"jupyter-lite-schema-version": 0, "jupyter-config-data": own})
    )
    site.build()
    assert site.config()["defaultKernelName"] == "other"
    assert site.settings()["packages"] == []
    assert site.settings()["indexURL"] == "static/laneway/pyodide/"


def make_distribution(folder: Path, python: str, **packages: Path) -> Path:
    """A folder like that of an older Pyodide: other names, an older ABI, wheels of its own."""
    folder.mkdir()
    for name in ("pyodide.mjs", "pyodide.asm.js", "pyodide.asm.wasm", "python_stdlib.zip"):
        (folder / name).write_text(name)
    entries: dict[str, Any] = {
        name: {
            "name": name,
            "version": wheel.name.split("-")[1],
            "file_name": wheel.name,
            "sha256": digest(wheel),
            "imports": [name],
            "depends": [],
            "install_dir": "site",
            "package_type": "package",
            "unvendored_tests": False,
            "tool": {"a field of": "that version"},
        }
        for name, wheel in packages.items()
    }
    for wheel in packages.values():
        shutil.copy(wheel, folder)
    entries["absent"] = entries["numpy"] | {"name": "absent", "file_name": "absent-1.0-py3-none-any.whl"}
    info = {"arch": "wasm32", "platform": "emscripten_3_1_58", "python": python, "abi_version": "2024_0"}
    (folder / "pyodide-lock.json").write_text(json.dumps({"info": info, "packages": entries}))
    return folder


@pytest.fixture
def distribution(tmp_path: Path) -> Path:
    native = "cp312-cp312-pyodide_2024_0_wasm32"
    return make_distribution(
        tmp_path / "pyodide",
        "3.12.7",
        numpy=make_wheel(tmp_path, "numpy", "2.0", tag=native),
        traitlets=make_wheel(tmp_path, "traitlets", "4.0"),
        pydantic=make_wheel(tmp_path, "pydantic", "2.0"),
    )


def test_other_distribution_in_a_folder(new_site: NewSite, distribution: Path) -> None:
    site = new_site()
    site.build(pyodide_url=str(distribution), packages=["numpy"])
    packages = site.packages()
    assert (site.pyodide / "pyodide.asm.js").read_text() == "pyodide.asm.js"
    assert not (site.pyodide / "pyodide.asm.mjs").exists()
    assert packages["numpy"]["tool"] == {"a field of": "that version"}
    assert "absent" not in packages, "the folder does not have it"
    assert "laneway" in packages
    assert packages["traitlets"]["version"] != "4.0", "the kernel's own replaces what is there"
    assert packages["pydantic"]["version"] == "2.0", (
        "the kernel's own needs a pydantic-core that does not fit"
    )
    assert "msgspec" not in packages
    assert site.settings()["packages"] == ["laneway", "micropip", "ipywidgets", "pydantic", "numpy"]
    for package in packages.values():
        assert package["sha256"] == digest(site.pyodide / package["file_name"])


@contextlib.contextmanager
def served(folder: Path) -> Generator[str]:
    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name it has there
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=folder))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_other_distribution_at_an_url(new_site: NewSite, distribution: Path, tmp_path: Path) -> None:
    site = new_site()
    wheel = make_wheel(tmp_path / "elsewhere", "mine")
    shutil.copy(wheel, distribution)
    with served(distribution) as url:
        site.build(pyodide_url=f"{url}/pyodide.mjs", wheels=[f"{url}/{wheel.name}"])
    packages = site.packages()
    assert packages["numpy"]["file_name"] == f"{url}/numpy-2.0-cp312-cp312-pyodide_2024_0_wasm32.whl"
    assert packages["mine"]["file_name"] == wheel.name
    assert packages["laneway"]["file_name"].startswith("laneway-")
    assert (site.pyodide / wheel.name).is_file()
    assert (site.pyodide / "pyodide.asm.js").read_text() == "pyodide.asm.js"
    assert (site.pyodide / "pyodide.asm.wasm").is_file()
    assert site.settings()["indexURL"] == "static/laneway/pyodide/"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"wheels": ["none.whl"]}, "there is no file"),
        ({"wheels": ["README.md"]}, "'README.md' is neither a wheel (.whl), a folder nor an URL"),
        ({"wheels": ["broken-1.0-py3-none-any.whl"]}, "is not a wheel that can be read"),
        (
            {"wheels": ["native-1.0-cp314-cp314-linux_x86_64.whl"]},
            "is not made for this Pyodide (Python 3.14",
        ),
        ({"wheels": ["needy-1.0-py3-none-any.whl"]}, "needs torch>=2, which is not in the site"),
        ({"packages": ["numpy"]}, "'numpy' is not in the site; add its wheel to LanewayAddon.wheels"),
        ({"pyodide_url": "nowhere"}, "holds no pyodide-lock.json; give the folder or the URL"),
        ({"pyodide_url": "http://127.0.0.1:9/pyodide"}, "cannot be downloaded"),
        ({"pyodide_url": "old"}, "has Python 3.11.3; the kernel needs Pyodide 0.27 (Python 3.12) or later"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bad_options_get_a_sentence(new_site: NewSite, options: dict[str, Any], sentence: str) -> None:
    site = new_site()
    (site.folder / "README.md").write_text("no wheel")
    (site.folder / "broken-1.0-py3-none-any.whl").write_text("no archive")
    make_wheel(site.folder, "native", tag="cp314-cp314-linux_x86_64")
    make_wheel(site.folder, "needy", requires=("torch>=2",))
    make_distribution(site.folder / "old", "3.11.3", numpy=make_wheel(site.folder / "other", "numpy"))
    result = site.run("build", **options)
    assert result.returncode != 0
    assert sentence in result.stdout
    assert "Traceback" not in result.stdout
