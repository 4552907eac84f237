"""What the reader of pages does with a fence, by fences of no page."""

import os
from pathlib import Path

import pytest

from .fences import parsed
from .reader import Reader


def do(reader: Reader, source: str) -> str:
    (fence,) = parsed("page.md", source)
    return reader.do(fence, fence.text)


def test_a_line_that_fails_is_shown_where_it_is_printed(reader: Reader) -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        do(reader, "Words.\n\n```python\nx = 1\nx / 0\n```\n")
    assert caught.traceback[-1].frame.code.raw.co_filename == "page.md:4>"
    assert reader.module.x == 1


def test_a_command_that_fails_stops_the_page(reader: Reader) -> None:
    source = "```sh\nsaddlepoint audit --model nowhere --data digits\ntouch after\n```\n"
    with pytest.raises(AssertionError, match=r"(?s)page\.md:2:.*ended with code 2"):
        do(reader, source)
    assert not (reader.folder / "after").exists()
    with pytest.raises(AssertionError, match="ended with code 1"):
        do(reader, "```sh\nfalse | cat\necho after\n```\n")


def test_fences_share_a_terminal_and_a_namespace(reader: Reader) -> None:
    do(reader, "```sh\nmkdir inner\ncd inner\nexport WORD=said\n```\n")
    assert Path.cwd() == reader.folder / "inner"
    assert do(reader, '```sh\necho "$WORD"\n```\n') == "said\n"
    do(reader, "```python\nimport os\nword = os.environ['WORD']\n```\n")
    do(reader, "```python\nword = word.upper()\n```\n")
    assert reader.module.word == "SAID"


def test_a_fence_with_a_title_is_a_file_whose_names_are_to_be_imported(reader: Reader) -> None:
    do(reader, '```python title="own/mine.py"\nvalue = 3\n```\n')
    with pytest.raises(NameError):
        do(reader, "```python\nvalue\n```\n")
    do(reader, "```python\nfrom own.mine import value\n```\n")
    do(reader, '```toml title="plan.toml"\nn = 1\n```\n')
    assert (reader.folder / "plan.toml").read_text() == "n = 1\n"
    with pytest.raises(SyntaxError):
        do(reader, '```python title="broken.py"\nvalue =\n```\n')


def test_nothing_is_installed_or_fetched(reader: Reader) -> None:
    with pytest.raises(AssertionError, match="list the line in NOT_RUN"):
        do(reader, "```sh\npip install nothing\n```\n")


def test_what_runs_on_ends_with_the_page(reader: Reader) -> None:
    do(reader, "```sh\nsleep 60 &\necho $! > pid\n```\n")
    pid = int((reader.folder / "pid").read_text())
    os.kill(pid, 0)
    reader.close()
    status = Path(f"/proc/{pid}/status")
    assert not status.exists() or "zombie" in status.read_text()
