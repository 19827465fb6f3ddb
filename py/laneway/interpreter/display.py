"""Rich output: IPython's display hook, display publisher and formatter, as messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.formatters import BaseFormatter, DisplayFormatter

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

    def __init__(self, shell: ZMQInteractiveShell, **traits: Any) -> None:
        super().__init__(shell=shell, **traits)
        self._runs = shell.runs  # no trait: these are slow to read

    @property
    def _run(self) -> Run | None:
        return self._runs.current

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

    def compute_format_data(self, result: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        run = self._run
        if run is None:
            return super().compute_format_data(result)
        run.displays = True
        try:
            return super().compute_format_data(result)
        finally:
            run.displays = False

    def quiet(self) -> bool:
        run = self._run
        return bool(run and ";" in run.code and self.semicolon_at_end_of_expression(run.code))

    def write_output_prompt(self) -> None:
        pass

    def write_format_data(self, format_dict: dict[str, Any], md_dict: dict[str, Any] | None = None) -> None:
        content = {"execution_count": self.prompt_count, "data": format_dict, "metadata": md_dict or {}}
        self.shell.publish("execute_result", content)

    def log_output(self, format_dict: dict[str, Any]) -> None:
        """As IPython's, but that it is not kept for ever."""
        self.shell.outputs.keep(self.prompt_count, "execute_result", format_dict)
        if (text := format_dict.get("text/plain")) is not None:
            if self.shell.logger.log_output:
                self.shell.logger.log_write(text, "output")
            self.shell.history_manager.output_hist_reprs[self.prompt_count] = text

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
        display_id = (transient or {}).get("display_id")
        if update:
            self.shell.outputs.revise(display_id, data)
        elif run and run.execution_count:
            self.shell.outputs.keep(run.execution_count, "display_data", data, display_id)

    def clear_output(self, wait: bool = False) -> None:
        run = self.shell.runs.current
        if run and run.captures:
            run.captures[-1].outputs.clear()
            return
        self.shell.publish("clear_output", {"wait": wait})


class LanewayDisplayFormatter(DisplayFormatter):
    """Asks one formatter only where there is nothing but text: each of IPython's looks at its traits and asks
    each class of a value first, and for a number that takes longer than to run the cell.
    """

    def format(self, obj: Any, include: Any = None, exclude: Any = None) -> tuple[Any, Any]:
        if include is None and exclude is None and type(obj) in _PLAIN and not self._has_more(type(obj)):
            text = self.formatters["text/plain"](obj)
            return ({} if text is None else {"text/plain": text}), {}
        return super().format(obj, include, exclude)

    def _has_more(self, cls: type) -> bool:
        """May a value of this type have a form besides text?"""
        others = [formatter for name, formatter in self.formatters.items() if name != "text/plain"]
        others += [self.mimebundle_formatter, self.ipython_display_formatter]
        for formatter in others:
            if type(formatter).__module__ != BaseFormatter.__module__:
                return True  # nobody knows
            # to read a trait takes far longer; and with most of them nothing was registered
            traits = formatter._trait_values  # pyright: ignore[reportPrivateUsage]
            if (
                traits.get("singleton_printers")
                or traits.get("type_printers")
                or traits.get("deferred_printers")
            ) and _is_for(formatter, cls):
                return True
        return False


def _is_for(formatter: BaseFormatter, cls: type) -> bool:
    if formatter.singleton_printers:
        return True
    if not formatter.type_printers.keys().isdisjoint(cls.__mro__):
        return True
    deferred = cast("Mapping[tuple[str, str], object]", formatter.deferred_printers)
    return bool(deferred) and any((each.__module__, each.__name__) in deferred for each in cls.__mro__)
