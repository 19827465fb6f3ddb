"""Outputs in built pages."""

from typing import Any

from laneway_lite.outputs import inline, to_html, to_text


def stream(text: str, name: str = "stdout") -> dict[str, Any]:
    return {"type": "stream", "content": {"name": name, "text": text}, "metadata": {}}


def display(**data: Any) -> dict[str, Any]:
    bundle = {name.replace("_", "/").replace("svg", "svg+xml"): value for name, value in data.items()}
    return {"type": "display_data", "content": {"data": bundle, "metadata": {}}, "metadata": {}}


def test_streams_as_a_terminal_shows_them() -> None:
    shown = stream("\x1b[1;31mred\x1b[39m bold\x1b[0m <plain>\n10%\r100%\r\n\x1b[38;5;196many\x1b[0m")
    assert to_html([shown]) == (
        '<pre class="laneway-stream laneway-stdout"><span class="ansi-bold ansi-red-fg">red</span>'
        '<span class="ansi-bold"> bold</span> &lt;plain&gt;\n100%\nany</pre>\n'
    )
    assert to_text(shown) == "red bold <plain>\n100%\nany"
    assert "laneway-stderr" in to_html([stream("x", "stderr")])


def test_the_best_form_that_needs_no_script() -> None:
    html = to_html([display(text_html="<b>x</b>", text_plain="x")])
    assert '<div class="laneway-html"><b>x</b></div>' in html
    assert '<pre class="laneway-text">a &lt; b</pre>' in to_html([display(text_plain="a < b")])
    latex = display(text_plain="<Math object>", text_latex="$a < 'b'$")
    assert "<div class=\"laneway-latex\">$a &lt; 'b'$</div>" in to_html([latex])
    svg = display(image_svg="<svg/>", text_plain="<Figure size 1>")
    assert 'src="data:image/svg+xml,%3Csvg/%3E" alt="A picture without a description"' in to_html([svg])
    assert to_html([svg], lambda content, suffix: f"{len(content)}.{suffix}").count('src="6.svg"') == 1
    assert inline(b"\x00", "png") == "data:image/png;base64,AA=="
    widget = {"application/vnd.jupyter.widget-view+json": {"model_id": "1"}, "text/plain": "IntSlider()"}
    output = {"type": "display_data", "content": {"data": widget}, "metadata": {}}
    assert "A widget: run the cell" in to_html([output])
    assert to_text(output) == "IntSlider()"


def test_json_tables_and_addresses() -> None:
    json = {"application/json": {"a": 1}, "text/plain": "<IPython.core.display.JSON object>"}
    output = {"type": "display_data", "content": {"data": json}, "metadata": {}}
    assert "&quot;a&quot;: 1" in to_html([output])
    markdown = to_html([display(text_markdown="| a |\n|:-:|\n| ~~b~~ |")])
    assert "<th" in markdown
    assert "<s>b</s>" in markdown
    address = "https://example.org/a?b=1&amp;c"
    link = f'<a href="{address}" target="_blank" rel="noopener">{address}</a>'
    assert f"&lt;{link}&gt;, ({link})." in to_html(
        [stream("<{0}>, ({0}).".format("https://example.org/a?b=1&c"))]
    )


def test_errors() -> None:
    content = {"ename": "E", "evalue": "<v>", "traceback": ["\x1b[31m-----\x1b[0m", "\x1b[31mE\x1b[0m: <v>"]}
    output = {"type": "error", "content": content, "metadata": {}}
    assert to_html([output]) == (
        '<div class="laneway-error"><pre><span class="ansi-red-fg">E</span>: &lt;v&gt;</pre></div>\n'
    )
    assert to_text({**output, "content": {**content, "traceback": []}}) == "E: <v>"
