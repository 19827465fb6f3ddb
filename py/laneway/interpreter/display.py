"""Rich output: IPython's display hook, display publisher and formatter, as messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.formatters import BaseFormatter, DisplayFormatter
from IPython.core.history import HistoryOutput

from .run import Run

if TYPE_CHECKING:
    from .shell import ZMQInteractiveShell

_PLAIN = frozenset({bool, int, float, complex, str, bytes, list, tuple, dict, set, frozenset, range})
"""Types whose values have no form but text, unless somebody registers one."""


class LanewayDisplayHook(DisplayHook):
    """`execute_result` for the value of a cell's last expression.

    IPython keeps one execution count and one result for the whole shell; cells that overlap need one each, so
    both are those of the current run.
    """

    shell: ZMQInteractiveShell

    @property
    def _run(self) -> Run | None:
        return self.shell.runs.current

    @property
    def prompt_count(self) -> int:
        run = self._run
        return (run.execution_count if run else None) or self.shell.execution_count - 1

    @property
    def exec_result(self) -> Any:  # pyright: ignore[reportIncompatibleVariableOverride]
        """IPython's ExecutionResult of the current run."""
        run = self._run
        return run.result if run else None

    @exec_result.setter
    def exec_result(self, result: Any) -> None:  # pyright: ignore[reportIncompatibleVariableOverride]
        if run := self._run:
            run.result = result

    def __call__(self, result: Any = None) -> None:
        run = self._run
        if run and run.captures and result is not None:
            data, metadata = self.compute_format_data(result)
            if any(capture.display(data=data, metadata=metadata) for capture in reversed(run.captures)):
                return
        super().__call__(result)

    def quiet(self) -> bool:
        run = self._run
        code = run.request.content.get("code") if run else None
        return isinstance(code, str) and ";" in code and bool(self.semicolon_at_end_of_expression(code))

    def write_output_prompt(self) -> None:
        pass

    def write_format_data(self, format_dict: dict[str, Any], md_dict: dict[str, Any] | None = None) -> None:
        content = {"execution_count": self.prompt_count, "data": format_dict, "metadata": md_dict or {}}
        self.shell.publish("execute_result", content)

    def finish_displayhook(self) -> None:
        self._is_active = False


class LanewayDisplayPublisher(DisplayPublisher):
    """`display_data`, `update_display_data` and `clear_output`."""

    shell: ZMQInteractiveShell

    def publish(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        data: dict[str, Any],
        metadata: dict[str, Any] | None = None,
        *,
        transient: dict[str, Any] | None = None,
        update: bool = False,
        **_kwargs: Any,
    ) -> None:
        self._validate_data(data, metadata)
        run = self.shell.runs.current
        output = {"data": data, "metadata": metadata, "transient": transient, "update": update}
        if run and any(capture.display(**output) for capture in reversed(run.captures)):
            return
        for mime, renderer in getattr(self.shell, "mime_renderers", {}).items():
            if mime in data:
                renderer(data[mime], (metadata or {}).get(mime))
                return
        content = {"data": data, "metadata": metadata or {}, "transient": transient or {}}
        self.shell.publish("update_display_data" if update else "display_data", content)
        if run and run.execution_count and self.shell.history_manager:
            kept = HistoryOutput(output_type="display_data", bundle=data)
            self.shell.history_manager.outputs[run.execution_count].append(kept)

    def clear_output(self, wait: bool = False) -> None:
        run = self.shell.runs.current
        if run and run.captures:
            run.captures[-1].outputs.clear()
            return
        self.shell.publish("clear_output", {"wait": wait})


class LanewayDisplayFormatter(DisplayFormatter):
    """Asks only for text where there is nothing else: each of IPython's formatters asks each class of a value
    first, and for a number that takes longer than to run the cell.
    """

    def format(self, obj: Any, include: Any = None, exclude: Any = None) -> tuple[Any, Any]:
        if include is None and type(obj) in _PLAIN and not self._has_more(type(obj)):
            include = ("text/plain",)
        return super().format(obj, include, exclude)

    def _has_more(self, cls: type) -> bool:
        """May a value of this type have a form besides text?"""
        others = [formatter for name, formatter in self.formatters.items() if name != "text/plain"]
        return any(_is_for(formatter, cls) for formatter in (*others, self.mimebundle_formatter))


def _is_for(formatter: BaseFormatter, cls: type) -> bool:
    if type(formatter).__module__ != BaseFormatter.__module__ or formatter.singleton_printers:
        return True
    if not formatter.type_printers.keys().isdisjoint(cls.__mro__):
        return True
    deferred = cast("Mapping[tuple[str, str], object]", formatter.deferred_printers)
    return bool(deferred) and any((each.__module__, each.__name__) in deferred for each in cls.__mro__)
