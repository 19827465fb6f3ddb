"""The installed kernelspec under jupyter_kernel_test, Jupyter's own suite."""

from __future__ import annotations

import os
from tempfile import TemporaryDirectory
from unittest import mock

import jupyter_kernel_test
import pytest


class LanewayTests(jupyter_kernel_test.KernelTests):
    """Everything that the suite knows, switched on."""

    kernel_name = "laneway"
    language_name = "python"
    file_extension = ".py"
    code_hello_world = "print('hello, world')"
    code_stderr = "import sys; print('oops', file=sys.stderr)"
    completion_samples = [  # noqa: RUF012
        {"text": "zi", "matches": {"zip"}},
        {"text": "import tok", "matches": {"token", "tokenize"}},
    ]
    complete_code_samples = ["1", "print('hello, world')", "def f(x):\n  return x*2\n\n"]  # noqa: RUF012
    incomplete_code_samples = ["print('''hello", "def f(x):\n  x*2"]  # noqa: RUF012
    invalid_code_samples = ["import = 7q"]  # noqa: RUF012
    code_page_something = "zip?"
    code_generate_error = "raise ValueError('as asked')"
    code_execute_result = [  # noqa: RUF012
        {"code": "1+2+3", "result": "6"},
        {"code": "[n*n for n in range(1, 4)]", "result": "[1, 4, 9]"},
    ]
    code_display_data = [  # noqa: RUF012
        {
            "code": "from IPython.display import HTML, display; display(HTML('<b>test</b>'))",
            "mime": "text/html",
        },
        {
            "code": "from IPython.display import Math, display; display(Math('\\\\frac{1}{2}'))",
            "mime": "text/latex",
        },
    ]
    code_history_pattern = "1?2*"
    supported_history_operations = ("tail", "range", "search")
    code_inspect_sample = "zip"
    code_clear_output = "from IPython.display import clear_output; clear_output()"

    @classmethod
    def setUpClass(cls) -> None:
        folder = cls.enterClassContext(TemporaryDirectory())
        # whoever uses this machine may have a history of their own
        cls.enterClassContext(mock.patch.dict(os.environ, {"IPYTHONDIR": folder}))
        super().setUpClass()

    @classmethod
    def tearDownClass(cls) -> None:
        super().tearDownClass()
        close(cls)


class LanewayWelcomeTests(jupyter_kernel_test.IopubWelcomeTests):
    """JEP 65."""

    kernel_name = "laneway"
    support_iopub_welcome = True

    @classmethod
    def tearDownClass(cls) -> None:
        super().tearDownClass()
        close(cls)


def close(cls: type[jupyter_kernel_test.KernelTests | jupyter_kernel_test.IopubWelcomeTests]) -> None:
    """The suite leaves its ZMQ context open."""
    cls.kc.context.destroy(linger=0)
    cls.km.context.destroy(linger=0)


def test_nothing_of_the_suite_is_skipped(request: pytest.FixtureRequest) -> None:
    """A feature that the suite learns to test is a feature to switch on here."""
    asked = {
        name for name in vars(jupyter_kernel_test.KernelTests) if name.startswith(("code_", "completion_"))
    }
    assert asked <= set(vars(LanewayTests))
