"""The addon of `jupyter lite build`, seen in the sites that it builds."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from laneway_lite.folder import BUNDLE
from laneway_lite.lock import digest
from tests.lite.conftest import Site, make_wheel
from tests.static import static_server

NewSite = Callable[[], Site]
CORE = ("pyodide.mjs", "pyodide.asm.mjs", "pyodide.asm.wasm")


@pytest.fixture(scope="module")
def site(new_site: NewSite) -> Site:
    """A site with two wheels of the user's, one of which is loaded at the start."""
    site = new_site()
    make_wheel(site.folder / "wheels", "first", requires=("second", "colorama; sys_platform == 'win32'"))
    make_wheel(site.folder / "wheels", "second")
    site.build(wheels=["wheels"], preload=["first"])
    return site


def test_the_manifest_names_exactly_what_is_there(site: Site, bundle: Path) -> None:
    files = site.manifest()["files"]
    there = {path.relative_to(site.kernel).as_posix() for path in site.kernel.rglob("*") if path.is_file()}
    assert there == {*files, "laneway.json"}
    for name, entry in files.items():
        assert re.search(r"[.-][0-9a-f]{16}([./]|$)", name), "its address has a hash of its content"
        assert entry == {
            "size": (site.kernel / name).stat().st_size,
            "sha256": digest(site.kernel / name),
        }
    for name in CORE:
        assert digest(site.core / name) == digest(bundle / name)
    assert set(site.manifest()["quick"]) == {"first", "library", "memory", "rest"}


def test_lock_lists_exactly_what_is_there(site: Site) -> None:
    packages = site.packages()
    assert {site.wheel(name) for name in packages} == set(site.kernel.resolve().glob("wheels.*/*.whl"))
    assert packages["first"]["depends"] == ["second"]
    for name, package in packages.items():
        assert package["sha256"] == digest(site.wheel(name))
        assert set(package["depends"]) <= packages.keys()


def test_index_lists_every_wheel(site: Site) -> None:
    index = site.kernel / site.manifest()["index"].partition("{")[0]
    packages = site.packages()
    assert {page.name for page in index.iterdir()} == packages.keys()
    for name, package in packages.items():
        (link,) = re.findall(r'href="(.+)#sha256=(.+)"', (index / name / "index.html").read_text())
        assert (index / name / link[0]).resolve() == site.wheel(name)
        assert link[1] == package["sha256"]


def test_settings_of_the_labextension(site: Site) -> None:
    assert site.settings() == {"kernelURL": "static/laneway/"}
    assert site.manifest()["preload"] == ["second", "first"]
    assert site.config()["defaultKernelName"] == "laneway"


def test_the_same_sources_make_the_same_folder(site: Site, new_site: NewSite) -> None:
    other = new_site()
    shutil.copytree(site.folder / "wheels", other.folder / "wheels")
    other.build(wheels=["wheels"], preload=["first"])
    assert other.manifest() == site.manifest()


def test_pages_register_the_service_worker(site: Site) -> None:
    page = (site.output / "repl" / "index.html").read_text()
    (script,) = re.findall(r'<script src="(\S+)" data-worker="(\S+)" data-options="">', page)
    assert script[1] == "../service-worker.js?enableCache=false", "the address that JupyterLite registers"
    assert page.index(script[0]) < page.index("config-utils.js")
    assert (site.output / "repl" / script[0]).is_file()
    worker = (site.output / "service-worker.js").read_text()
    imports = re.findall(r'"(\S+?\.js)"', worker)
    assert len(imports) == 2
    for path in imports:
        assert (site.output / path).is_file()


def test_isolation_and_offline_can_be_turned_off_and_on(new_site: NewSite) -> None:
    site = new_site()
    (site.folder / "jupyter-lite.json").write_text(
        json.dumps(
            {"jupyter-lite-schema-version": 0, "jupyter-config-data": {"enableServiceWorkerCache": True}}
        )
    )
    page, worker = site.output / "repl" / "index.html", site.output / "service-worker.js"
    site.build(isolation=False, offline=False)
    assert 'data-options="isolation=off&offline=off"' in page.read_text()
    assert 'lanewayOptions = "isolation=off&offline=off"' in worker.read_text()
    site.build()
    site.build()
    assert page.read_text().count("data-worker") == 1
    assert 'data-worker="../service-worker.js?enableCache=true" data-options=""' in page.read_text()
    assert 'lanewayOptions = ""' in worker.read_text()


def test_the_debugger_can_be_left_out_and_put_in(new_site: NewSite) -> None:
    site = new_site()

    def extensions() -> list[str]:
        return [extension["name"] for extension in site.config()["federated_extensions"]]

    settings = site.output / "build" / "schemas" / "all_federated.json"
    folder = site.output / "extensions" / "@jupyterlab" / "debugger-extension"
    site.build()
    (extension,) = (each for each in site.config()["federated_extensions"] if "debugger" in each["name"])
    assert (folder / extension["load"]).is_file()
    assert "@jupyterlab/debugger-extension:main" in settings.read_text()
    site.build(debugger=False)
    assert extensions() == []
    assert not folder.exists()
    assert "debugger" not in settings.read_text()
    site.build()
    assert extensions() == ["@jupyterlab/debugger-extension"]


