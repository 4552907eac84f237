"""Several processes at one audit: here threads with a board in memory, which wait the same way."""

import copy
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from torch.distributed import HashStore

import saddlepoint as sp
from saddlepoint.audit.session import held
from saddlepoint.audit.team import Elsewhere, Team, gathered
from saddlepoint.core.errors import Invalid
from saddlepoint.core.lock import alone
from tests.audit.conftest import Subject
from tests.audit.test_resume import ATTACKS, FILES, THREAT, stop_after

Work = Callable[[Team], Any]


def side_by_side(work: Work, size: int = 2) -> list[Any]:
    """What each member of a team returned or raised."""
    board = HashStore()

    def member(rank: int) -> Any:  # noqa: ANN401
        team = Team(rank, size, board)
        try:
            return work(team)
        except BaseException as error:  # noqa: BLE001 - as ``gathered`` does
            team.call_off()
            return error

    with ThreadPoolExecutor(size) as threads:
        return list(threads.map(member, range(size)))


def run(s: Subject, out: Path | None, team: Team, **more: object) -> sp.Audit:
    options: dict[str, Any] = {"out": out, "batch_size": 8, "figures": 6, "team": team, **more}
    attacks = options.pop("attacks", ATTACKS)
    return sp.audit(copy.deepcopy(s.model), (s.x, s.y), THREAT, attacks, **options)


def same_files(a: Path, b: Path) -> None:
    for name in FILES:
        assert (a / name).read_bytes() == (b / name).read_bytes(), name


@pytest.fixture(scope="module")
def straight(subject: Subject, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of one process."""
    out = tmp_path_factory.mktemp("straight")
    run(subject, out, Team())
    return out


def test_three_find_what_one_finds(subject: Subject, straight: Path, tmp_path: Path) -> None:
    three = side_by_side(lambda team: run(subject, tmp_path, team), 3)
    same_files(straight, tmp_path)
    names = {p.name for p in (tmp_path / "journal").iterdir()}
    assert names == {f"000{rank}.records" for rank in range(3)}
    assert len({r.robust_accuracy for r in three}) == 1


@pytest.mark.slow
def test_a_cascade_takes_the_same_course_in_two(subject: Subject, tmp_path: Path) -> None:
    few: dict[str, Any] = {"attacks": None, "max_passes": 40.0, "figures": 0, "survivors": 0}
    run(subject, tmp_path / "one", Team(), **few)
    side_by_side(lambda team: run(subject, tmp_path / "two", team, **few))
    assert (tmp_path / "one/evidence.npz").read_bytes() == (
        tmp_path / "two/evidence.npz"
    ).read_bytes()


SOME = [(2, 1), *(pytest.param(*p, marks=pytest.mark.slow) for p in [(1, 2), (3, 2)])]


@pytest.mark.parametrize(("before", "after"), SOME)
def test_other_numbers_of_processes_go_on(
    subject: Subject, straight: Path, tmp_path: Path, before: int, after: int
) -> None:
    def stopped(team: Team) -> sp.Audit:
        return run(subject, tmp_path, team, progress=stop_after(14))

    ends = side_by_side(stopped, before)
    assert any(isinstance(end, KeyboardInterrupt) for end in ends)
    assert all(isinstance(end, KeyboardInterrupt | Elsewhere) for end in ends)
    side_by_side(lambda team: run(subject, tmp_path, team), after)
    same_files(straight, tmp_path)


@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("calls", [1, 4, 12])
def test_where_one_fails_nobody_waits(
    subject: Subject, tmp_path: Path, rank: int, calls: int
) -> None:
    stop = stop_after(calls)

    def work(team: Team) -> sp.Audit:
        more = {"progress": stop} if team.rank == rank else {}
        return run(subject, tmp_path, team, **more)

    ends = side_by_side(work)
    assert isinstance(ends[rank], KeyboardInterrupt)
    assert isinstance(ends[1 - rank], Elsewhere)


def test_a_refused_run_gives_its_folder_back(subject: Subject, tmp_path: Path) -> None:
    wrong = Subject(subject.model, subject.x, (subject.y + 1) % 10)
    ends = side_by_side(lambda team: run(wrong, tmp_path / "run", team))
    assert any("better than guessing" in str(end) for end in ends)
    assert all(isinstance(end, Invalid | Elsewhere) for end in ends)
    assert not (tmp_path / "run").exists()


def test_the_last_to_leave_gives_the_folder_back(tmp_path: Path) -> None:
    """Also where the second process came first, and left while the first had files there."""
    folder, came, left = tmp_path / "run", threading.Event(), threading.Event()

    def work(team: Team) -> None:
        time.sleep(0.2 * team.first)
        try:
            with held(folder, team):
                if team.first:
                    (folder / "records").touch()
                    came.set()
                    left.wait(10)
                    (folder / "records").unlink()
                came.wait(10)
                raise Invalid("y", "[1]", "better than guessing")
        finally:
            if not team.first:
                left.set()

    assert all(isinstance(end, Invalid) for end in side_by_side(work))
    assert not folder.exists()


def test_each_sees_the_folder_before_a_refused_one_takes_it_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow: set[int] = set()
    look = Path.is_dir

    def late(path: Path) -> bool:
        time.sleep(0.3 * (threading.get_ident() in slow))
        return look(path)

    def work(team: Team) -> None:
        if not team.first:
            slow.add(threading.get_ident())
        with held(tmp_path / "run", team):
            raise Invalid("n", 501, "at most 500")

    monkeypatch.setattr(Path, "is_dir", late)
    assert all("at most 500" in str(end) for end in side_by_side(work))


def test_all_have_to_be_given_the_same(subject: Subject, tmp_path: Path) -> None:
    def work(team: Team) -> sp.Audit:
        s = Subject(subject.model, subject.x.flip(0), subject.y.flip(0)) if team.rank else subject
        return run(s, tmp_path / "run", team)

    first, second = side_by_side(work)
    assert isinstance(first, Elsewhere)
    assert "process = <process 1>: must be given the same model, data and plan" in str(second)
    assert "data_sha256" in str(second)


def test_all_have_to_see_the_folder(subject: Subject, tmp_path: Path) -> None:
    _, second = side_by_side(lambda team: run(subject, tmp_path / str(team.rank), team))
    assert "a folder that every process sees" in str(second)
    assert not (tmp_path / "1").exists()
    ends = side_by_side(lambda team: run(subject, None, team))
    assert all("out = None: must be a folder that every process sees" in str(e) for e in ends)


def test_two_audits_do_not_share_a_folder(subject: Subject, tmp_path: Path) -> None:
    pytest.importorskip("fcntl")
    with alone(tmp_path), pytest.raises(Invalid, match="is using; wait for it to end"):
        run(subject, tmp_path, Team())
    run(subject, tmp_path, Team())


def test_one_of_several_speaks() -> None:
    said: list[int] = []

    def speak(team: Team) -> None:
        if team.speaks():
            said.append(team.rank)
            team.spoken()
        else:
            assert team.hears()

    assert side_by_side(speak, 4) == [None] * 4
    assert len(said) == 1


def test_without_torchrun_one_is_a_team(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "8")  # as some schedulers leave it behind
    with gathered() as team:
        assert team == Team()
        team.wait()
        team.heed()
        assert team.speaks()
