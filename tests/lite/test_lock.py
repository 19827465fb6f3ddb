"""Which wheels fit a Pyodide distribution, and how they join its packages."""

from pathlib import Path
from typing import Any

import pytest

from laneway_lite.errors import BuildError
from laneway_lite.lock import Lock, add_wheels, fits, read_wheel
from tests.lite.conftest import make_wheel

INFO = {"arch": "wasm32", "platform": "emscripten_5_0_3", "python": "3.14.2", "abi_version": "2026_0"}


def lock(**versions: str) -> Lock:
    packages: dict[str, Any] = {
        name: {"name": name, "version": version, "file_name": f"{name}.whl", "depends": []}
        for name, version in versions.items()
    }
    return {"info": INFO, "packages": packages}


@pytest.mark.parametrize(
    ("tag", "fitting"),
    [
        ("py3-none-any", True),
        ("py2.py3-none-any", True),
        ("cp314-cp314-pyemscripten_2026_0_wasm32", True),
        ("cp314-cp314-pyodide_2026_0_wasm32", True),
        ("cp314-cp314-emscripten_5_0_3_wasm32", True),
        ("py2-none-any", False),
        ("cp313-cp313-pyemscripten_2026_0_wasm32", False),
        ("cp314-cp314-pyemscripten_2025_0_wasm32", False),
        ("cp314-cp314-manylinux_2_28_x86_64", False),
    ],
)
def test_tags(tmp_path: Path, tag: str, fitting: bool) -> None:
    wheel = read_wheel(make_wheel(tmp_path, "one", tag=tag))
    assert fits(wheel, lock()) is fitting
    if fitting:
        entry = add_wheels(lock(), [wheel])["packages"]["one"]
        assert entry["file_name"] == wheel.path.name
        assert entry["imports"] == ["one"]
    else:
        with pytest.raises(BuildError, match="is not made for this Pyodide"):
            add_wheels(lock(), [wheel])
        assert "one" not in add_wheels(lock(), [wheel], required=False)["packages"]


def test_markers_are_those_of_pyodide(tmp_path: Path) -> None:
    requires = (
        "numpy; sys_platform == 'emscripten'",
        "pywin32; sys_platform == 'win32'",
        "backport; python_version < '3.14'",
        "pytest; extra == 'test'",
        "jupyterlab_widgets",
    )
    wheel = read_wheel(make_wheel(tmp_path, "one", requires=requires))
    assert add_wheels(lock(numpy="2.0"), [wheel])["packages"]["one"]["depends"] == ["numpy"]


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    wheel = read_wheel(make_wheel(tmp_path, "one", requires=("numpy>=3",)))
    with pytest.raises(BuildError, match=r"one-1\.0-py3-none-any\.whl needs numpy>=3"):
        add_wheels(lock(numpy="2.0"), [wheel])


def test_left_out_with_all_that_needs_it(tmp_path: Path) -> None:
    wheels = [
        read_wheel(make_wheel(tmp_path, "top", requires=("middle",))),
        read_wheel(make_wheel(tmp_path, "middle", requires=("native==1.0",))),
        read_wheel(make_wheel(tmp_path, "native", tag="cp313-cp313-pyemscripten_2025_0_wasm32")),
        read_wheel(make_wheel(tmp_path, "alone")),
    ]
    packages = add_wheels(lock(native="0.9"), wheels, required=False)["packages"]
    assert packages.keys() == {"native", "alone"}
    assert packages["native"]["version"] == "0.9"


def test_the_distribution_s_own_go_before_the_kernel_s(tmp_path: Path) -> None:
    kernel = make_wheel(tmp_path, "laneway", "2.0", requires=("old>=2", "enough>=1", "openssl"))
    wheels = [
        read_wheel(make_wheel(tmp_path, name, "3.0")) for name in ("old", "enough", "micropip", "absent")
    ]
    there = lock(laneway="1.0", old="1.0", enough="1.0", micropip="0.9.0", openssl="1.1.1w")
    packages = add_wheels(there, [read_wheel(kernel), *wheels], required=False)["packages"]
    assert {name: package["version"] for name, package in packages.items()} == {
        "laneway": "2.0",
        "old": "3.0",
        "enough": "1.0",
        "micropip": "0.9.0",
        "absent": "3.0",
        "openssl": "1.1.1w",
    }


def test_standard_modules_stay_among_what_is_needed(tmp_path: Path) -> None:
    there = lock(laneway="1.0", sqlite3="1.0.0", other="1.0")
    there["packages"]["laneway"]["depends"] = ["sqlite3", "other"]
    there["packages"]["sqlite3"]["package_type"] = "cpython_module"
    packages = add_wheels(there, [read_wheel(make_wheel(tmp_path, "laneway", "2.0"))], required=False)[
        "packages"
    ]
    assert packages["laneway"]["depends"] == ["sqlite3"]