def test_check_finds_a_broken_wheel(site: Site) -> None:
    assert site.run("check", wheels=["wheels"], preload=["first"]).returncode == 0
    path = site.wheel("second")
    good = path.read_bytes()
    path.write_bytes(good + b"x")
    try:
        result = site.run("check", wheels=["wheels"], preload=["first"])
    finally:
        path.write_bytes(good)
    assert result.returncode != 0
    assert "second-1.0-py3-none-any.whl is not the file that laneway.json names" in result.stdout


def test_second_build_does_what_changed_only(new_site: NewSite) -> None:
    site = new_site()
    site.build()
    assert "-- post_build:laneway:folder" in site.build(), "nothing changed, hence nothing is copied"
    assert site.config()["defaultKernelName"] == "laneway"
    make_wheel(site.folder / "wheels", "late")
    site.build(wheels=["wheels"])
    assert "late" in site.packages()
    site.build()
    assert "late" not in site.packages()
    assert not list(site.kernel.glob("*/late-*.whl"))


def test_user_settings_win(new_site: NewSite) -> None:
    site = new_site()
    own = {"litePluginSettings": {"@laneway/lite:kernel": {"spare": True}}, "defaultKernelName": "other"}
    (site.folder / "jupyter-lite.json").write_text(
        json.dumps({"jupyter-lite-schema-version": 0, "jupyter-config-data": own})
    )
    site.build()
    assert site.config()["defaultKernelName"] == "other"
    assert site.settings() == {"kernelURL": "static/laneway/", "spare": True}


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
            "depends": ["sqlite3"] if name == "ipython" else [],
            "install_dir": "site",
            "package_type": "cpython_module" if name == "sqlite3" else "package",
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
    (same,) = BUNDLE.glob("comm-*.whl")  # the same version as ours, and not the same file
    return make_distribution(
        tmp_path / "pyodide",
        "3.12.7",
        comm=make_wheel(tmp_path, "comm", same.name.split("-")[1]),
        numpy=make_wheel(tmp_path, "numpy", "2.0", tag=native),
        traitlets=make_wheel(tmp_path, "traitlets", "4.0"),
        pydantic=make_wheel(tmp_path, "pydantic", "2.0"),
        micropip=make_wheel(tmp_path, "micropip", "0.9.0"),
        ipython=make_wheel(tmp_path, "ipython", "8.0"),
        sqlite3=make_wheel(tmp_path, "sqlite3", "1.0.0", tag=native),
        openssl=make_wheel(tmp_path, "openssl", "1.1.1w"),
    )


def test_other_distribution_in_a_folder(new_site: NewSite, distribution: Path) -> None:
    site = new_site()
    site.build(pyodide_url=str(distribution), preload=["numpy"])
    packages = site.packages()
    assert (site.core / "pyodide.asm.js").read_text() == "pyodide.asm.js"
    assert not (site.core / "pyodide.asm.mjs").exists()
    assert packages["numpy"]["tool"] == {"a field of": "that version"}
    assert "absent" not in packages, "the folder does not have it"
    assert "laneway" in packages
    assert packages["traitlets"]["version"] != "4.0", "the kernel's own replaces what is there"
    assert packages["pydantic"]["version"] == "2.0", (
        "the kernel's own needs a pydantic-core that does not fit"
    )
    assert "msgspec" not in packages
    assert packages["micropip"]["version"] == "0.9.0", "the distribution's own suits it"
    assert packages["openssl"]["version"] == "1.1.1w"
    assert packages["ipython"]["version"] != "8.0"
    assert "sqlite3" in packages["ipython"]["depends"], "what its own asks of Python's library"
    assert site.manifest()["preload"] == ["numpy"]
    assert "quick" not in site.manifest()
    for name, package in packages.items():
        assert package["sha256"] == digest(site.wheel(name))


def test_some_packages_of_a_distribution(new_site: NewSite, distribution: Path) -> None:
    site = new_site()
    site.build(pyodide_url=str(distribution), packages=["numpy"])
    names = site.packages().keys()
    assert {"laneway", "ipython", "micropip", "numpy", "sqlite3"} <= names
    assert "openssl" not in names


def test_other_distribution_at_an_url(new_site: NewSite, distribution: Path, tmp_path: Path) -> None:
    site = new_site()
    wheel = make_wheel(tmp_path / "elsewhere", "mine")
    shutil.copy(wheel, distribution)
    with static_server(distribution) as url:
        site.build(pyodide_url=f"{url}pyodide.mjs", wheels=[f"{url}{wheel.name}"])
    packages = site.packages()
    assert packages["numpy"]["file_name"] == f"{url}numpy-2.0-cp312-cp312-pyodide_2024_0_wasm32.whl"
    assert site.wheel("mine").is_file()
    assert site.wheel("laneway").is_file()
    assert (site.core / "pyodide.asm.js").read_text() == "pyodide.asm.js"
    assert (site.core / "pyodide.asm.wasm").is_file()


def test_some_packages_of_a_distribution_at_an_url_are_downloaded(
    new_site: NewSite, distribution: Path
) -> None:
    site = new_site()
    with static_server(distribution) as url:
        site.build(pyodide_url=url, packages=["numpy"])
    assert all(site.wheel(name).is_file() for name in site.packages())


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
        ({"packages": ["numpy"]}, "'numpy' is not in this Pyodide; add its wheel (option wheels)"),
        ({"preload": ["numpy"]}, "LanewayAddon.preload: 'numpy' is not in this Pyodide"),
        ({"debugger": "no"}, "The 'debugger' trait of a LanewayAddon instance expected a boolean"),
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
